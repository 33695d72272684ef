//! A thin coat over Luau's C API: all its calls that this engine makes on the path of a request.
//!
//! Why not mlua's safe API there: it boxes and copies every value that crosses (arguments, results,
//! errors), which costs more than the rest of a request. What holds for all of this file:
//!
//! - A [`Stack`] is made by the interpreter (it calls us) or of a live [`mlua::Lua`] or
//!   [`mlua::Thread`], on whose thread we are; it is never kept.
//! - Methods under "may raise" end in an error of Luau if memory is short: a C++ exception, which
//!   passes through our frames as a panic would and runs their destructors. They are called only
//!   where the interpreter catches it: in functions that it called, and inside
//!   [`mlua::Lua::exec_raw`]. Never inside `catch_unwind`.
//! - Indices are those of the caller's own frame; reading beyond it gives [`Kind::None`].

#![expect(unsafe_code, reason = "the C API; every call says why it is sound")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::MaybeUninit;

use mlua::ffi;

pub(super) use super::kind::Kind;

/// A C function of Luau.
pub(super) type Function = ffi::lua_CFunction;
/// What goes on when the function's wait is over.
pub(super) type Continuation = ffi::lua_Continuation;

/// The registry's pseudo-index.
const REGISTRY: c_int = ffi::LUA_REGISTRYINDEX;

/// The tag of userdata that are objects of ours. mlua uses none but 0.
const OBJECT: c_int = 7;

/// How the places of code that is shipped with us begin.
const SHIPPED: &[u8] = b"@kingtide/";

/// The most calls from shipped code to shipped code that are followed to their author's.
const FRAMES_SHIPPED: c_int = 16;

/// A call of a coroutine.
pub(super) struct Call {
    /// The chunk's name, with its mark.
    pub(super) source: String,
    /// 0 for native functions.
    pub(super) line: u32,
    /// Empty without a name.
    pub(super) function: String,
}

/// How a coroutine came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Back {
    /// Its function returned.
    Ended,
    /// It yields.
    Yielded,
    /// It failed; the error lies on its stack.
    Failed,
    /// It failed for want of memory.
    OutOfMemory,
}

/// The stack of a state or a coroutine.
#[derive(Clone, Copy)]
pub(super) struct Stack(*mut ffi::lua_State);

impl Stack {
    /// Takes a state's stack.
    ///
    /// # Safety
    /// The state is live and belongs to this thread as long as the stack is used.
    pub(super) const unsafe fn new(state: *mut ffi::lua_State) -> Self {
        Self(state)
    }

    /// Returns how many values there are.
    pub(super) fn top(self) -> c_int {
        // SAFETY: see the head of this file.
        unsafe { ffi::lua_gettop(self.0) }
    }

    /// Drops values above `top`, or fills up with nil.
    pub(super) fn set_top(self, top: c_int) {
        // SAFETY: see the head of this file; it never grows beyond the frame's own room.
        unsafe { ffi::lua_settop(self.0, top) }
    }

    /// Drops `count` values.
    pub(super) fn pop(self, count: c_int) {
        self.set_top(-count - 1);
    }

    /// Makes room for `count` more values; false if there cannot be. Never raises.
    pub(super) fn room(self, count: c_int) -> bool {
        // SAFETY: see the head of this file; it catches its own errors.
        unsafe { ffi::lua_checkstack(self.0, count) != 0 }
    }

    /// Returns what a place holds.
    pub(super) fn kind(self, index: c_int) -> Kind {
        // SAFETY: see the head of this file; every index may be asked for.
        match unsafe { ffi::lua_type(self.0, index) } {
            ffi::LUA_TNIL => Kind::Nil,
            ffi::LUA_TBOOLEAN => Kind::Boolean,
            ffi::LUA_TLIGHTUSERDATA => Kind::LightUserdata,
            ffi::LUA_TNUMBER => Kind::Number,
            ffi::LUA_TINTEGER => Kind::Integer,
            ffi::LUA_TVECTOR => Kind::Vector,
            ffi::LUA_TSTRING => Kind::String,
            ffi::LUA_TTABLE => Kind::Table,
            ffi::LUA_TFUNCTION => Kind::Function,
            ffi::LUA_TUSERDATA => Kind::Userdata,
            ffi::LUA_TTHREAD => Kind::Thread,
            ffi::LUA_TBUFFER => Kind::Buffer,
            _ => Kind::None,
        }
    }

    /// Returns whether a value counts as true.
    pub(super) fn truth(self, index: c_int) -> bool {
        // SAFETY: see the head of this file.
        unsafe { ffi::lua_toboolean(self.0, index) != 0 }
    }

    /// Returns a number, 0 for what is none.
    pub(super) fn number(self, index: c_int) -> f64 {
        // SAFETY: see the head of this file; the third argument may be null.
        unsafe { ffi::lua_tonumberx(self.0, index, std::ptr::null_mut()) }
    }

    /// Returns a 64-bit integer, 0 for what is none.
    pub(super) fn integer(self, index: c_int) -> i64 {
        // SAFETY: see the head of this file; the third argument may be null.
        unsafe { ffi::lua_tointeger64(self.0, index, std::ptr::null_mut()) }
    }

    /// Returns a string's bytes, nothing for what is no string. They live as long as the value
    /// lies in its place.
    pub(super) fn bytes(&self, index: c_int) -> Option<&[u8]> {
        if self.kind(index) != Kind::String {
            return None;
        }
        let mut length = 0;
        // SAFETY: it is a string, so that nothing is converted and the pointer is not null; the
        // bytes do not move as long as the string is reachable.
        unsafe {
            let start = ffi::lua_tolstring(self.0, index, &raw mut length);
            Some(std::slice::from_raw_parts(start.cast(), length))
        }
    }

    /// Returns a string's bytes, nothing for what is no string, for longer than its place lasts.
    ///
    /// # Safety
    /// An argument of the function that runs, or a table in one, keeps the string as long as the
    /// bytes are used.
    pub(super) unsafe fn anchored_bytes<'a>(self, index: c_int) -> Option<&'a [u8]> {
        let bytes = self.bytes(index)?;
        // SAFETY: the caller says that the string is kept; strings do not move.
        Some(unsafe { std::slice::from_raw_parts(bytes.as_ptr(), bytes.len()) })
    }

    /// Returns a buffer's bytes, nothing for what is no buffer.
    pub(super) fn buffer(&self, index: c_int) -> Option<&[u8]> {
        let mut length = 0;
        // SAFETY: as with strings; no script runs while the slice is used, so nobody writes.
        unsafe {
            let start = ffi::lua_tobuffer(self.0, index, &raw mut length);
            (!start.is_null()).then(|| std::slice::from_raw_parts(start.cast(), length))
        }
    }

    /// Returns a vector's parts, nothing for what is no vector.
    pub(super) fn vector(self, index: c_int) -> Option<[f32; 3]> {
        // SAFETY: a vector has three parts that lie side by side.
        unsafe { ffi::lua_tovector(self.0, index).cast::<[f32; 3]>().as_ref().copied() }
    }

    /// Returns a light userdata's address, null for what is none.
    pub(super) fn light(self, index: c_int) -> *mut c_void {
        // SAFETY: see the head of this file.
        unsafe { ffi::lua_tolightuserdata(self.0, index) }
    }

    /// Returns what tells a table, function, userdata or coroutine from others; 0 for the rest.
    pub(super) fn identity(self, index: c_int) -> usize {
        // SAFETY: see the head of this file.
        unsafe { ffi::lua_topointer(self.0, index) as usize }
    }

    /// Returns an upvalue of the running C function, from 1, as an address.
    pub(super) fn upvalue(self, number: c_int) -> *mut c_void {
        self.light(ffi::lua_upvalueindex(number))
    }

    /// Pushes an upvalue of the running C function, from 1.
    pub(super) fn push_upvalue(self, number: c_int) {
        self.push_copy(ffi::lua_upvalueindex(number));
    }

    /// Takes the value on top as an upvalue of the running C function, from 1.
    pub(super) fn set_upvalue(self, number: c_int) {
        // SAFETY: see the head of this file; there is a value on top.
        unsafe { ffi::lua_replace(self.0, ffi::lua_upvalueindex(number)) }
    }

    /// Pushes the next pair of a table, which lies at an absolute index; returns the iterator's
    /// next state, or nothing at the end. Begin with 0. There must be room for two values.
    pub(super) fn next_pair(self, table: c_int, state: c_int) -> Option<c_int> {
        // SAFETY: a table (callers have looked); no script runs between the calls.
        let next = unsafe { ffi::lua_rawiter(self.0, table, state) };
        (next >= 0).then_some(next)
    }

    /// Pushes a value's metatable; false, and nothing pushed, if it has none.
    pub(super) fn push_metatable(self, index: c_int) -> bool {
        // SAFETY: see the head of this file.
        unsafe { ffi::lua_getmetatable(self.0, index) != 0 }
    }

    /// Pushes a list's entry, nil behind its end.
    pub(super) fn push_entry(self, table: c_int, index: c_int) {
        // SAFETY: a table (callers have made it).
        unsafe { ffi::lua_rawgeti_(self.0, table, index) };
    }

    // What is pushed without an allocation.

    /// Pushes nil.
    pub(super) fn push_nil(self) {
        // SAFETY: see the head of this file.
        unsafe { ffi::lua_pushnil(self.0) }
    }

    /// Pushes a truth value.
    pub(super) fn push_bool(self, value: bool) {
        // SAFETY: see the head of this file.
        unsafe { ffi::lua_pushboolean(self.0, c_int::from(value)) }
    }

    /// Pushes a number.
    pub(super) fn push_number(self, value: f64) {
        // SAFETY: see the head of this file.
        unsafe { ffi::lua_pushnumber(self.0, value) }
    }

    /// Pushes an address.
    pub(super) fn push_light<T>(self, address: *const T) {
        // SAFETY: see the head of this file; scripts can do nothing with it but compare.
        unsafe { ffi::lua_pushlightuserdata(self.0, address.cast_mut().cast()) }
    }

    /// Pushes a value again.
    pub(super) fn push_copy(self, index: c_int) {
        // SAFETY: see the head of this file.
        unsafe { ffi::lua_pushvalue(self.0, index) }
    }

    /// Pushes what a reference keeps.
    pub(super) fn push_kept(self, id: c_int) {
        // SAFETY: see the head of this file; ids come from `keep`.
        unsafe { ffi::lua_rawgeti_(self.0, REGISTRY, id) };
    }

    /// Takes the value on top as the one of a place, which is below.
    pub(super) fn replace(self, index: c_int) {
        // SAFETY: see the head of this file; there is a value on top.
        unsafe { ffi::lua_replace(self.0, index) }
    }

    /// Replaces the key on top with its value in a table, which is asked without metamethods.
    pub(super) fn get(self, table: c_int) {
        // SAFETY: a table lies there (callers have looked).
        unsafe { ffi::lua_rawget(self.0, table) };
    }

    /// Moves the topmost values to another stack of the same state, which has room for them.
    pub(super) fn move_to(self, other: Self, count: c_int) {
        // SAFETY: both belong to one state.
        unsafe { ffi::lua_xmove(self.0, other.0, count) }
    }

    /// Sets whether the table on top is read-only.
    pub(super) fn set_readonly(self, readonly: bool) {
        // SAFETY: there is a table on top.
        unsafe { ffi::lua_setreadonly(self.0, -1, c_int::from(readonly)) }
    }

    /// Gives the value below the top the table on top as its metatable.
    pub(super) fn set_metatable(self) {
        // SAFETY: there are a table and below it a table that is not read-only.
        unsafe { ffi::lua_setmetatable(self.0, -2) };
    }

    // May raise.

    /// Pushes a string.
    pub(super) fn push_bytes(self, bytes: &[u8]) {
        // SAFETY: a slice's pointer is never null; Luau copies.
        unsafe { ffi::lua_pushlstring_(self.0, bytes.as_ptr().cast(), bytes.len()) }
    }

    /// Pushes a table with room for list entries and named ones.
    pub(super) fn push_table(self, list: usize, named: usize) {
        let room = |count: usize| c_int::try_from(count).unwrap_or(c_int::MAX);
        // SAFETY: see the head of this file; too large ones raise.
        unsafe { ffi::lua_createtable(self.0, room(list), room(named)) }
    }

    /// Sets `table[key] = value` for the key and the value on top, which are popped.
    pub(super) fn set(self, table: c_int) {
        // SAFETY: a table that is not read-only lies there, below the two; the key is no nil.
        unsafe { ffi::lua_rawset(self.0, table) }
    }

    /// Sets `table[index] = value` for the value on top, which is popped.
    pub(super) fn set_index(self, table: c_int, index: c_int) {
        // SAFETY: a table that is not read-only lies there, below the value.
        unsafe { ffi::lua_rawseti_(self.0, table, index) }
    }

    /// Makes room for `count` more values.
    pub(super) fn need(self, count: c_int) {
        if !self.room(count) {
            self.raise("stack overflow: too many values");
        }
    }

    /// Pushes a C function with the topmost `upvalues` values as its own.
    pub(super) fn push_function(
        self,
        function: Function,
        name: &'static CStr,
        upvalues: c_int,
        then: Option<Continuation>,
    ) {
        // SAFETY: the name lives for ever; the upvalues are there.
        unsafe { ffi::lua_pushcclosurek(self.0, function, name.as_ptr(), upvalues, then) }
    }

    /// Raises an error with its place: of the code that called the function that runs. Where that is
    /// shipped with us, it is the code that called it: its author can mend it.
    pub(super) fn raise(self, message: &str) -> c_int {
        // SAFETY: see the head of this file; nothing of ours is left to be dropped here.
        unsafe {
            ffi::luaL_where(self.0, 1);
            for level in 2..FRAMES_SHIPPED {
                if !self.bytes(-1).is_some_and(|place| place.starts_with(SHIPPED)) {
                    break;
                }
                self.pop(1);
                ffi::luaL_where(self.0, level);
            }
            self.push_bytes(message.as_bytes());
            ffi::lua_concat(self.0, 2);
            ffi::lua_error(self.0)
        }
    }

    /// Raises the value on top.
    pub(super) fn raise_top(self) -> c_int {
        // SAFETY: see the head of this file.
        unsafe { ffi::lua_error(self.0) }
    }

    /// Keeps the value on top, which stays, and returns its reference.
    pub(super) fn keep(self) -> c_int {
        // SAFETY: there is a value on top.
        unsafe { ffi::lua_ref(self.0, -1) }
    }

    /// Forgets a reference. Never raises.
    pub(super) fn forget(self, id: c_int) {
        // SAFETY: ids come from `keep`, once each.
        unsafe { ffi::lua_unref(self.0, id) };
    }

    /// Pushes an object: userdata that owns a value.
    pub(super) fn push_object<T>(self, make: impl FnOnce() -> T) {
        const { assert!(align_of::<T>() <= 16, "what Luau aligns userdata to") };
        // SAFETY: the memory is as large and aligned as asked for; nothing can run, and collect it,
        // before it is filled. The tag's destructor is the one of `T`: `define_objects` says so,
        // and there is one `T`.
        unsafe {
            let place = ffi::lua_newuserdatataggedwithmetatable(self.0, size_of::<T>(), OBJECT);
            place.cast::<T>().write(make());
        }
    }

    /// Takes the table on top as the metatable of all objects, which are of type `T`, and pops it.
    pub(super) fn define_objects<T>(self) {
        unsafe extern "C" fn drop_object<T>(_: *mut ffi::lua_State, place: *mut c_void) {
            // SAFETY: Luau calls it once for each userdata of the tag, all filled by `push_object`.
            unsafe { place.cast::<T>().drop_in_place() }
        }
        // SAFETY: see the head of this file; there is a table on top.
        unsafe {
            ffi::lua_setuserdatadtor(self.0, OBJECT, Some(drop_object::<T>));
            ffi::lua_setuserdatametatable(self.0, OBJECT);
        }
    }

    /// Returns the object at a place, nothing for anything else.
    ///
    /// # Safety
    /// `T` is the type given to `define_objects`; the value stays in its place meanwhile.
    pub(super) unsafe fn object<'a, T>(self, index: c_int) -> Option<&'a T> {
        // SAFETY: userdata of the tag are filled with a `T`; they do not move.
        unsafe { ffi::lua_touserdatatagged(self.0, index, OBJECT).cast::<T>().as_ref() }
    }

    /// Returns the name by which a method is being called.
    pub(super) fn called_name(&self) -> Option<&str> {
        // SAFETY: Luau keeps the name as long as the call lasts; null outside of such a call.
        unsafe {
            let name = ffi::lua_namecallatom(self.0, std::ptr::null_mut());
            if name.is_null() { None } else { CStr::from_ptr(name).to_str().ok() }
        }
    }

    // Coroutines.

    /// Returns whether the running coroutine may yield here.
    pub(super) fn may_yield(self) -> bool {
        // SAFETY: see the head of this file.
        unsafe { ffi::lua_isyieldable(self.0) != 0 }
    }

    /// Yields the topmost values: to be returned by the running C function at once.
    pub(super) fn yield_top(self, count: c_int) -> c_int {
        // SAFETY: see the head of this file; the values are there.
        unsafe { ffi::lua_yield(self.0, count) }
    }

    /// Calls the function below its `arguments`, with a handler at an index, for one result; then
    /// runs the continuation of the C function that runs, whose answer is returned.
    pub(super) fn call_protected(self, arguments: c_int, handler: c_int) -> c_int {
        // SAFETY: the function that runs has a continuation.
        unsafe { ffi::lua_pcallyieldable(self.0, arguments, 1, handler) }
    }

    /// Resumes this coroutine from another with its topmost `arguments`.
    pub(super) fn resume(self, from: Self, arguments: c_int) -> Back {
        // SAFETY: a coroutine that is fresh, ended or waits (callers know); it catches all errors.
        Self::back(unsafe { ffi::lua_resume_(self.0, from.0, arguments) })
    }

    /// Resumes this coroutine with the value on top as an error.
    pub(super) fn resume_error(self, from: Self) -> Back {
        // SAFETY: as with `resume`.
        Self::back(unsafe { ffi::lua_resumeerror(self.0, from.0) })
    }

    fn back(status: c_int) -> Back {
        match status {
            ffi::LUA_OK => Back::Ended,
            ffi::LUA_YIELD => Back::Yielded,
            ffi::LUA_ERRMEM => Back::OutOfMemory,
            _ => Back::Failed,
        }
    }

    /// Makes this coroutine, which does not run, ready for another function.
    pub(super) fn reset(self) {
        // SAFETY: it does not run (callers know).
        unsafe {
            if ffi::lua_isthreadreset(self.0) == 0 {
                ffi::lua_resetthread(self.0);
            }
        }
    }

    /// Returns a call of this coroutine, from 0 for the innermost, even after it failed.
    pub(super) fn call_at(self, level: c_int) -> Option<Call> {
        let text = |text: *const c_char| {
            // SAFETY: null, or a string that ends with zero and lives as long as its function.
            unsafe { (!text.is_null()).then(|| CStr::from_ptr(text)) }
                .map_or_else(String::new, |text| text.to_string_lossy().into_owned())
        };
        let mut info = MaybeUninit::<ffi::lua_Debug>::zeroed();
        // SAFETY: all zero is a valid value, which Luau fills as far as it is asked; it answers 0
        // for levels that there are not.
        unsafe {
            let found = ffi::lua_getinfo(self.0, level, c"sln".as_ptr(), info.as_mut_ptr());
            if found == 0 {
                return None;
            }
            let info = info.assume_init_ref();
            Some(Call {
                source: text(info.source),
                line: u32::try_from(info.currentline).unwrap_or(0),
                function: text(info.name),
            })
        }
    }
}

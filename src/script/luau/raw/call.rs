//! Native functions as scripts call them: arguments in, the operation, its answer or error out.
//!
//! A call that may wait yields a tag; its operation lies with the VU meanwhile, for the worker to
//! wait for. When the coroutine goes on, the continuation finds the answer there and turns it into
//! a Luau value inside the coroutine, so that a lack of memory is the script's error.

#![expect(unsafe_code, reason = "functions that the interpreter calls")]

use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use mlua::ffi::lua_State;

use super::object::Handle;
use super::push::push;
use super::read::read;
use super::stack::{Kind, Stack};
use crate::api::{Answer, ApiError, Args, Method, Value, VuContext, Wait};
use crate::script::ScriptErrorKind;
use crate::script::luau::kit::Kit;
use crate::script::luau::memory;
use crate::script::luau::slot::Slot;

/// Marks what is yielded to the worker. Scripts cannot make such a value.
pub(super) static TAG: u8 = 0;

/// Lies below the handler of a function of the prelude that runs in a method's place.
static SCRIPTED: u8 = 0;

const CANNOT_WAIT: &str = "cannot wait inside a metamethod, a table.sort comparator or a \
                           string.gsub callback; call it before and use its result there";

/// What a bound function does.
pub(in crate::script::luau) struct Target {
    /// What it runs.
    pub(in crate::script::luau) what: What,
    /// Its name in messages: `http.get`.
    pub(in crate::script::luau) name: &'static str,
    /// Its parameters' names.
    pub(in crate::script::luau) params: &'static [&'static str],
    /// What tells its module's table from others: called with `:` it comes as an argument.
    pub(in crate::script::luau) module: usize,
    /// Whether it answers with an error's message or nil, and a value: for code of the prelude,
    /// which raises errors at the author's line.
    pub(in crate::script::luau) tells: bool,
    /// What the prelude has in its place.
    pub(in crate::script::luau) scripted: Option<Scripted<c_int>>,
}

/// A function of the prelude that runs in a native one's place.
pub(in crate::script::luau) struct Scripted<F> {
    /// The function.
    pub(in crate::script::luau) function: F,
    /// Whether it runs in all calls, and not just in those with a function among the arguments.
    pub(in crate::script::luau) always: bool,
}

impl Target {
    /// Returns its name without the module or the object.
    pub(in crate::script::luau) fn short_name(&self) -> &'static str {
        self.name.rsplit([':', '.']).next().unwrap_or_default()
    }
}

/// What a bound function runs.
#[derive(Clone, Copy)]
pub(in crate::script::luau) enum What {
    /// A function that answers at once.
    Now(fn(&Rc<VuContext>, Args) -> Result<Value, ApiError>),
    /// A function that may wait.
    Wait(fn(&Rc<VuContext>, Args) -> Result<Wait, ApiError>),
    /// An object's method.
    Method(&'static Method),
}

/// Pushes a target as a function. May raise.
pub(super) fn push_target(kit: &Kit, stack: Stack, target: &Rc<Target>) {
    stack.push_light(std::ptr::from_ref(kit));
    stack.push_light(Rc::as_ptr(target));
    stack.push_function(run, c"native", 2, Some(go_on));
}

/// Returns the kit that is the running function's first upvalue.
///
/// # Safety
/// The function was pushed with it; the kit outlives its state's last script.
pub(super) unsafe fn kit_of<'a>(stack: Stack) -> &'a Kit {
    // SAFETY: as the caller says.
    unsafe { &*stack.upvalue(1).cast::<Kit>() }
}

/// Runs a target: the interpreter calls this.
unsafe extern "C-unwind" fn run(state: *mut lua_State) -> c_int {
    // SAFETY: the interpreter's own state, for the time of this call; `push_target` set the
    // upvalues, and the kit keeps all targets.
    let (stack, kit, target) = unsafe {
        let stack = Stack::new(state);
        (stack, kit_of(stack), &*stack.upvalue(2).cast::<Target>())
    };
    call(kit, stack, target)
}

/// Goes on when a wait is over: the interpreter calls this.
pub(super) unsafe extern "C-unwind" fn go_on(state: *mut lua_State, status: c_int) -> c_int {
    // SAFETY: as in `run`, whose upvalues these are.
    let (stack, kit) = unsafe {
        let stack = Stack::new(state);
        (stack, kit_of(stack))
    };
    if status != 0 {
        // A function of the prelude failed, which alone runs protected here.
        return stack.raise_top();
    }
    let below = stack.top() - 2;
    if below > 0 && stack.light(below).cast_const() == (&raw const SCRIPTED).cast() {
        return 1;
    }
    let Some(slot) = kit.running() else { return stack.raise("no VU runs") };
    deliver(kit, stack, &slot, false)
}

/// Runs a function of the prelude in a method's place, with the same arguments. May raise.
fn run_scripted(kit: &Kit, stack: Stack, function: c_int) -> c_int {
    let count = stack.top();
    stack.need(count + 3);
    stack.push_light(&raw const SCRIPTED);
    stack.push_kept(kit.makers().trap.id());
    stack.push_kept(function);
    (1..=count).for_each(|index| stack.push_copy(index));
    stack.call_protected(count, count + 2)
}

/// Calls a target with the arguments on the stack. May raise.
pub(super) fn call(kit: &Kit, stack: Stack, target: &Target) -> c_int {
    let Some(slot) = kit.running() else { return stack.raise("no VU runs") };
    if let Some(Scripted { function, always }) = target.scripted
        && (always || (1..=stack.top()).any(|index| stack.kind(index) == Kind::Function))
    {
        return run_scripted(kit, stack, function);
    }
    let waits = match target.what {
        What::Now(_) => false,
        What::Wait(_) => true,
        What::Method(method) => method.waits,
    };
    if waits && !stack.may_yield() {
        return refuse(stack, target.name);
    }
    guarded(kit, stack, &slot, || start(kit, stack, &slot, target));
    if slot.wait.borrow().is_some() {
        stack.push_light(&raw const TAG);
        return stack.yield_top(1);
    }
    deliver(kit, stack, &slot, target.tells)
}

/// Says that a function cannot wait where it is called.
fn refuse(stack: Stack, name: &str) -> c_int {
    let message = format!("{name}: {CANNOT_WAIT}");
    stack.raise(&message)
}

/// Runs our code, whose panics must not pass through the interpreter: the worker resumes them. It
/// answers by leaving something in the slot.
pub(super) fn guarded(kit: &Kit, stack: Stack, slot: &Slot, code: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(code)) {
        kit.panicked(panic);
        memory::hurry();
        slot.answer.replace(Some(Err(ApiError::usage("internal error"))));
        stack.set_top(0);
    }
}

/// Begins a call; leaves its answer or its wait with the VU.
fn start(kit: &Kit, stack: Stack, slot: &Slot, target: &Target) {
    let begun = match target.what {
        What::Now(run) => arguments(kit, stack, target, 1).and_then(|args| run(&slot.vu, args)),
        What::Wait(run) => match arguments(kit, stack, target, 1).and_then(|a| run(&slot.vu, a)) {
            Ok(wait) => {
                slot.wait.replace(Some(wait));
                return;
            }
            Err(error) => Err(error),
        },
        What::Method(method) => {
            let called = receiver(stack, target.name).and_then(|handle| {
                let args = arguments(kit, stack, target, 2)?;
                let answer = handle.object().call(&slot.vu, method, args);
                handle.share();
                answer
            });
            match called {
                Ok(Answer::Wait(wait)) if method.waits => {
                    slot.wait.replace(Some(wait));
                    return;
                }
                Ok(Answer::Wait(_)) => {
                    Err(ApiError::usage(format!("{} may not wait", target.name)))
                }
                Ok(Answer::Now(value)) => Ok(value),
                Err(error) => Err(error),
            }
        }
    };
    slot.answer.replace(Some(begun));
}

/// Converts the arguments from position `first` on.
fn arguments(kit: &Kit, stack: Stack, target: &Target, first: c_int) -> Result<Args, ApiError> {
    let call = target.name;
    if target.module != 0 && stack.identity(1) == target.module {
        return Err(ApiError::usage(format!("{call}: call it with `.`, not `:`: {call}(...)")));
    }
    let top = stack.top();
    let mut values = Vec::with_capacity((top - first + 1).max(0) as usize);
    for index in first..=top {
        values.push(read(kit, stack, index).map_err(|error| {
            let at = (index - first) as usize;
            let name = target.params.get(at).map_or("...", |name| name.trim_end_matches('?'));
            let message = format!("{call}: argument {} ({name}): {}", at + 1, error.message);
            ApiError { message, ..error }
        })?);
    }
    Ok(Args::new(call, target.params, values))
}

/// Returns the object that a method was called on.
fn receiver<'a>(stack: Stack, call: &'static str) -> Result<&'a Handle, ApiError> {
    let kind = call.split(':').next().unwrap_or_default();
    Handle::at(stack, 1)
        .filter(|handle| handle.object().type_name() == kind)
        .ok_or_else(|| ApiError::usage(format!("{call}: call it with `:`, as in {call}(...)")))
}

/// Returns what the slot has for the script. May raise.
pub(super) fn deliver(kit: &Kit, stack: Stack, slot: &Slot, tells: bool) -> c_int {
    if slot.vu.interrupt.why().is_some() {
        memory::hurry();
    }
    // SAFETY: nothing below runs code that touches the slot's answer: neither pushing a value nor
    // dropping what the collector finds.
    let answer = unsafe { &*slot.answer.as_ptr() };
    match answer {
        Some(Ok(value)) => {
            if tells {
                stack.push_nil();
            }
            push(kit, stack, value, false);
            slot.answer.replace(None);
            1 + c_int::from(tells)
        }
        Some(Err(error)) => {
            slot.note(&error.message, ScriptErrorKind::Uncaught(error.kind));
            if tells {
                stack.push_bytes(error.message.as_bytes());
                stack.push_nil();
                return 2;
            }
            stack.raise(&error.message)
        }
        None => stack.raise("this coroutine waits for a call that was given up"),
    }
}

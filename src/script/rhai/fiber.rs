//! Stackful coroutines: how a script that knows no `await` waits.
//!
//! A [`Fiber`] runs synchronous code on a stack of its own. Code inside calls [`wait`] with a
//! future; the fiber is suspended and the future handed to whoever drives the fiber, who polls it
//! as any other and resumes the fiber with its answer. To the scheduler a script is thus an
//! ordinary local future, to the script a wait is a call that blocks.
//!
//! Stacks come from a pool per thread. A suspended fiber keeps one; a VU between calls keeps none.
//! Their memory is reserved but not held: only touched pages count, 16 KiB for a script that has
//! made a request and checked it. Of these a fiber that waits for long gives back what lies below the
//! place where it waits, which leaves 8 KiB. Each stack is two mappings of the process, so more than
//! 30,000 VUs that wait at the same time need `vm.max_map_count` above 2 x VUs + 5,000 (65,530 by
//! default).
//!
//! A fiber is ended by resuming it with [`Input::Abort`], which makes its waits fail until it
//! returns; a dropped one ends itself so. Its stack is never simply freed or unwound from outside:
//! script engines catch panics and would go on running.
#![expect(unsafe_code, reason = "a stack needs mappings, and code on it a way back to its driver")]

use std::cell::{Cell, RefCell};
use std::io;
use std::ops::Range;
use std::ptr::{self, NonNull};

use corosensei::stack::StackPointer;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};

use crate::api::{ApiError, Value, Wait};

/// How much of a stack a script may use by its own nesting. Unoptimised frames are ten times as
/// large.
const SCRIPT_BYTES: usize = if cfg!(debug_assertions) { 32 << 20 } else { 4 << 20 };

/// What lies below: room for native code that follows nested data down (copying, measuring and
/// freeing arrays of arrays, or closures that hold closures), which no script limit sees. Address
/// space only.
const NATIVE_BYTES: usize = 256 << 20;

/// The guard below a stack, in bytes: a multiple of any page size in use.
const GUARD_BYTES: usize = 64 << 10;

/// Stacks kept per thread for the next fibers.
const POOLED: usize = 256;

/// What a script rarely goes beyond. A stack that is pooled holds no more.
const SHALLOW_BYTES: usize = if cfg!(debug_assertions) { 1 << 20 } else { 64 << 10 };

/// What lies below the last local variable of a suspended fiber, at most: the frame that switches
/// stacks, which takes less than 200 bytes.
const SWITCH_BYTES: usize = 1 << 10;

/// How far below the place of a wait a stack is given back.
const RELEASED_BYTES: usize = SHALLOW_BYTES;

/// What a fiber is resumed with.
pub(super) enum Input {
    /// Begin, or go on after a pause.
    Go,
    /// What the awaited operation answered.
    Answer(Result<Value, ApiError>),
    /// End: this wait and all further ones fail.
    Abort,
}

/// What a fiber did when it was resumed.
pub(super) enum Step<R> {
    /// It waits for an operation.
    Wait(Wait),
    /// It lets others run.
    Pause,
    /// It ended.
    Done(R),
}

/// The answer of a wait in a fiber that must end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Aborted;

enum Request {
    Wait(Wait),
    Pause,
}

type FiberYielder = Yielder<Input, Request>;

thread_local! {
    /// The way out of the innermost fiber that runs on this thread.
    static YIELDER: Cell<Option<NonNull<FiberYielder>>> = const { Cell::new(None) };
    static POOL: RefCell<Vec<Stack>> = const { RefCell::new(Vec::new()) };
    /// Where on its stack the fiber was that was suspended last.
    static SUSPENDED_AT: Cell<usize> = const { Cell::new(0) };
}

/// Synchronous code on its own stack.
pub(super) struct Fiber<R: 'static> {
    /// `None` only while it is dropped.
    coroutine: Option<Coroutine<Input, Request, R, Stack>>,
    /// The stack's lower and upper end.
    bottom: NonNull<u8>,
    base: usize,
    /// How deep the fiber was when it was suspended, in bytes from `base`; 0 when it was not.
    depth: usize,
    /// Whether the stack is worth keeping: deep recursion leaves it large.
    keep: bool,
}

impl<R> Fiber<R> {
    /// Makes a fiber that will run `body`.
    ///
    /// # Errors
    /// If no stack can be mapped.
    pub(super) fn new(body: impl FnOnce() -> R + 'static) -> io::Result<Self> {
        let pooled = POOL.with_borrow_mut(Vec::pop);
        let stack = pooled.map_or_else(Stack::new, Ok)?;
        let (bottom, base) = (stack.bottom, stack.base);
        let coroutine = Coroutine::with_stack(stack, move |yielder: &FiberYielder, _: Input| {
            YIELDER.set(Some(NonNull::from(yielder)));
            body()
        });
        Ok(Self { coroutine: Some(coroutine), bottom, base, depth: 0, keep: true })
    }

    /// Returns the address below which script code must not reach.
    pub(super) fn floor(&self) -> usize {
        self.base - SCRIPT_BYTES
    }

    /// Returns the address that scripts rarely reach below. Who does calls [`Fiber::trim`] at the end.
    pub(super) fn shallow(&self) -> usize {
        self.base - SHALLOW_BYTES
    }

    /// Returns how many bytes of its stack the suspended fiber is in the midst of. Two fibers that
    /// wait at the same place of the same script have the same.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// Gives back the memory below the place where the fiber is suspended.
    pub(super) fn release(&mut self) {
        if self.depth > 0 && !self.is_done() {
            let top = self.base - self.depth - SWITCH_BYTES;
            give_back(self.bottom, top - RELEASED_BYTES..top);
        }
    }

    /// Gives back the memory that the ended fiber took beyond the usual.
    pub(super) fn trim(&mut self) {
        if self.is_done() {
            let usable = self.base - SCRIPT_BYTES - NATIVE_BYTES;
            give_back(self.bottom, usable..self.shallow());
        }
    }

    /// Gives the stack back to the system instead of the pool when the fiber is dropped.
    pub(super) fn discard_stack(&mut self) {
        self.keep = false;
    }

    /// Returns whether it ended.
    pub(super) fn is_done(&self) -> bool {
        self.coroutine.as_ref().is_none_or(Coroutine::done)
    }

    /// Returns whether it ran at all.
    pub(super) fn is_started(&self) -> bool {
        self.coroutine.as_ref().is_some_and(Coroutine::started)
    }

    /// Runs the fiber until it waits, pauses or ends. A panic in it goes on here.
    ///
    /// # Panics
    /// If it ended before.
    pub(super) fn resume(&mut self, input: Input) -> Step<R> {
        struct Restore(Option<NonNull<FiberYielder>>);
        impl Drop for Restore {
            fn drop(&mut self) {
                YIELDER.set(self.0);
            }
        }
        let _restore = Restore(YIELDER.get());
        let coroutine = self.coroutine.as_mut().expect("a fiber has its coroutine until dropped");
        let step = match coroutine.resume(input) {
            CoroutineResult::Yield(Request::Wait(operation)) => Step::Wait(operation),
            CoroutineResult::Yield(Request::Pause) => Step::Pause,
            CoroutineResult::Return(result) => return Step::Done(result),
        };
        self.depth = self.base - SUSPENDED_AT.get();
        step
    }
}

impl<R> Drop for Fiber<R> {
    fn drop(&mut self) {
        if self.is_started() {
            while !self.is_done() {
                drop(self.resume(Input::Abort));
            }
        }
        let Some(coroutine) = self.coroutine.take() else { return };
        if coroutine.done() && self.keep {
            let stack = coroutine.into_stack();
            // The pool is gone while the thread ends; then the stack goes too.
            let _ = POOL.try_with(|pool| {
                let mut pool = pool.borrow_mut();
                if pool.len() < POOLED {
                    pool.push(stack);
                }
            });
        }
    }
}

/// Suspends the fiber that runs here until `operation` has answered.
///
/// # Errors
/// If the fiber must end, or if no fiber runs here.
pub(super) fn wait(operation: Wait) -> Result<Result<Value, ApiError>, Aborted> {
    match suspend(Request::Wait(operation))? {
        Input::Answer(answer) => Ok(answer),
        Input::Go | Input::Abort => Err(Aborted),
    }
}

/// Suspends the fiber that runs here once, so that others run.
///
/// # Errors
/// If the fiber must end, or if no fiber runs here.
pub(super) fn pause() -> Result<(), Aborted> {
    match suspend(Request::Pause)? {
        Input::Go | Input::Answer(_) => Ok(()),
        Input::Abort => Err(Aborted),
    }
}

fn suspend(request: Request) -> Result<Input, Aborted> {
    let yielder = YIELDER.get().ok_or(Aborted)?;
    let marker = 0_u8;
    SUSPENDED_AT.set((&raw const marker).addr());
    // SAFETY: `YIELDER` holds the yielder of the fiber whose code runs now: it is set when the
    // fiber's body begins and after each of its suspensions, and `resume` puts the outer one back
    // whenever the fiber stops running. A yielder lives on its fiber's stack as long as its body.
    let input = unsafe { yielder.as_ref() }.suspend(request);
    YIELDER.set(Some(yielder));
    Ok(input)
}

/// Gives the whole pages of a range of addresses in the stack at `bottom` back to the system; they
/// read as 0 from then on.
fn give_back(bottom: NonNull<u8>, range: Range<usize>) {
    let page = rustix::param::page_size();
    let (from, to) = (range.start.next_multiple_of(page), range.end & !(page - 1));
    if from < to {
        let start = bottom.as_ptr().with_addr(from).cast();
        // SAFETY: callers give a range of a stack of theirs below all frames in use, either since the
        // code on it has ended or since it is suspended above: no live value is in it.
        let result =
            unsafe { rustix::mm::madvise(start, to - from, rustix::mm::Advice::LinuxDontNeed) };
        debug_assert!(result.is_ok(), "a stack's memory could not be given back: {result:?}");
    }
}

/// A mapped stack: a guard at the bottom, no huge pages.
struct Stack {
    bottom: NonNull<u8>,
    base: usize,
}

impl Stack {
    const BYTES: usize = GUARD_BYTES + NATIVE_BYTES + SCRIPT_BYTES;

    fn new() -> io::Result<Self> {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a fresh private mapping at an address of the system's choice touches no memory
        // in use.
        let start = unsafe {
            rustix::mm::mmap_anonymous(
                ptr::null_mut(),
                Self::BYTES,
                ProtFlags::READ | ProtFlags::WRITE,
                flags,
            )?
        };
        let bottom = NonNull::new(start.cast::<u8>()).expect("a mapping is not at 0");
        let stack = Self { bottom, base: start.addr() + Self::BYTES };
        // SAFETY: the range is the lowest part of the mapping just made, which nothing uses yet.
        unsafe { rustix::mm::mprotect(start, GUARD_BYTES, MprotectFlags::empty())? };
        #[cfg(target_os = "linux")]
        // SAFETY: advice about the mapping just made; it changes no contents. A kernel without huge
        // pages refuses it, which is as good.
        let _ =
            unsafe { rustix::mm::madvise(start, Self::BYTES, rustix::mm::Advice::LinuxNoHugepage) };
        Ok(stack)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new` with this start and length and is unmapped once;
        // no code runs on it, since a coroutine gives up its stack only when it has ended.
        let result = unsafe { rustix::mm::munmap(self.bottom.as_ptr().cast(), Self::BYTES) };
        debug_assert!(result.is_ok(), "a stack could not be unmapped: {result:?}");
    }
}

// SAFETY: `base` and `limit` are the ends of a mapping that lives as long as this value, aligned to
// pages, with `SCRIPT_BYTES + NATIVE_BYTES` usable bytes above a guard that faults on access.
unsafe impl corosensei::stack::Stack for Stack {
    fn base(&self) -> StackPointer {
        StackPointer::new(self.base).expect("a mapping does not end at 0")
    }

    fn limit(&self) -> StackPointer {
        self.bottom.addr()
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    fn operation(value: i64) -> Wait {
        Box::pin(async move { Ok(Value::Int(value)) })
    }

    #[test]
    fn a_fiber_hands_out_its_operations_and_gets_their_answers() {
        let mut fiber = Fiber::new(|| wait(operation(1)).unwrap().unwrap()).unwrap();
        assert!(matches!(fiber.resume(Input::Go), Step::Wait(_)));
        let Step::Done(value) = fiber.resume(Input::Answer(Ok(Value::Int(7)))) else {
            panic!("it has nothing more to wait for")
        };
        assert_eq!(value, Value::Int(7));
        assert!(fiber.is_done());
    }

    #[test]
    fn a_dropped_fiber_is_aborted_and_runs_its_destructors() {
        let alive = Rc::new(());
        let held = Rc::clone(&alive);
        let mut fiber = Fiber::new(move || {
            let mut failed = 0;
            while failed < 3 {
                failed += usize::from(wait(operation(1)).is_err());
            }
            drop(held);
        })
        .unwrap();
        fiber.resume(Input::Go);
        assert_eq!(Rc::strong_count(&alive), 2);
        drop(fiber);
        assert_eq!(Rc::strong_count(&alive), 1);
    }

    #[test]
    fn a_fiber_that_never_ran_can_be_dropped() {
        let alive = Rc::new(());
        let held = Rc::clone(&alive);
        drop(Fiber::new(move || drop(held)).unwrap());
        assert_eq!(Rc::strong_count(&alive), 1);
    }

    #[test]
    fn fibers_interleave_and_nest() {
        let mut first = Fiber::new(|| pause().map(|()| 1)).unwrap();
        let mut second = Fiber::new(move || {
            assert!(matches!(first.resume(Input::Go), Step::Pause));
            pause().unwrap();
            let Step::Done(inner) = first.resume(Input::Go) else { panic!("it pauses once") };
            inner.map(|inner| inner + 1)
        })
        .unwrap();
        assert!(matches!(second.resume(Input::Go), Step::Pause));
        assert!(matches!(second.resume(Input::Go), Step::Done(Ok(2))));
        assert_eq!(pause(), Err(Aborted), "no fiber runs here");
    }

    #[test]
    fn a_panic_inside_reaches_the_driver_and_leaves_the_thread_usable() {
        let mut fiber: Fiber<()> = Fiber::new(|| panic!("broken")).unwrap();
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            fiber.resume(Input::Go);
        }));
        assert!(result.is_err());
        drop(fiber);
        let mut next = Fiber::new(|| 5).unwrap();
        assert!(matches!(next.resume(Input::Go), Step::Done(5)));
    }

    /// Returns how much of the mapping that ends at an address is in memory, in KiB.
    #[cfg(target_os = "linux")]
    fn resident_kib(end: usize) -> usize {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut lines = maps.lines().skip_while(|line| {
            let range = line.split(' ').next().unwrap_or_default();
            range.split_once('-').is_none_or(|(_, to)| usize::from_str_radix(to, 16) != Ok(end))
        });
        let line = lines.find_map(|line| line.strip_prefix("Rss:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Touches some bytes of the stack and returns their sum.
    fn touch(kib: usize) -> usize {
        let page = std::hint::black_box([1_u8; 1024]);
        let deeper = if kib > 1 { touch(kib - 1) } else { 0 };
        deeper + usize::from(page[kib % 1024])
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_suspended_fiber_gives_back_what_lies_below_it_and_keeps_the_rest() {
        let mut fiber = Fiber::new(|| {
            let kept = std::hint::black_box([7_u8; 3000]);
            let mut sum = touch(48);
            for _ in 0..3 {
                pause().unwrap();
                sum += touch(48);
            }
            (sum, kept.iter().map(|byte| usize::from(*byte)).sum::<usize>())
        })
        .unwrap();
        fiber.resume(Input::Go);
        for _ in 0..2 {
            let before = resident_kib(fiber.base);
            assert!(before > 48, "{before} KiB");
            fiber.release();
            let after = resident_kib(fiber.base);
            assert!(after < 24 && after * 1024 >= fiber.depth(), "{before} KiB to {after}");
            assert!(matches!(fiber.resume(Input::Go), Step::Pause));
        }
        fiber.release();
        assert!(matches!(fiber.resume(Input::Go), Step::Done((192, 21000))));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_deep_fiber_leaves_a_shallow_stack() {
        let mut fiber = Fiber::new(|| touch(SHALLOW_BYTES / 512)).unwrap();
        fiber.resume(Input::Go);
        assert!(resident_kib(fiber.base) > SHALLOW_BYTES / 512);
        fiber.trim();
        assert!(resident_kib(fiber.base) <= SHALLOW_BYTES / 1024);
    }

    #[test]
    fn stacks_are_used_again() {
        let floor = {
            let mut fiber = Fiber::new(|| ()).unwrap();
            fiber.resume(Input::Go);
            fiber.floor()
        };
        assert_eq!(Fiber::new(|| ()).unwrap().floor(), floor);
    }
}

//! The call that runs now: whose VU it is, whether it may wait, and the limits that end it.
//!
//! One engine serves all VUs of a worker, so what it calls back finds the VU through a cell that is
//! set around every resume. Rhai asks [`Current::progress`] before each of its operations; there
//! the interrupt, the script's time, its slice and its stack are checked.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use rhai::{Dynamic, EvalAltResult, GlobalRuntimeState, Position};

use super::border::Home;
use super::entry::Entry;
use super::fiber::{self, Fiber, Input, Step};
use super::memory;
use super::space::Spaces;
use super::{SharedModule, Thrown};
use crate::api::{ApiError, ErrorKind, Stop, Value, VuContext, Wait};
use crate::clock::{self, Instant};
use crate::plan::ScriptLimits;

/// A wait that is long: giving back memory and taking it again costs microseconds (the pages fault
/// in anew), which requests to a busy target would pay each time.
const LONG: Duration = Duration::from_secs(1);

/// Places of long waits that a worker remembers.
const LONG_PLACES: usize = 8;

/// Operations between two readings of the clock: about 5 µs of script.
const TICKS: u32 = 64;

/// Why a call ends from outside the script's will. Once set, every further operation of the call
/// fails, so that no `try` and no native that swallows errors (`sort`) keeps it alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// A limit.
    Limit(ErrorKind),
    /// The VU's interrupt.
    Stopped(Stop),
}

/// Whether the code that runs may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiting {
    /// It may.
    Allowed,
    /// The top level runs.
    Loading,
    /// `options()` runs.
    Options,
}

/// One VU's state as native code needs it, kept from call to call.
pub(super) struct Call {
    /// The VU.
    pub(super) vu: Rc<VuContext>,
    /// Whether it may wait now.
    pub(super) waiting: Cell<Waiting>,
    /// The script modules that it loaded, by file.
    pub(super) modules: RefCell<BTreeMap<PathBuf, SharedModule>>,
    /// The script modules that are being loaded, outermost first.
    pub(super) loading: RefCell<Vec<PathBuf>>,
    /// Where the entry's functions are evaluated; nothing while it loads.
    pub(super) home: RefCell<Option<Home>>,
    /// Whether one of these offers methods of values, `fn string.shout()`.
    pub(super) has_methods: Cell<bool>,
    limits: ScriptLimits,
    ending: Cell<Option<Ending>>,
    /// The address below which a look is due: the usual depth, and then the limit.
    watch: Cell<usize>,
    floor: Cell<usize>,
    ticks: Cell<u32>,
    resumed: Cell<Instant>,
    spent: Cell<Duration>,
    /// What the call's earlier steps have added to the memory in use.
    kept: Cell<isize>,
    /// What the thread may hold before this step is over its limit.
    ceiling: Cell<isize>,
}

impl Call {
    pub(super) fn new(vu: Rc<VuContext>, limits: ScriptLimits) -> Rc<Self> {
        Rc::new(Self {
            vu,
            waiting: Cell::new(Waiting::Loading),
            modules: RefCell::default(),
            loading: RefCell::default(),
            home: RefCell::default(),
            has_methods: Cell::new(false),
            limits,
            ending: Cell::new(None),
            watch: Cell::new(0),
            floor: Cell::new(0),
            ticks: Cell::new(TICKS),
            resumed: Cell::new(clock::now()),
            spent: Cell::new(Duration::ZERO),
            kept: Cell::new(0),
            ceiling: Cell::new(isize::MAX),
        })
    }

    /// Forgets the last call.
    fn begin<R>(&self, waiting: Waiting, fiber: &Fiber<R>) {
        self.waiting.set(waiting);
        self.ending.set(None);
        self.watch.set(fiber.shallow());
        self.floor.set(fiber.floor());
        self.spent.set(Duration::ZERO);
        self.kept.set(0);
        self.loading.borrow_mut().clear();
    }

    /// Returns why the call must end, if it must.
    pub(super) fn ending(&self) -> Option<Ending> {
        if self.ending.get().is_none()
            && self.waiting.get() == Waiting::Allowed
            && let Some(stop) = self.vu.interrupt.why()
        {
            self.ending.set(Some(Ending::Stopped(stop)));
        }
        self.ending.get()
    }

    /// Ends the call. The first reason stands.
    pub(super) fn end(&self, ending: Ending) {
        if self.ending.get().is_none() {
            self.ending.set(Some(ending));
        }
    }

    /// Refuses to go on if the call must end.
    pub(super) fn go_on(&self) -> Result<(), Box<EvalAltResult>> {
        match self.ending() {
            Some(_) => Err(terminated()),
            None => Ok(()),
        }
    }

    /// Waits for an operation.
    ///
    /// # Errors
    /// The operation's own, the one about waiting where nothing may, or the termination.
    pub(super) fn wait(
        &self,
        operation: Wait,
    ) -> Result<Result<Value, ApiError>, Box<EvalAltResult>> {
        let place = match self.waiting.get() {
            Waiting::Allowed => {
                self.go_on()?;
                let answer = fiber::wait(operation);
                return answer.map_err(|fiber::Aborted| {
                    self.end(Ending::Stopped(self.vu.interrupt.why().unwrap_or(Stop::Cut)));
                    terminated()
                });
            }
            Waiting::Loading => "while the script loads",
            Waiting::Options => "in options()",
        };
        Ok(Err(ApiError::usage(format!(
            "requests cannot be made and nothing can be waited for {place}; move this into \
             setup() or iteration()"
        ))))
    }

    /// Notes that the call is deeper in its stack than usual; ends it if it is too deep.
    #[cold]
    fn may_reach(&self, address: usize) -> bool {
        self.watch.set(self.floor.get());
        if address < self.floor.get() {
            self.end(Ending::Limit(ErrorKind::Stack));
        }
        address >= self.floor.get()
    }

    /// Takes what native code keeps for all VUs off the call's account; returns whether the call is
    /// within its memory then.
    #[cold]
    fn settle(&self) -> bool {
        let lent = self.vu.lent.take();
        self.ceiling.set(self.ceiling.get().saturating_add(lent));
        self.kept.set(self.kept.get() - lent);
        memory::held() <= self.ceiling.get()
    }

    /// Checks the clock: the script's time and its slice.
    #[cold]
    fn tick(&self) -> bool {
        self.ticks.set(TICKS);
        if self.ending().is_some() {
            return false;
        }
        let now = clock::now();
        let slice = now.duration_since(self.resumed.get());
        let spent = self.spent.get() + slice;
        if spent.saturating_sub(self.vu.excused.get()) > self.limits.time {
            self.end(Ending::Limit(ErrorKind::Time));
            return false;
        }
        if slice > self.limits.slice && self.waiting.get() == Waiting::Allowed {
            self.spent.set(spent);
            if fiber::pause().is_err() {
                self.end(Ending::Stopped(self.vu.interrupt.why().unwrap_or(Stop::Cut)));
                return false;
            }
        }
        true
    }
}

/// Returns the error that no script catches.
#[expect(clippy::unnecessary_box_returns, reason = "Rhai hands errors on in boxes")]
pub(super) fn terminated() -> Thrown {
    Box::new(EvalAltResult::ErrorTerminated(Dynamic::UNIT, Position::NONE))
}

/// The call that runs on this worker now.
#[derive(Default)]
pub(super) struct Current {
    /// What calls evaluate in.
    pub(super) spaces: Spaces,
    /// The functions of the entry that can be called from outside.
    pub(super) entries: RefCell<Vec<Rc<Entry>>>,
    /// What the top level that ended last has left.
    pub(super) captured: RefCell<Option<GlobalRuntimeState>>,
    call: RefCell<Option<Rc<Call>>>,
    /// Whether the native method that was called last failed.
    failed: Cell<bool>,
    /// How deep in their stacks fibers were when they last waited for long, in turn.
    long: Cell<[usize; LONG_PLACES]>,
    /// The method that was missed last, and what to say about it.
    missed: RefCell<Option<(String, String)>>,
}

impl Current {
    /// Returns the entry's function of a name with so many parameters.
    pub(super) fn entry(&self, name: &str, params: usize) -> Option<Rc<Entry>> {
        let entries = self.entries.borrow();
        entries.iter().find(|e| e.params() == params && e.name() == name).map(Rc::clone)
    }

    /// Returns the call that runs.
    pub(super) fn get(&self) -> Option<Rc<Call>> {
        self.call.borrow().clone()
    }

    /// Returns the call that runs.
    ///
    /// # Errors
    /// If none does, which only happens while a script is compiled.
    pub(super) fn call(&self) -> Result<Rc<Call>, Box<EvalAltResult>> {
        self.get().ok_or_else(terminated)
    }

    /// Notes whether a native method failed. Rhai takes every error of a method for a missing
    /// method, and asks for another.
    pub(super) fn note_failure(&self, failed: bool) {
        self.failed.set(failed);
    }

    /// Returns whether a native method failed just now.
    pub(super) fn take_failure(&self) -> bool {
        self.failed.take()
    }

    /// Notes what to say about a method that is missing. Rhai raises the error, with its place.
    pub(super) fn note_missed(&self, method: &str, message: String) {
        *self.missed.borrow_mut() = Some((method.to_owned(), message));
    }

    /// Takes the last note about a missing method.
    pub(super) fn take_missed(&self) -> Option<(String, String)> {
        self.missed.take()
    }

    /// Notes whether a wait at this depth of a stack was long. Scripts wait at few places, and the
    /// same ones again: what was long for one VU will be for the next, until it is not.
    fn note_wait(&self, depth: usize, long: bool) {
        let mut places = self.long.get();
        match (places.iter().position(|known| *known == depth), long) {
            (None, true) => {
                places.rotate_right(1);
                places[0] = depth;
            }
            (Some(at), false) => places[at] = 0,
            _ => return,
        }
        self.long.set(places);
    }

    fn is_long(&self, depth: usize) -> bool {
        self.long.get().contains(&depth)
    }

    /// Says before each operation of a script whether it must end: `Some` ends it.
    pub(super) fn progress(&self) -> Option<Dynamic> {
        let current = self.call.borrow();
        let call = current.as_ref()?;
        let marker = 0_u8;
        let here = (&raw const marker).addr();
        if here < call.watch.get() && !call.may_reach(here) {
            return Some(Dynamic::UNIT);
        }
        if memory::held() > call.ceiling.get() && !call.settle() {
            call.end(Ending::Limit(ErrorKind::Memory));
            return Some(Dynamic::UNIT);
        }
        let ticks = call.ticks.get();
        if ticks > 0 && call.ending.get().is_none() {
            call.ticks.set(ticks - 1);
            return None;
        }
        // The check may suspend this fiber, and others use the cell meanwhile.
        let call = Rc::clone(call);
        drop(current);
        if call.tick() { None } else { Some(Dynamic::UNIT) }
    }
}

/// A call under way: a fiber, and what to set around each of its steps.
pub(super) struct Running<R: 'static> {
    current: Rc<Current>,
    call: Rc<Call>,
    fiber: Fiber<R>,
}

impl<R> Running<R> {
    /// Prepares a call that runs `body`.
    pub(super) fn new(
        current: &Rc<Current>,
        call: &Rc<Call>,
        waiting: Waiting,
        body: impl FnOnce() -> R + 'static,
    ) -> std::io::Result<Self> {
        let fiber = Fiber::new(body)?;
        call.begin(waiting, &fiber);
        Ok(Self { current: Rc::clone(current), call: Rc::clone(call), fiber })
    }

    fn resume(&mut self, input: Input) -> Step<R> {
        struct Restore<'a>(&'a Current, Option<Rc<Call>>);
        impl Drop for Restore<'_> {
            fn drop(&mut self) {
                *self.0.call.borrow_mut() = self.1.take();
            }
        }
        let outer = self.current.call.borrow_mut().replace(Rc::clone(&self.call));
        let _restore = Restore(&self.current, outer);
        let now = clock::now();
        let before = self.call.resumed.replace(now);
        if matches!(input, Input::Answer(_)) {
            self.call.spent.set(Duration::ZERO);
            self.current.note_wait(self.fiber.depth(), now.duration_since(before) >= LONG);
        }
        let before = memory::held();
        let allowed = isize::try_from(self.call.limits.memory_bytes).unwrap_or(isize::MAX);
        let left = allowed.saturating_sub(self.call.kept.get());
        self.call.ceiling.set(before.saturating_add(left));
        let step = self.fiber.resume(input);
        let added = memory::held() - before - self.call.vu.lent.take();
        self.call.kept.set(self.call.kept.get() + added);
        step
    }

    /// Runs the call to its end, which it reaches without waiting.
    pub(super) fn finish(mut self) -> R {
        let mut input = Input::Go;
        loop {
            match self.resume(input) {
                Step::Done(result) => return self.result(result),
                Step::Wait(_) | Step::Pause => input = Input::Abort,
            }
        }
    }

    /// Drives the call: polls what it waits for and races that with the VU's interrupt.
    ///
    /// It borrows the call, and holds no step while it waits: every VU has one of these futures.
    pub(super) async fn drive(&mut self) -> R {
        let vu = Rc::clone(&self.call.vu);
        let (mut input, mut slice) = (Input::Go, None);
        loop {
            let step = self.resume(input);
            drop(slice.take());
            let operation = match step {
                Step::Done(result) => return self.result(result),
                Step::Pause => None,
                Step::Wait(operation) => {
                    if self.current.is_long(self.fiber.depth()) {
                        self.fiber.release();
                    }
                    Some(operation)
                }
            };
            input = match operation {
                None => {
                    slice = Some(vu.worker.slices.turn().await);
                    Input::Go
                }
                Some(operation) => {
                    vu.worker.step().await;
                    if vu.interrupt.why().is_some() {
                        Input::Abort
                    } else {
                        // The operation first: requests end by themselves when the VU is
                        // interrupted, and record what they were.
                        tokio::select! {
                            biased;
                            answer = operation => Input::Answer(answer),
                            () = vu.interrupt.stopped() => Input::Abort,
                        }
                    }
                }
            };
        }
    }

    fn result(&mut self, result: R) -> R {
        if matches!(self.call.ending.get(), Some(Ending::Limit(_))) {
            self.fiber.discard_stack();
        } else if self.call.watch.get() == self.call.floor.get() {
            self.fiber.trim();
        }
        result
    }
}

impl<R> Drop for Running<R> {
    fn drop(&mut self) {
        if !self.fiber.is_done() {
            self.call.end(Ending::Stopped(self.call.vu.interrupt.why().unwrap_or(Stop::Cut)));
            // A fiber that never ran is dropped as it is.
            while self.fiber.is_started() && !self.fiber.is_done() {
                drop(self.resume(Input::Abort));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_long_as_long_as_its_last_wait_was() {
        let current = Current::default();
        current.note_wait(64, false);
        assert!(!current.is_long(64));
        current.note_wait(64, true);
        current.note_wait(128, true);
        assert!(current.is_long(64) && current.is_long(128));
        current.note_wait(64, false);
        assert!(!current.is_long(64) && current.is_long(128));
        for depth in 1..=LONG_PLACES {
            current.note_wait(depth, true);
        }
        assert!(!current.is_long(128), "the oldest is forgotten");
        assert!((1..=LONG_PLACES).all(|depth| current.is_long(depth)));
    }
}

//! What ends a VU's iteration, or its scenario, from outside.
//!
//! Every wait of a script also waits for this, so registering must cost next to nothing: a VU runs in
//! one task, whose waker is kept from one wait to the next. General notification primitives lock and
//! link lists, twice for each request.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// Why script code must end now, checked wherever a script can be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stop {
    /// The iteration was cut off: the scenario's graceful stop ran out, or the test was stopped.
    Cut,
    /// The script itself ended the test: `kt.abort`.
    Abort,
    /// There is nothing left to iterate with, which ends the scenario.
    RanOut,
}

/// Ends a VU's iteration from outside: waits end at once, and script code at the next check.
#[derive(Debug, Default)]
pub struct Interrupt {
    stop: Cell<Option<Stop>>,
    /// The waker of the task that waited last, kept until another waits alone.
    task: RefCell<Option<Waker>>,
    /// How many wait.
    waiting: Cell<u32>,
    /// Wakers of waits inside combinators that poll their parts each with a waker of its own.
    parts: RefCell<Vec<(u64, Waker)>>,
    next_part: Cell<u64>,
}

impl Interrupt {
    /// Ends what runs.
    pub fn stop(&self, why: Stop) {
        if self.stop.get().is_none() {
            self.stop.set(Some(why));
        }
        // Woken after they were taken out: a waker may run code that registers anew.
        let task = self.task.take();
        let parts = self.parts.take();
        task.into_iter().chain(parts.into_iter().map(|(_, waker)| waker)).for_each(Waker::wake);
    }

    /// Returns why what runs must end, if it must.
    pub fn why(&self) -> Option<Stop> {
        self.stop.get()
    }

    /// Lets the VU run again.
    pub fn reset(&self) {
        self.stop.set(None);
    }

    /// Waits until what runs must end.
    pub fn stopped(&self) -> Stopped<'_> {
        Stopped { interrupt: self, waits: false, part: None }
    }

    /// Registers a waker beside those of `others` who wait; returns the number of a registration
    /// that must be taken back.
    fn register(&self, waker: &Waker, others: u32) -> Option<u64> {
        let mut task = self.task.borrow_mut();
        if task.as_ref().is_some_and(|known| known.will_wake(waker)) {
            return None;
        }
        if task.is_none() || others == 0 {
            *task = Some(waker.clone());
            return None;
        }
        let number = self.next_part.get();
        self.next_part.set(number + 1);
        self.parts.borrow_mut().push((number, waker.clone()));
        Some(number)
    }
}

/// Waits for [`Interrupt::stop`].
#[derive(Debug)]
pub struct Stopped<'a> {
    interrupt: &'a Interrupt,
    waits: bool,
    part: Option<u64>,
}

impl Stopped<'_> {
    fn forget(&mut self) {
        if let Some(number) = self.part.take() {
            self.interrupt.parts.borrow_mut().retain(|(known, _)| *known != number);
        }
    }
}

impl Future for Stopped<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let interrupt = self.interrupt;
        if interrupt.why().is_some() {
            return Poll::Ready(());
        }
        if !std::mem::replace(&mut self.waits, true) {
            interrupt.waiting.set(interrupt.waiting.get() + 1);
        }
        self.forget();
        self.part = interrupt.register(context.waker(), interrupt.waiting.get() - 1);
        Poll::Pending
    }
}

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        self.forget();
        if self.waits {
            self.interrupt.waiting.set(self.interrupt.waiting.get() - 1);
        }
    }
}

/// Lets no more iterations of a scenario start on its worker.
pub struct ScenarioEnd(Box<dyn Fn() -> bool>);

impl ScenarioEnd {
    /// Takes what ends it, which returns whether it had not been ended before.
    pub fn new(end: impl Fn() -> bool + 'static) -> Self {
        Self(Box::new(end))
    }

    /// Ends it; returns whether it had not been ended before.
    pub fn now(&self) -> bool {
        (self.0)()
    }
}

impl std::fmt::Debug for ScenarioEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ScenarioEnd")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Polls once with a waker that counts.
    fn poll(stopped: &mut Stopped<'_>, count: &Arc<Count>) -> Poll<()> {
        let waker = Waker::from(Arc::clone(count));
        Pin::new(stopped).poll(&mut Context::from_waker(&waker))
    }

    #[test]
    fn all_who_wait_are_woken_whatever_their_waker() {
        let interrupt = Interrupt::default();
        let (task, part, gone) = (Arc::<Count>::default(), Arc::default(), Arc::default());
        let (mut one, mut two, mut three) =
            (interrupt.stopped(), interrupt.stopped(), interrupt.stopped());
        assert!(poll(&mut one, &task).is_pending() && poll(&mut two, &part).is_pending());
        assert!(poll(&mut two, &part).is_pending() && poll(&mut three, &gone).is_pending());
        drop(three);
        interrupt.stop(Stop::Cut);
        interrupt.stop(Stop::Abort);
        let woken = [&task, &part, &gone].map(|count: &Arc<Count>| count.0.load(Ordering::Relaxed));
        assert_eq!(woken, [1, 1, 0]);
        assert!(poll(&mut one, &task).is_ready() && poll(&mut two, &part).is_ready());
        assert_eq!(interrupt.why(), Some(Stop::Cut));
    }

    #[test]
    fn a_task_is_registered_once_for_all_its_waits() {
        let interrupt = Interrupt::default();
        let (old, new) = (Arc::<Count>::default(), Arc::<Count>::default());
        for _ in 0..3 {
            assert!(poll(&mut interrupt.stopped(), &old).is_pending());
        }
        assert!(interrupt.parts.borrow().is_empty());
        // The VU lives on in another task.
        assert!(poll(&mut interrupt.stopped(), &new).is_pending());
        assert!(interrupt.parts.borrow().is_empty());
        let mut waits = interrupt.stopped();
        assert!(poll(&mut waits, &new).is_pending());
        interrupt.stop(Stop::Cut);
        assert_eq!([&old, &new].map(|count| count.0.load(Ordering::Relaxed)), [0, 1]);
        interrupt.reset();
        assert!(poll(&mut waits, &new).is_pending());
        interrupt.stop(Stop::Cut);
        assert_eq!(new.0.load(Ordering::Relaxed), 2);
        drop(waits);
        assert_eq!((interrupt.waiting.get(), interrupt.parts.borrow().len()), (0, 0));
    }
}

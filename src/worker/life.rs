//! A worker's life: make VUs, prepare them, run scenarios, send figures every interval, end.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use super::errors::Errors;
use super::ground::{self, LogFlow};
use super::scenario::Part;
use super::{Assignment, Command, Failure, Interval, Message, Outbox};
use crate::api::{Event, Value};
use crate::clock::{self, Instant};
use crate::metrics::{TagSetId, builtin};
use crate::vu::{Ground, Vu};

/// How often figures are sent.
const INTERVAL: Duration = Duration::from_secs(1);

/// How often the worker looks whether its timers fire in time.
const PROBE: Duration = Duration::from_millis(20);

/// Lives a worker's life.
pub(super) async fn live(
    assignment: Rc<Assignment>,
    mut commands: UnboundedReceiver<Command>,
    outbox: Outbox,
) {
    let (joining, mut joined) = unbounded_channel();
    let worker = match Worker::new(&assignment, outbox.clone(), joining) {
        Ok(worker) => Rc::new(worker),
        Err(failure) => {
            let index = assignment.share.index as usize;
            let _gone = outbox.send((index, Message::Failed(Box::new(failure))));
            return;
        }
    };
    worker.send(Message::Ready);
    let Some(zero) = worker.wait_for_begin(&mut commands).await else {
        // Who was prepared is to say goodbye, though nothing has begun.
        join_all(worker.parts().iter().map(|part| part.dismiss())).await;
        worker.send(Message::Ended(Box::new(worker.interval())));
        return;
    };
    worker.cpu_before.set(clock::thread_cpu());
    worker.last_look.set((zero, clock::thread_cpu()));
    let mut scenarios = JoinSet::new();
    let start = |scenarios: &mut JoinSet<()>, part: Rc<Part>| {
        let worker = Rc::clone(&worker);
        scenarios.spawn_local(async move {
            part.run().await;
            worker.send(Message::ScenarioEnded(part.index()));
        });
    };
    for part in worker.parts() {
        part.begin_with_test(zero);
        start(&mut scenarios, part);
    }
    let ended = async {
        loop {
            let idle = scenarios.is_empty();
            if idle && worker.finished.get() {
                break;
            }
            tokio::select! {
                biased;
                Some(part) = joined.recv() => start(&mut scenarios, part),
                result = scenarios.join_next(), if !idle => {
                    if let Some(Err(error)) = result
                        && error.is_panic()
                    {
                        std::panic::resume_unwind(error.into_panic());
                    }
                }
                () = worker.finish.notified(), if idle => {}
            }
        }
    };
    tokio::select! {
        biased;
        () = ended => {}
        () = worker.obey(&mut commands) => {}
        () = worker.report(zero) => {}
        () = worker.probe() => {}
    }
    worker.send(Message::Ended(Box::new(worker.interval())));
}

pub(super) struct Worker {
    index: usize,
    pub(super) ground: Rc<Ground>,
    pub(super) parts: RefCell<Vec<Rc<Part>>>,
    /// Takes parts that join the test while it runs.
    pub(super) joining: UnboundedSender<Rc<Part>>,
    /// Whether no part will join any more.
    finished: Cell<bool>,
    finish: Notify,
    errors: Rc<Errors>,
    logs: Rc<LogFlow>,
    outbox: Outbox,
    /// Whether the test stops.
    stopped: Cell<bool>,
    preparing: RefCell<Vec<Rc<crate::api::Interrupt>>>,
    /// CPU time of the thread when the scenarios began.
    cpu_before: Cell<Duration>,
    /// When the last interval ended, and the CPU time of the thread then.
    last_look: Cell<(Instant, Duration)>,
}

impl Worker {
    fn new(
        assignment: &Assignment,
        outbox: Outbox,
        joining: UnboundedSender<Rc<Part>>,
    ) -> Result<Self, Failure> {
        let errors = Rc::<Errors>::default();
        let logs = Rc::<LogFlow>::default();
        let ground = ground::make(assignment, &outbox, &errors, &logs)?;
        let mut parts = Vec::new();
        for index in 0..assignment.plan.scenarios.len() {
            let part = Part::new(&ground, &assignment.plan, assignment.share, index);
            part.make_vus().map_err(Failure::Script)?;
            parts.push(Rc::new(part));
        }
        let index = assignment.share.index as usize;
        let (stopped, preparing, cpu_before) = Default::default();
        let last_look = Cell::new((clock::now(), clock::thread_cpu()));
        Ok(Self {
            index,
            ground,
            parts: RefCell::new(parts),
            joining,
            finished: Cell::new(!assignment.lingers),
            finish: Notify::new(),
            errors,
            logs,
            outbox,
            stopped,
            preparing,
            cpu_before,
            last_look,
        })
    }

    fn parts(&self) -> Vec<Rc<Part>> {
        self.parts.borrow().clone()
    }

    fn finish(&self) {
        self.finished.set(true);
        self.finish.notify_one();
    }

    pub(super) fn send(&self, message: Message) {
        // A controller that is gone has given up on the run; there is nobody left to tell.
        let _gone = self.outbox.send((self.index, message));
    }

    /// Obeys until the scenarios begin; nothing if the test stops before, or the controller is gone.
    async fn wait_for_begin(&self, commands: &mut UnboundedReceiver<Command>) -> Option<Instant> {
        while !self.stopped.get() {
            match commands.recv().await? {
                Command::Prepare(data) => {
                    *self.ground.data.borrow_mut() = Rc::new(Value::from_json(&data));
                    tokio::select! {
                        biased;
                        () = self.prepare() => self.send(Message::Prepared),
                        () = self.obey(commands) => {}
                    }
                }
                Command::Begin(zero) => return Some(zero),
                other => self.execute(&other),
            }
        }
        None
    }

    /// Runs `vu_setup` of all VUs that exist, at once.
    async fn prepare(&self) {
        for part in self.parts() {
            if self.stopped.get() {
                return;
            }
            let vus = part.take_vus();
            self.preparing.borrow_mut().extend(vus.iter().map(Vu::interrupt));
            let prepared = join_all(vus.into_iter().map(|mut vu| async move {
                vu.prepare().await;
                vu
            }))
            .await;
            part.put_vus(prepared);
            self.preparing.borrow_mut().clear();
        }
    }

    /// Obeys for ever.
    async fn obey(&self, commands: &mut UnboundedReceiver<Command>) {
        while let Some(command) = commands.recv().await {
            self.execute(&command);
        }
        // The controller is gone: end as fast as possible.
        self.execute(&Command::Cut);
        std::future::pending::<()>().await;
    }

    fn execute(&self, command: &Command) {
        match command {
            Command::StartScenario(index, at) => self.parts()[*index].begin(*at),
            Command::Finish => self.finish(),
            Command::Pause(paused) => self.ground.pause.set(*paused),
            Command::EndScenario(index) => self.parts()[*index].control.close(),
            Command::Reload(revision) => self.reload(revision),
            Command::Stop => {
                self.stopped.set(true);
                self.parts().iter().for_each(|part| part.control.close());
                self.finish();
            }
            Command::Cut => {
                self.stopped.set(true);
                self.parts().iter().for_each(|part| part.control.cut());
                self.finish();
                for interrupt in &*self.preparing.borrow() {
                    interrupt.stop(crate::api::Stop::Cut);
                }
            }
            Command::Prepare(_) | Command::Begin(_) => {}
        }
    }

    /// Sends figures at every interval after `zero`.
    async fn report(&self, zero: Instant) {
        let mut at = zero;
        loop {
            at += INTERVAL;
            tokio::time::sleep_until(at).await;
            self.send(Message::Interval(Box::new(self.interval())));
            let dropped = self.logs.renew();
            if dropped > 0 {
                self.send(Message::Event(Event::Warning(format!(
                    "a script logs more than can be shown: {dropped} lines were left out"
                ))));
            }
        }
    }

    /// Looks for ever whether the worker's timers fire in time.
    ///
    /// The looks keep their schedule: after a stall each one that was missed counts with its own
    /// lateness, so that a stall weighs as much as it lasted.
    async fn probe(&self) {
        let mut at = clock::now() + PROBE;
        loop {
            tokio::time::sleep_until(at).await;
            let now = clock::now();
            let mut shard = self.ground.worker.shard.borrow_mut();
            while at <= now {
                shard.add_duration(builtin::GENERATOR_LAG, TagSetId::EMPTY, now - at);
                at += PROBE;
            }
        }
    }

    /// Records which share of its core the worker used since the last look, as its part of the
    /// share of all workers' cores: the aggregate adds the parts.
    fn record_cpu(&self) {
        let (now, cpu) = (clock::now(), clock::thread_cpu());
        let (then, cpu_then) = self.last_look.replace((now, cpu));
        let seconds = now.saturating_duration_since(then).as_secs_f64();
        // What is left of the last interval may be too short to say anything.
        if seconds > 0.1 {
            let share = cpu.saturating_sub(cpu_then).as_secs_f64() / seconds;
            let workers = self.ground.share.count as f64;
            let mut shard = self.ground.worker.shard.borrow_mut();
            shard.add(builtin::GENERATOR_CPU, TagSetId::EMPTY, share.min(1.0) / workers);
        }
    }

    fn interval(&self) -> Interval {
        self.record_cpu();
        Interval {
            snapshot: self.ground.worker.shard.borrow_mut().take(),
            scenarios: self.parts.borrow().iter().map(|part| part.tally()).collect(),
            errors: self.errors.take(),
            cpu: clock::thread_cpu(),
            cpu_before: self.cpu_before.get(),
        }
    }
}

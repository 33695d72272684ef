//! One virtual user: a script's instance, its life, and what an iteration of it records.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::Ordering;

use tokio::sync::Notify;

use crate::api::{Interrupt, Phase, ScenarioContext, Stop, Value, VuContext, WorkerContext};
use crate::clock::{self, Instant};
use crate::metrics::{Shard, TagSetId, builtin};
use crate::protocol::RequestRate;
use crate::script::{Argument, Host, Instance, ScriptError, ScriptErrorKind};

/// The functions of a script that belong to a VU's life rather than to a scenario.
const VU_SETUP: &str = "vu_setup";
const VU_TEARDOWN: &str = "vu_teardown";

/// Takes an error of a VU's script.
pub type OnError = Box<dyn Fn(&ScriptError, &VuContext)>;

/// What a worker's VUs have in common.
pub struct Ground {
    /// What operations act on.
    pub worker: Rc<WorkerContext>,
    /// The script, the newest version.
    pub version: RefCell<Rc<Version>>,
    /// What `setup` returned.
    pub data: RefCell<Rc<Value>>,
    /// Takes the errors of iterations.
    pub on_error: OnError,
    /// Whether VUs wait.
    pub pause: Pause,
    /// Whether samples of scenarios have the tag `script_version`.
    pub tag_versions: bool,
    /// The number of the next VU in this worker, from 0, and the rule that makes it unique in the test.
    pub next_vu: Cell<u64>,
    /// This worker's part of the rate that limits the requests of the whole test.
    pub rate: Option<Rc<RequestRate>>,
    /// This worker's share of VU numbers.
    pub share: crate::plan::Share,
}

/// Whether a worker's VUs wait before their next iterations.
#[derive(Debug, Default)]
pub struct Pause {
    paused: Cell<bool>,
    changed: Notify,
}

impl Pause {
    /// Lets VUs wait, or go on.
    pub fn set(&self, paused: bool) {
        self.paused.set(paused);
        self.changed.notify_waiters();
    }

    /// Waits until VUs may go on.
    async fn over(&self) {
        loop {
            let changed = self.changed.notified();
            if !self.paused.get() {
                return;
            }
            changed.await;
        }
    }
}

/// A script as one worker has compiled it.
pub struct Version {
    /// From 0; each reload adds one.
    pub number: u64,
    /// The compiled script.
    pub host: Host,
}

/// What the VUs of a scenario do on one worker. A reload changes it; VUs look when they take over
/// the new version.
pub struct Post {
    /// The scenario.
    pub context: RefCell<Rc<ScenarioContext>>,
    /// The function that they run.
    pub function: RefCell<String>,
}

/// When an iteration was due, and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// Number in the scenario over all workers, from 0.
    pub number: u64,
    /// From the schedule; `None` in closed scenarios.
    pub due: Option<Instant>,
}

/// How an iteration ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// To its end.
    Completed,
    /// With an error of the script.
    Failed,
    /// Cut off from outside.
    Interrupted,
}

/// A virtual user.
pub struct Vu {
    ground: Rc<Ground>,
    context: Rc<VuContext>,
    instance: Instance,
    function: String,
    post: Rc<Post>,
    /// The version that the instance is of, or that it could not become.
    version: u64,
    /// The position of its scenario in the plan.
    scenario: usize,
    has_setup: bool,
    has_teardown: bool,
    /// Whether the script has been given the set-up data.
    has_data: bool,
}

impl Vu {
    /// Makes the next VU of a worker, for a scenario.
    ///
    /// # Errors
    /// If the script's top level fails.
    pub fn new(ground: &Rc<Ground>, post: &Rc<Post>) -> Result<Self, ScriptError> {
        let scenario = Rc::clone(&post.context.borrow());
        let version = Rc::clone(&ground.version.borrow());
        let number = ground.next_vu.get();
        ground.next_vu.set(number + 1);
        let id = ground.share.nth(number) + 1;
        let context = VuContext::new(Rc::clone(&ground.worker), id, number + 1);
        let instance = version.host.instance(&context)?;
        context.enter(Rc::clone(&scenario));
        for counts in ground.worker.status.counts(scenario.index) {
            counts.existing.enter();
        }
        Ok(Self {
            ground: Rc::clone(ground),
            has_setup: offers(&instance, VU_SETUP),
            has_teardown: offers(&instance, VU_TEARDOWN),
            context,
            instance,
            function: post.function.borrow().clone(),
            post: Rc::clone(post),
            version: version.number,
            has_data: false,
            scenario: scenario.index,
        })
    }

    /// Takes over the newest version of the script: connections, cookies, numbers and tags stay, what
    /// the script held in its variables and in `kt.vu.state` goes. So `vu_setup` runs in the new version, and
    /// `vu_teardown` before in the old one, which knows what is to be cleared away.
    ///
    /// A version that fails to load for this VU leaves it the one that it has.
    async fn renew(&mut self) {
        let version = Rc::clone(&self.ground.version.borrow());
        let scenario = self.context.step_out();
        let loaded = version.host.instance(&self.context);
        self.context.stay(scenario);
        match loaded {
            // It is being cut off; if it is wanted again, it tries again.
            Err(ScriptError { kind: ScriptErrorKind::Stopped(_), .. }) => {}
            Err(error) => {
                self.version = version.number;
                self.report(&error);
            }
            Ok(instance) => {
                self.version = version.number;
                if self.has_teardown && self.has_data {
                    self.context.phase.set(Phase::VuTeardown);
                    if let Err(error) = self.say_goodbye().await {
                        self.report(&error);
                    }
                }
                self.context.state.clear();
                self.instance = instance;
                self.has_setup = offers(&self.instance, VU_SETUP);
                self.has_teardown = offers(&self.instance, VU_TEARDOWN);
                self.has_data = false;
                self.function.clone_from(&self.post.function.borrow());
                self.context.stay(Some(Rc::clone(&self.post.context.borrow())));
                self.prepare().await;
            }
        }
    }

    /// Returns what ends its iterations from outside.
    pub fn interrupt(&self) -> Rc<Interrupt> {
        Rc::clone(&self.context.interrupt)
    }

    /// Gives the script the set-up data and runs its `vu_setup`, once.
    pub async fn prepare(&mut self) {
        if self.has_data {
            return;
        }
        self.has_data = true;
        let data = Rc::clone(&self.ground.data.borrow());
        if let Err(error) = self.instance.set_data(&data) {
            self.report(&error);
        }
        if self.has_setup {
            self.context.phase.set(Phase::VuSetup);
            if let Err(error) = self.instance.call(VU_SETUP, Argument::Data).await {
                self.report(&error);
            }
            self.record_bytes();
        }
    }

    /// Runs one iteration and records it.
    ///
    /// To cut it off, stop its [`Vu::interrupt`] and wait: the future must not be dropped.
    pub async fn iterate(&mut self, start: Start) -> End {
        // Boxed, as all of it is rare: a VU is as large as its largest future.
        if self.ground.pause.paused.get() {
            Box::pin(self.rest()).await;
        }
        if self.version != self.ground.version.borrow().number {
            Box::pin(self.renew()).await;
        }
        if !self.has_data {
            Box::pin(self.prepare()).await;
        }
        let started = clock::now();
        let status = &self.ground.worker.status;
        self.context.begin_iteration(start.number, started);
        status.counts(self.scenario).for_each(|counts| counts.active.enter());
        let result = self.instance.call(&self.function, Argument::Data).await;
        let ended = clock::now();
        status.counts(self.scenario).for_each(|counts| counts.active.leave());
        let end = match &result {
            Ok(_) => End::Completed,
            Err(error) => match error.kind {
                ScriptErrorKind::Stopped(Stop::Cut | Stop::RanOut) => End::Interrupted,
                // The iteration that aborts the test has done what it was for.
                ScriptErrorKind::Stopped(Stop::Abort) => End::Completed,
                ScriptErrorKind::Load | ScriptErrorKind::Uncaught(_) => End::Failed,
            },
        };
        if let (Err(error), End::Failed) = (&result, end) {
            self.report(error);
        }
        self.record(start, started, ended, end);
        self.context.end_iteration();
        self.pad(started).await;
        end
    }

    /// Waits while the test is paused, or until the VU is cut off.
    async fn rest(&self) {
        tokio::select! {
            biased;
            () = self.context.interrupt.stopped() => {}
            () = self.ground.pause.over() => {}
        }
    }

    /// Waits until `min_iteration_duration` has passed since the iteration's start.
    async fn pad(&self, started: Instant) {
        let least = self.ground.worker.revised.borrow().min_iteration_duration;
        if !least.is_zero() && self.context.interrupt.why().is_none() {
            tokio::select! {
                biased;
                () = self.context.interrupt.stopped() => {}
                () = tokio::time::sleep_until(started + least) => {}
            }
        }
    }

    /// Runs `vu_teardown`, once, at the end of the VU's life.
    pub async fn retire(mut self) {
        // A VU that was cut off still says goodbye; its connections are its own affair.
        self.context.interrupt.reset();
        if self.has_teardown && self.has_data {
            self.context.phase.set(Phase::VuTeardown);
            if let Err(error) = self.say_goodbye().await {
                self.report(&error);
            }
        }
        // Sockets are few, and their farewell's future is large.
        Box::pin(self.context.ws.retire()).await;
        self.record_bytes();
    }

    /// Calls `vu_teardown`, at most for `teardown_timeout`: nothing else would end it.
    async fn say_goodbye(&mut self) -> Result<Value, ScriptError> {
        let limit = self.ground.worker.revised.borrow().teardown_timeout;
        let interrupt = self.interrupt();
        let mut call = std::pin::pin!(self.instance.call(VU_TEARDOWN, Argument::Data));
        tokio::select! {
            biased;
            result = &mut call => return result,
            () = tokio::time::sleep(limit) => interrupt.stop(Stop::Cut),
        }
        call.await
    }

    fn report(&self, error: &ScriptError) {
        let kind = match error.kind {
            ScriptErrorKind::Uncaught(kind) => Some(kind.as_str()),
            // A module that an iteration asked for and did not get.
            ScriptErrorKind::Load => Some("load"),
            ScriptErrorKind::Stopped(_) => None,
        };
        if let Some(kind) = kind {
            let worker = &self.ground.worker;
            let mut shard = worker.shard.borrow_mut();
            let tags = shard.tag_set(self.context.tag_set(), &[("kind", kind)]);
            shard.add(builtin::ITERATION_ERRORS, tags, 1.0);
        }
        if !matches!(error.kind, ScriptErrorKind::Stopped(_)) {
            (self.ground.on_error)(error, &self.context);
        }
    }

    /// Records an iteration. What was cut off enters the distributions with the time that it had.
    fn record(&self, start: Start, started: Instant, ended: Instant, end: End) {
        let worker = &self.ground.worker;
        let tags = self.scenario_tags();
        let status = &worker.status;
        let mut shard = worker.shard.borrow_mut();
        if end == End::Interrupted {
            status.iterations_interrupted.fetch_add(1, Ordering::Relaxed);
            shard.add(builtin::INTERRUPTED_ITERATIONS, tags, 1.0);
        } else {
            status.iterations_completed.fetch_add(1, Ordering::Relaxed);
            shard.add(builtin::ITERATIONS, tags, 1.0);
        }
        // One that found nothing to iterate with did nothing that took time.
        if self.context.interrupt.why() != Some(Stop::RanOut) {
            shard.add_duration(builtin::ITERATION_DURATION, tags, ended - started);
            if let Some(due) = start.due {
                let lateness = started.saturating_duration_since(due);
                record_open(&mut shard, tags, lateness, ended - due);
            }
        }
        drop(shard);
        self.record_bytes();
        if let Some(scenario) = &*self.context.scenario.borrow() {
            let ended = &scenario.life.iterations_ended;
            ended.set(ended.get() + 1);
        }
    }

    /// Records what went over the VU's sockets since the last time.
    fn record_bytes(&self) {
        let (sent, received) = self.context.http.take_bytes();
        if sent + received > 0 {
            let tags = self.scenario_tags();
            let mut shard = self.ground.worker.shard.borrow_mut();
            shard.add(builtin::DATA_SENT, tags, sent as f64);
            shard.add(builtin::DATA_RECEIVED, tags, received as f64);
        }
    }

    fn scenario_tags(&self) -> TagSetId {
        self.context.scenario.borrow().as_ref().map_or(TagSetId::EMPTY, |s| s.tags)
    }
}

fn offers(instance: &Instance, function: &str) -> bool {
    instance.functions().iter().any(|name| name == function)
}

impl Drop for Vu {
    fn drop(&mut self) {
        for counts in self.ground.worker.status.counts(self.scenario) {
            counts.existing.leave();
        }
    }
}

/// Records the times of an open scenario's iteration.
pub fn record_open(
    shard: &mut Shard,
    tags: TagSetId,
    lateness: std::time::Duration,
    response: std::time::Duration,
) {
    shard.add_duration(builtin::ITERATION_LATENESS, tags, lateness);
    shard.add_duration(builtin::ITERATION_RESPONSE_TIME, tags, response);
}

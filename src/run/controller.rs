//! The controller: starts workers, merges their figures, judges, stops, and ends the run.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use indexmap::IndexMap;
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::backstage::{Backstage, Ended};
use super::generator::Generator;
use super::population::Population;
use super::scenarios::Scenarios;
use super::stop::{Stopped, exit};
use super::thresholds::Thresholds;
use super::watch::{News, Watch, Watching};
use super::{Finished, Observer, Signals, Test};
use crate::api::{Event, Phase, TestStatus};
use crate::clock::{self, Instant};
use crate::metrics::Aggregate;
use crate::output::{Outcome, Progress, ReloadResult};
use crate::plan::Plan;
use crate::script::{Argument, ScriptError, ScriptErrorKind};
use crate::units;
use crate::worker::{self, Command, ErrorRow, Failure, Message};

use self::ending::ended_at_once;

mod ending;
mod reloading;
mod starting;

/// How often figures are judged and shown.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long after an interval's end its figures are looked at, so that all workers' have come in.
const SETTLE: Duration = Duration::from_millis(50);

/// Between the word to begin and the zero of time: all workers hear it before.
const LEAD: Duration = Duration::from_millis(2);

/// Most scenarios that join a test while it runs.
const JOINING_MAX: usize = 100;

/// Most kinds of errors that are told apart.
const ERROR_KINDS_MAX: usize = 1_000;

/// Runs a test; if it is watched, new versions of it as they are saved.
///
/// Always returns: what goes wrong with the run is in its outcome, beside the figures so far. If a
/// third signal comes, it returns at once and leaves its threads behind for the process to end.
pub fn run(
    test: &Test,
    watch: Option<Watch>,
    observer: &mut dyn Observer,
) -> Result<Finished, Outcome> {
    let defect = |message: String| Stopped::Defect(message).outcome();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| defect(format!("there is no runtime: {error}")))?;
    let local = tokio::task::LocalSet::new();
    let finished = local.block_on(&runtime, async {
        let signals = Signals::new()
            .map_err(|error| defect(format!("signals cannot be listened to: {error}")))?;
        let thresholds = if test.gates.no_thresholds {
            Thresholds::default()
        } else {
            Thresholds::new(&test.plan, &test.registry).map_err(|error| Outcome {
                exit_code: exit::OPTIONS,
                verdict: "error",
                reason: error.to_string(),
            })?
        };
        let watching = watch.map(|watch| Watching::start(watch, test)).transpose();
        let watching = watching.map_err(defect)?;
        Controller::new(test, observer, signals, thresholds, watching).run().await
    });
    // A resolver call that hangs in the runtime's pool must not hold up the end.
    runtime.shutdown_background();
    finished
}

struct Worker {
    commands: UnboundedSender<Command>,
    thread: JoinHandle<()>,
    ended: bool,
}

struct Controller<'a> {
    /// The test as it began.
    test: &'a Test,
    /// The plan as it is now.
    plan: Arc<Plan>,
    /// Where new versions come from.
    watching: Option<Watching>,
    /// Whether the workers have been told that no scenario will join any more.
    finishing: bool,
    /// The last version that was taken over.
    latest: Option<Box<Test>>,
    reloads: Vec<ReloadResult>,
    observer: &'a mut dyn Observer,
    signals: Signals,
    signal_count: u32,
    thresholds: Thresholds,
    aggregate: Aggregate,
    status: Arc<TestStatus>,
    workers: Vec<Worker>,
    inbox: UnboundedReceiver<(usize, Message)>,
    outbox: UnboundedSender<(usize, Message)>,
    scenarios: Scenarios,
    population: Population,
    generator: Generator,
    errors: IndexMap<String, ErrorRow>,
    /// Whether `setup` is through, so that there may be something to tear down.
    set_up: bool,
    /// What `setup` returned.
    setup_data: Arc<serde_json::Value>,
    stopped: Option<Stopped>,
    /// Scenarios that had nothing to go on with.
    ended_early: BTreeSet<usize>,
    threshold_abort: Option<String>,
    marked_failed: Option<String>,
    zero: Instant,
    started_at: SystemTime,
    ended_at: Instant,
    /// What happens in the script on this thread.
    events: (UnboundedSender<Event>, UnboundedReceiver<Event>),
}

impl<'a> Controller<'a> {
    fn new(
        test: &'a Test,
        observer: &'a mut dyn Observer,
        signals: Signals,
        thresholds: Thresholds,
        watching: Option<Watching>,
    ) -> Self {
        let selectors = thresholds.selectors(&test.plan, &test.registry);
        let aggregate = Aggregate::new(Arc::clone(&test.registry), selectors);
        let (outbox, inbox) = unbounded_channel();
        let joining = if watching.is_some() { JOINING_MAX } else { 0 };
        let now = clock::now();
        Self {
            scenarios: Scenarios::new(&test.plan, test.plan.workers, now),
            population: Population::new(&test.plan, &test.registry),
            test,
            plan: Arc::clone(&test.plan),
            watching,
            finishing: false,
            latest: None,
            reloads: Vec::new(),
            observer,
            signals,
            signal_count: 0,
            thresholds,
            aggregate,
            status: Arc::new(TestStatus::new(test.plan.scenarios.len() + joining)),
            workers: Vec::new(),
            inbox,
            outbox,
            generator: Generator::default(),
            errors: IndexMap::new(),
            set_up: false,
            setup_data: Arc::default(),
            stopped: None,
            ended_early: BTreeSet::new(),
            threshold_abort: None,
            marked_failed: None,
            zero: now,
            started_at: clock::wall(),
            ended_at: now,
            events: unbounded_channel(),
        }
    }

    async fn run(mut self) -> Result<Finished, Outcome> {
        self.observer.phase("starting");
        let mut backstage = match self.new_backstage(self.test, self.plan.workers) {
            Ok(backstage) => backstage,
            Err(error) => {
                self.script_failed("the script's top level", error);
                return Ok(self.finish(None).await);
            }
        };
        if let Err(outcome) = self.start(&mut backstage).await {
            return outcome.map_or_else(|| Err(ended_at_once()), Err);
        }
        let ran = self.stopped.is_none();
        if ran {
            self.observer.phase("running");
            self.begin();
            if !self.drive().await {
                return Err(ended_at_once());
            }
            self.ended_at = clock::now();
        } else if !self.dismiss().await {
            return Err(ended_at_once());
        }
        self.renew(&mut backstage);
        if self.plan.teardown && self.set_up && self.signal_count < 2 {
            self.teardown(&mut backstage).await;
        }
        Ok(self.finish(Some(backstage)).await)
    }

    async fn teardown(&mut self, backstage: &mut Backstage) {
        if !backstage.has("teardown") {
            return;
        }
        self.observer.phase("teardown");
        let limit = self.plan.teardown_timeout;
        let ended =
            self.backstage(backstage, Phase::Teardown, "teardown", Argument::Data, limit).await;
        if self.signal_count > 0 {
            self.stop(Stopped::Interrupted);
        }
        match ended {
            Ended::Done(_) | Ended::Stopped => {}
            Ended::Failed(error) => self.script_failed("teardown()", error),
            Ended::TimedOut => {
                self.stop(Stopped::TeardownTimeout(units::format_duration(limit)));
            }
        }
    }

    /// Runs a function of the script here; signals cut it.
    async fn backstage(
        &mut self,
        backstage: &mut Backstage,
        phase: Phase,
        function: &str,
        argument: Argument,
        limit: Duration,
    ) -> Ended {
        // The first signal ends set-up, but is what tear-down is for.
        let enough = if phase == Phase::Teardown { 2 } else { 1 };
        let cut = Notify::new();
        let ended = {
            let run = backstage.run(phase, function, argument, limit, cut.notified());
            let mut run = std::pin::pin!(run);
            loop {
                tokio::select! {
                    biased;
                    count = self.signals.next() => {
                        self.signal_count = count;
                        if count >= enough {
                            cut.notify_one();
                        }
                    }
                    Some(event) = self.events.1.recv() => self.event(event),
                    ended = &mut run => break ended,
                }
            }
        };
        while let Ok(event) = self.events.1.try_recv() {
            self.event(event);
        }
        let elapsed = clock::now().saturating_duration_since(self.zero);
        self.aggregate.merge(backstage.number, backstage.take(), elapsed);
        ended
    }

    /// Makes what runs off the workers, whose figures come under a number of their own.
    fn new_backstage(&self, test: &Test, number: usize) -> Result<Backstage, ScriptError> {
        let events = self.events.0.clone();
        let events = Box::new(move |event| {
            let _ended = events.send(event);
        });
        Backstage::new(test, number, Arc::clone(&self.status), events)
    }

    fn begin(&mut self) {
        self.zero = clock::now() + LEAD;
        self.started_at = clock::wall();
        self.status.begin(self.zero);
        self.scenarios.begin(&self.plan, self.zero);
        self.generator.cpu = vec![Duration::ZERO; self.workers.len()];
        self.generator.cpu_before = vec![Duration::ZERO; self.workers.len()];
        self.command(&Command::Begin(self.zero));
    }

    /// Receives figures until all workers have ended. False: end at once.
    async fn drive(&mut self) -> bool {
        let mut tick = self.zero + INTERVAL + SETTLE;
        while self.workers.iter().any(|worker| !worker.ended) {
            tokio::select! {
                biased;
                count = self.signals.next() => {
                    if !self.signal(count) { return false }
                }
                () = tokio::time::sleep_until(tick) => {
                    self.judge(tick - SETTLE);
                    tick += INTERVAL;
                }
                message = self.inbox.recv() => {
                    let Some((index, message)) = message else { return false };
                    self.receive(index, message);
                }
                news = news(&mut self.watching) => self.hear(news),
            }
        }
        true
    }

    /// Closes an interval's figures at a time after zero.
    fn tick(&mut self, elapsed: Duration) {
        let population = self.population.take(&self.status);
        // The numbers before are the workers' and that of the backstage.
        self.aggregate.merge(self.plan.workers + 1, population, elapsed);
        self.aggregate.tick(elapsed);
    }

    /// Ends an interval: closes its figures, judges thresholds, shows progress.
    fn judge(&mut self, at: Instant) {
        let elapsed = at.saturating_duration_since(self.zero);
        self.tick(elapsed);
        if self.threshold_abort.is_none()
            && self.stopped.is_none()
            && let Some(text) = self.thresholds.check(&self.aggregate, elapsed)
        {
            self.threshold_abort = Some(text);
            self.command(&Command::Cut);
        }
        let stopping = self.stopped.is_some() || self.threshold_abort.is_some();
        self.observer.progress(&Progress {
            aggregate: &self.aggregate,
            elapsed,
            phase: if stopping { "stopping" } else { "running" },
            scenarios: self.scenarios.progress(&self.plan, at),
        });
    }

    /// Acts on a signal. False: end at once.
    fn signal(&mut self, count: u32) -> bool {
        self.signal_count = count;
        match count {
            1 => {
                self.observer.phase("stopping");
                self.stop(Stopped::Interrupted);
                self.command(&Command::Stop);
            }
            2 => self.command(&Command::Cut),
            _ => return false,
        }
        true
    }

    fn receive(&mut self, index: usize, message: Message) {
        match message {
            Message::Ready | Message::Prepared | Message::Reloaded(_) => {}
            Message::Event(event) => self.event(event),
            Message::Interval(interval) => self.merge(index, *interval),
            Message::Ended(interval) => {
                self.merge(index, *interval);
                self.aggregate.leave(index);
                self.workers[index].ended = true;
            }
            Message::ScenarioEnded(scenario) => {
                let now = clock::now();
                for (follower, at) in self.scenarios.end_part(&self.plan, scenario, now) {
                    self.command(&Command::StartScenario(follower, at));
                }
                if self.watching.is_some() && self.scenarios.have_ended() {
                    self.finishing = true;
                    self.command(&Command::Finish);
                }
            }
            Message::Failed(failure) => {
                self.workers[index].ended = true;
                match *failure {
                    Failure::Script(error) => self.script_failed("the script's top level", error),
                    Failure::Defect(message) => self.stop(Stopped::Defect(message)),
                }
                self.command(&Command::Cut);
            }
        }
    }

    fn merge(&mut self, index: usize, interval: worker::Interval) {
        let elapsed = clock::now().saturating_duration_since(self.zero);
        self.aggregate.merge(index, interval.snapshot, elapsed);
        self.scenarios.update(index, &interval.scenarios);
        if let Some(cpu) = self.generator.cpu.get_mut(index) {
            *cpu = interval.cpu.saturating_sub(interval.cpu_before);
        }
        for row in interval.errors {
            self.error(row);
        }
    }

    fn error(&mut self, row: ErrorRow) {
        let key = worker::error_key(&row.error);
        if let Some(known) = self.errors.get_mut(&key) {
            known.count += row.count;
        } else if self.errors.len() < ERROR_KINDS_MAX {
            self.observer.error(&row.error, &row.first);
            self.errors.insert(key, row);
        } else if let Some((_, last)) = self.errors.last_mut() {
            "other errors".clone_into(&mut last.error.message);
            last.error.location = None;
            last.count += row.count;
        }
    }

    fn event(&mut self, event: Event) {
        if let Event::EndScenario { scenario, .. } = event {
            if !self.ended_early.insert(scenario) {
                return;
            }
            self.command(&Command::EndScenario(scenario));
        }
        self.observer.event(&event);
        match event {
            Event::Abort(message) => {
                self.stop(Stopped::Aborted(message));
                self.command(&Command::Cut);
            }
            Event::MarkFailed(message) => {
                self.marked_failed.get_or_insert(message);
            }
            Event::Warning(text) => {
                if !self.generator.warnings.contains(&text) && self.generator.warnings.len() < 20 {
                    self.generator.warnings.push(text);
                }
            }
            Event::Log { .. }
            | Event::Debug(_)
            | Event::EndScenario { .. }
            | Event::Request(_)
            | Event::Check { .. } => {}
        }
    }

    fn script_failed(&mut self, place: &'static str, error: ScriptError) {
        let error = if let ScriptErrorKind::Stopped(_) = error.kind {
            return;
        } else {
            Box::new(error)
        };
        self.stop(Stopped::Script(place, error));
    }

    /// Notes why the run stops: the first reason stands.
    fn stop(&mut self, why: Stopped) {
        if let Stopped::Script(_, error) = &why {
            self.observer.error(error, &(String::new(), 0, 0));
        }
        self.stopped.get_or_insert(why);
    }

    fn command(&self, command: &Command) {
        for worker in &self.workers {
            // A worker that is gone has ended.
            let _gone = worker.commands.send(command.clone());
        }
    }
}

/// Waits for news of the watch; for ever without one.
async fn news(watching: &mut Option<Watching>) -> News {
    match watching {
        Some(watching) => watching.next().await,
        None => std::future::pending().await,
    }
}

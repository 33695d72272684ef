//! A worker's part of one scenario: its VUs, made before the start, and its driver.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Notify;

use self::rules::Rules;
use super::{ScenarioTally, rates};
use crate::api::{Event, ScenarioContext, ScenarioEnd, ScenarioLife};
use crate::clock::{self, ArrivalTimer, Instant};
use crate::executor::{Closed, ClosedTurn, Control, Open, OpenTurn, Tally, Turns, closed, open};
use crate::metrics::{TagSetId, builtin};
use crate::plan::{ArrivalRate, Executor, Plan, Scenario, Share, Spliced, SplicedTimes, Start};
use crate::protocol::RequestRate;
use crate::script::ScriptError;
use crate::vu::{Ground, Post, Vu, record_open};

mod revising;
mod rules;

/// After so many new VUs in a row others run.
const MADE_IN_A_ROW: usize = 16;

/// A worker's part of one scenario.
pub(super) struct Part {
    index: usize,
    scenario: RefCell<Scenario>,
    /// What of it this worker does; `None` if there are fewer VUs than workers and it has none.
    share: Option<Share>,
    /// What its VUs do.
    post: Rc<Post>,
    /// What has come of it so far.
    life: Rc<ScenarioLife>,
    ground: Rc<Ground>,
    vus: RefCell<Vec<Vu>>,
    seed: u64,
    /// When it starts; set by the controller's word, or from the plan.
    began: Cell<Option<Instant>>,
    begins: Notify,
    pub(super) control: Rc<Control>,
    tally: Rc<Tally>,
    /// The arrivals of an open scenario, over all changes.
    spliced: RefCell<Option<Spliced>>,
    /// The pot of shared iterations.
    pot: Rc<Cell<u64>>,
    /// New schedules on their way to the driver.
    open_turns: Rc<Turns<OpenTurn<SplicedTimes>>>,
    closed_turns: Rc<Turns<ClosedTurn<Vu>>>,
}

impl Part {
    /// Makes the part of a plan's scenario, without VUs.
    pub(super) fn new(ground: &Rc<Ground>, plan: &Plan, worker: Share, index: usize) -> Self {
        let scenario = plan.scenarios[index].clone();
        let share = share_of(&scenario.executor, worker, index);
        let control = Rc::<Control>::default();
        let own = Rc::clone(&control);
        let end = ScenarioEnd::new(move || {
            let first = !own.is_closed();
            own.close();
            first
        });
        let life = Rc::new(ScenarioLife::new(end));
        let rates = rates::of_scenario(ground, &scenario, index, worker);
        let context = context(ground, plan, index, share, rates, &life);
        let post = Rc::new(Post {
            context: RefCell::new(Rc::new(context)),
            function: RefCell::new(scenario.exec.clone()),
        });
        let seed = scenario.seed(plan.seed);
        let (spliced, pot) = match &scenario.executor {
            Executor::ArrivalRate(rate) => (Some(Spliced::new(rate.clone(), seed)), 0),
            Executor::SharedIterations { iterations, .. } => {
                (None, share.map_or(0, |share| share.of(*iterations)))
            }
            _ => (None, 0),
        };
        Self {
            index,
            share,
            post,
            life,
            vus: RefCell::default(),
            seed,
            began: Cell::new(None),
            begins: Notify::new(),
            control,
            tally: Rc::default(),
            ground: Rc::clone(ground),
            spliced: RefCell::new(spliced),
            pot: Rc::new(Cell::new(pot)),
            open_turns: Rc::default(),
            closed_turns: Rc::default(),
            scenario: RefCell::new(scenario),
        }
    }

    /// Makes the VUs that exist from the start.
    ///
    /// # Errors
    /// If the script's top level fails.
    pub(super) fn make_vus(&self) -> Result<(), ScriptError> {
        let count = vus_at_start(&self.scenario.borrow().executor);
        for _ in 0..self.share.map_or(0, |share| share.of(count)) {
            let vu = Vu::new(&self.ground, &self.post)?;
            self.vus.borrow_mut().push(vu);
        }
        Ok(())
    }

    /// Returns what makes one more VU, or ends the test if that fails.
    fn maker(&self) -> impl Fn() -> Option<Vu> + 'static {
        let (ground, post) = (Rc::clone(&self.ground), Rc::clone(&self.post));
        move || match Vu::new(&ground, &post) {
            Ok(vu) => Some(vu),
            Err(error) => {
                let message = format!("a further VU cannot be made: {error}");
                (ground.worker.events)(Event::Abort(message));
                None
            }
        }
    }

    /// Takes the VUs that exist from the start, to be prepared all at once.
    pub(super) fn take_vus(&self) -> Vec<Vu> {
        self.vus.take()
    }

    /// Gives them back.
    pub(super) fn put_vus(&self, vus: Vec<Vu>) {
        *self.vus.borrow_mut() = vus;
    }

    /// Sets the zero of its time.
    pub(super) fn begin(&self, at: Instant) {
        self.began.set(Some(at));
        self.begins.notify_waiters();
    }

    /// Sets the zero of its time from the plan, unless it waits for another scenario.
    pub(super) fn begin_with_test(&self, zero: Instant) {
        if let Start::At(after) = self.scenario.borrow().start {
            self.begin(zero + after);
        }
    }

    /// Returns what it has done so far.
    pub(super) fn tally(&self) -> ScenarioTally {
        let tally = &self.tally;
        ScenarioTally {
            due: tally.due.get(),
            ended: tally.ended.get(),
            interrupted: tally.interrupted.get(),
            dropped: tally.dropped.get(),
            overdue: tally.overdue.get(),
            errors: tally.errors.get(),
            vus: tally.vus.get().max(self.vus.borrow().len() as u64),
            active: tally.active.get(),
            short_of_vus: tally.short_of_vus.get(),
        }
    }

    /// Waits for its start, and runs it to its end.
    pub(super) async fn run(&self) {
        let Some(share) = self.share else { return };
        // One that joins the test while it runs has none yet.
        self.fit(share).await;
        let Some(began) = self.started().await else {
            let promised = self.post.context.borrow().iterations_planned.unwrap_or(0);
            self.tally.dropped.set(promised);
            self.record_dropped();
            return self.dismiss().await;
        };
        self.life.started.set(Some(began));
        let since_1970 = clock::wall().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        self.life.started_ms.set((since_1970.as_secs_f64() * 1e3).floor());
        // Its options may have changed while it waited.
        self.fit(share).await;
        let executor = self.scenario.borrow().executor.clone();
        match &executor {
            Executor::ArrivalRate(arrival_rate) => self.run_open(arrival_rate, share, began).await,
            executor => {
                self.run_closed(executor, share, began).await;
                self.record_dropped();
            }
        }
    }

    /// Sends home the VUs that exist from the start, all at once.
    pub(super) async fn dismiss(&self) {
        join_all(self.take_vus().into_iter().map(Vu::retire)).await;
    }

    /// Records what was promised and never started; arrivals are recorded one by one.
    fn record_dropped(&self) {
        let dropped = self.tally.dropped.get();
        if dropped > 0 {
            let mut shard = self.ground.worker.shard.borrow_mut();
            shard.add(builtin::DROPPED_ITERATIONS, self.tags(), dropped as f64);
        }
    }

    /// Waits for the scenario's start; nothing if the test stops before.
    async fn started(&self) -> Option<Instant> {
        let start = async {
            let at = loop {
                let begins = self.begins.notified();
                if let Some(at) = self.began.get() {
                    break at;
                }
                begins.await;
            };
            ArrivalTimer::new().wait_until(at).await;
            at
        };
        tokio::select! {
            biased;
            () = self.control.closed() => None,
            at = start => Some(at),
        }
    }

    async fn run_closed(&self, executor: &Executor, share: Share, began: Instant) {
        let rules = Rules::new(executor, share, began, &self.pot);
        let vus = self.take_vus();
        let members = vus.into_iter().enumerate().map(|(n, vu)| (vu, rules.of(n as u64))).collect();
        let graceful_stop = self.scenario.borrow().graceful_stop;
        let turns = Rc::clone(&self.closed_turns);
        let plan = Closed { members, share, end: rules.end, graceful_stop, turns };
        closed(plan, &self.control, &self.tally).await;
    }

    async fn run_open(&self, arrival_rate: &ArrivalRate, share: Share, began: Instant) {
        let arrivals = {
            let mut spliced = self.spliced.borrow_mut();
            let new = || Spliced::new(arrival_rate.clone(), self.seed);
            spliced.get_or_insert_with(new).times(share)
        };
        let on_lost = |waited: Option<Duration>| {
            let tags = self.tags();
            let mut shard = self.ground.worker.shard.borrow_mut();
            shard.add(builtin::DROPPED_ITERATIONS, tags, 1.0);
            if let Some(waited) = waited {
                record_open(&mut shard, tags, waited, waited);
            }
        };
        let plan = Open {
            began,
            arrivals,
            members: self.take_vus(),
            make: self.maker(),
            vus_max: share.of(arrival_rate.max_vus),
            on_overload: arrival_rate.on_overload,
            end: began + arrival_rate.curve.duration(),
            graceful_stop: self.scenario.borrow().graceful_stop,
            timer: ArrivalTimer::new(),
            turns: Rc::clone(&self.open_turns),
            on_lost,
        };
        open(plan, &self.control, &self.tally).await;
    }

    fn tags(&self) -> TagSetId {
        self.post.context.borrow().tags
    }

    /// Returns its position in the plan.
    pub(super) fn index(&self) -> usize {
        self.index
    }
}

/// Returns a worker's share of a scenario: where there are fewer VUs than workers, the first few
/// share it, beginning at another worker for each scenario so that small ones spread.
pub(super) fn share_of(executor: &Executor, worker: Share, scenario: usize) -> Option<Share> {
    let vus = executor.vus_max();
    let count = worker.count.min(vus).max(1);
    let index = (worker.index + scenario as u64) % worker.count;
    (index < count).then_some(Share { index, count })
}

/// Returns how many VUs exist before the scenario starts.
fn vus_at_start(executor: &Executor) -> u64 {
    match executor {
        Executor::SharedIterations { vus, .. }
        | Executor::PerVuIterations { vus, .. }
        | Executor::ConstantVus { vus, .. } => *vus,
        Executor::RampingVus { curve, .. } => curve.max().round() as u64,
        Executor::ArrivalRate(arrival_rate) => arrival_rate.pre_allocated_vus,
    }
}

fn context(
    ground: &Ground,
    plan: &Plan,
    index: usize,
    share: Option<Share>,
    rates: Vec<Rc<RequestRate>>,
    life: &Rc<ScenarioLife>,
) -> ScenarioContext {
    let scenario = &plan.scenarios[index];
    let mut env = plan.env.clone();
    env.extend(scenario.env.clone());
    let mut tags = plan.tags_of(scenario);
    let version = ground.version.borrow().number.to_string();
    if ground.tag_versions {
        tags.push(("script_version", &version));
    }
    let tags = ground.worker.shard.borrow_mut().tag_set(TagSetId::EMPTY, &tags);
    let (duration, curve, iterations) = match &scenario.executor {
        Executor::SharedIterations { iterations, max_duration, .. } => {
            (*max_duration, None, share.map(|share| share.of(*iterations)))
        }
        Executor::PerVuIterations { vus, iterations, max_duration } => {
            (*max_duration, None, share.map(|share| share.of(*vus) * iterations))
        }
        Executor::ConstantVus { duration, .. } => (*duration, None, None),
        Executor::RampingVus { curve, .. } => (curve.duration(), Some(curve.clone()), None),
        Executor::ArrivalRate(arrivals) => {
            (arrivals.curve.duration(), Some(arrivals.curve.clone()), None)
        }
    };
    ScenarioContext {
        index,
        name: scenario.name.clone(),
        executor: scenario.executor.name(),
        env,
        tags,
        life: Rc::clone(life),
        duration_seconds: duration.as_secs_f64(),
        curve,
        rates,
        iterations_planned: iterations,
    }
}

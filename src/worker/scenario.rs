//! A worker's part of one scenario: its VUs, made before the start, and its driver.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Notify;

use super::{ScenarioTally, rates};
use crate::api::{Event, ScenarioContext, ScenarioEnd};
use crate::clock::{self, ArrivalTimer, Instant};
use crate::executor::{Admission, Closed, Control, Open, Tally, closed, open};
use crate::metrics::builtin;
use crate::plan::{ArrivalRate, Curve, Executor, Scenario, Share, Start};
use crate::script::ScriptError;
use crate::vu::{Ground, Vu, record_open};

/// A worker's part of one scenario.
pub(super) struct Part {
    index: usize,
    scenario: Scenario,
    /// What of it this worker does; `None` if there are fewer VUs than workers and it has none.
    share: Option<Share>,
    context: Rc<ScenarioContext>,
    ground: Rc<Ground>,
    vus: RefCell<Vec<Vu>>,
    seed: u64,
    /// When it starts; set by the controller's word, or from the plan.
    began: Cell<Option<Instant>>,
    begins: Notify,
    pub(super) control: Rc<Control>,
    tally: Rc<Tally>,
}

impl Part {
    /// Makes the part and the VUs that exist from the start.
    ///
    /// # Errors
    /// If the script's top level fails.
    pub(super) fn new(
        ground: &Rc<Ground>,
        worker: Share,
        index: usize,
    ) -> Result<Self, ScriptError> {
        let plan = &ground.worker.plan;
        let scenario = plan.scenarios[index].clone();
        let share = share_of(&scenario.executor, worker, index);
        let control = Rc::<Control>::default();
        let own = Rc::clone(&control);
        let end = ScenarioEnd::new(move || {
            let first = !own.is_closed();
            own.close();
            first
        });
        let context = Rc::new(context(ground, &scenario, index, worker, share, end));
        let part = Self {
            index,
            share,
            context,
            vus: RefCell::default(),
            seed: scenario.seed(plan.seed),
            began: Cell::new(None),
            begins: Notify::new(),
            control,
            tally: Rc::default(),
            ground: Rc::clone(ground),
            scenario,
        };
        let count = share.map_or(0, |share| share.of(vus_at_start(&part.scenario.executor)));
        for _ in 0..count {
            let vu = Vu::new(ground, &part.context, &part.scenario.exec)?;
            part.vus.borrow_mut().push(vu);
        }
        Ok(part)
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
        if let Start::At(after) = self.scenario.start {
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
        let Some(began) = self.started().await else {
            let promised = self.context.iterations_planned.unwrap_or(0);
            self.tally.dropped.set(promised);
            self.record_dropped();
            return self.dismiss().await;
        };
        self.context.started.set(Some(began));
        let since_1970 = clock::wall().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        self.context.started_ms.set((since_1970.as_secs_f64() * 1e3).floor());
        match &self.scenario.executor {
            Executor::ArrivalRate(arrival_rate) => self.run_open(arrival_rate, share, began).await,
            executor => self.run_closed(executor, share, began).await,
        }
        if !self.scenario.executor.is_open() {
            self.record_dropped();
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
            shard.add(builtin::DROPPED_ITERATIONS, self.context.tags, dropped as f64);
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
        let rules = Rules::new(executor, share, began);
        let vus = self.take_vus();
        let members = vus.into_iter().enumerate().map(|(n, vu)| (vu, rules.of(n as u64))).collect();
        let graceful_stop = self.scenario.graceful_stop;
        let plan = Closed { members, share, end: rules.end, graceful_stop };
        closed(plan, &self.control, &self.tally).await;
    }

    async fn run_open(&self, arrival_rate: &ArrivalRate, share: Share, began: Instant) {
        let arrivals = arrival_rate.times(share, self.seed);
        let make = || match Vu::new(&self.ground, &self.context, &self.scenario.exec) {
            Ok(vu) => Some(vu),
            Err(error) => {
                let message = format!("a further VU cannot be made: {error}");
                (self.ground.worker.events)(Event::Abort(message));
                None
            }
        };
        let on_lost = |waited: Option<Duration>| {
            let mut shard = self.ground.worker.shard.borrow_mut();
            shard.add(builtin::DROPPED_ITERATIONS, self.context.tags, 1.0);
            if let Some(waited) = waited {
                record_open(&mut shard, self.context.tags, waited, waited);
            }
        };
        let plan = Open {
            began,
            arrivals,
            members: self.take_vus(),
            make,
            vus_max: share.of(arrival_rate.max_vus),
            on_overload: arrival_rate.on_overload,
            end: began + arrival_rate.curve.duration(),
            graceful_stop: self.scenario.graceful_stop,
            timer: ArrivalTimer::new(),
            on_lost,
        };
        open(plan, &self.control, &self.tally).await;
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
    scenario: &Scenario,
    index: usize,
    worker: Share,
    share: Option<Share>,
    end: ScenarioEnd,
) -> ScenarioContext {
    let plan = &ground.worker.plan;
    let mut env = plan.env.clone();
    env.extend(scenario.env.clone());
    let tags = plan.tags_of(scenario);
    let tags = ground.worker.shard.borrow_mut().tag_set(crate::metrics::TagSetId::EMPTY, &tags);
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
        started: Cell::new(None),
        started_ms: Cell::new(0.0),
        duration_seconds: duration.as_secs_f64(),
        curve,
        rates: rates::of_scenario(ground, scenario, index, worker),
        iterations_planned: iterations,
        iterations_ended: Cell::new(0),
        end,
    }
}

/// The admission rules of a closed scenario's VUs on one worker.
struct Rules<'a> {
    executor: &'a Executor,
    share: Share,
    began: Instant,
    end: Instant,
    pot: Rc<Cell<u64>>,
}

impl<'a> Rules<'a> {
    fn new(executor: &'a Executor, share: Share, began: Instant) -> Self {
        let (duration, pot) = match executor {
            Executor::SharedIterations { iterations, max_duration, .. } => {
                (*max_duration, share.of(*iterations))
            }
            Executor::PerVuIterations { max_duration, .. } => (*max_duration, 0),
            Executor::ConstantVus { duration, .. } => (*duration, 0),
            Executor::RampingVus { curve, .. } => (curve.duration(), 0),
            Executor::ArrivalRate(_) => (Duration::ZERO, 0),
        };
        Self { executor, share, began, end: began + duration, pot: Rc::new(Cell::new(pot)) }
    }

    /// Returns the rule of this worker's VU number `n`.
    fn of(&self, n: u64) -> Admission {
        let until = self.end;
        match self.executor {
            Executor::SharedIterations { .. } => {
                Admission::Pot { left: Rc::clone(&self.pot), until }
            }
            Executor::PerVuIterations { iterations, .. } => {
                Admission::Times { left: *iterations, until }
            }
            Executor::RampingVus { curve, graceful_ramp_down } => Admission::Wanted {
                intervals: wanted(curve, self.share.nth(n), self.began),
                end: self.end,
                graceful: *graceful_ramp_down,
            },
            Executor::ConstantVus { .. } | Executor::ArrivalRate(_) => Admission::While { until },
        }
    }
}

fn wanted(curve: &Curve, vu: u64, began: Instant) -> Vec<(Instant, Instant)> {
    let interval = |(from, until): (Duration, Duration)| (began + from, began + until);
    curve.wanted(vu).into_iter().map(interval).collect()
}

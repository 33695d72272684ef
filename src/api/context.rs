//! What operations act on: the VU that calls, its scenario, its worker.

use std::cell::{Cell, RefCell, RefMut};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::{
    DataSets, Event, Files, Interrupt, LogLevel, RecentUrls, Rounds, ScenarioEnd, Slices, Sockets,
    TestStatus, VuState,
};
use crate::clock::Instant;
use crate::metrics::{Registry, Shard, TagSetId};
use crate::plan::{Curve, HttpPlan, Plan, Statuses};
use crate::protocol::{CookieJar, HttpClient, Network, RequestRate};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

/// What the VUs of one worker share. Nothing in it is shared with another worker but `status`.
pub struct WorkerContext {
    /// The test as it began: what of it cannot change meanwhile.
    pub plan: Arc<Plan>,
    /// The test as it is now, after reloads: tags, `env`, scenarios.
    pub revised: RefCell<Arc<Plan>>,
    /// How requests are made: the plan's part, without its atomic count.
    pub http: Rc<HttpPlan>,
    /// Which statuses do not fail a request, unless a VU or a request says.
    pub expected: Rc<Statuses>,
    /// The metrics. Open for declarations only while the script is loaded for the first time.
    pub registry: RefCell<Registry>,
    /// Whether metrics may be declared.
    pub declaring: Cell<bool>,
    /// The worker's metrics.
    pub shard: RefCell<Shard>,
    /// The files that the script may read.
    pub files: Files,
    /// The data that the script declared when it was loaded first.
    pub data: RefCell<Arc<DataSets>>,
    /// DNS cache and TLS.
    pub network: Rc<Network>,
    /// Turns of VUs that compute for long.
    pub slices: Slices,
    /// Steps that VUs take together.
    pub rounds: Rounds,
    /// URLs that need no parsing again.
    pub urls: RefCell<RecentUrls>,
    /// Whether requests and checks are told one by one.
    pub live: bool,
    /// Takes events on their way to the controller.
    pub events: Box<dyn Fn(Event)>,
    /// Facts of the whole test.
    pub status: Arc<TestStatus>,
}

impl WorkerContext {
    /// Lets the worker's others come to the same step, unless somebody computes: that would be
    /// waiting for a whole slice.
    pub async fn step(&self) {
        if !self.slices.are_wanted() {
            self.rounds.step().await;
        }
    }
}

/// What a script is being run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Its top level: metrics are declared, modules loaded; nothing may wait.
    Load,
    /// `setup`.
    Setup,
    /// `vu_setup`.
    VuSetup,
    /// The scenario's function.
    Iteration,
    /// `vu_teardown`.
    VuTeardown,
    /// `teardown`.
    Teardown,
    /// `summary`.
    Summary,
}

/// Facts of the scenario that a VU serves.
#[derive(Debug)]
pub struct ScenarioContext {
    /// Its position in the plan.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// Its executor's name.
    pub executor: &'static str,
    /// The test's `env` with the scenario's over it.
    pub env: BTreeMap<String, String>,
    /// Its tags, with `scenario` and the test's.
    pub tags: TagSetId,
    /// The rates that limit its requests: its own and the test's.
    pub rates: Vec<Rc<RequestRate>>,
    /// When it started, and what has come of it so far.
    pub life: Rc<ScenarioLife>,
    /// Its regular length in seconds; 0 if it has none.
    pub duration_seconds: f64,
    /// Its curve, for the stage's index.
    pub curve: Option<Curve>,
    /// How many iterations it will run, where it is known (for progress).
    pub iterations_planned: Option<u64>,
}

/// What a scenario's contexts have in common: reloads change the others.
#[derive(Debug)]
pub struct ScenarioLife {
    /// When it started, on the monotonic clock.
    pub started: Cell<Option<Instant>>,
    /// When it started, in milliseconds since 1970.
    pub started_ms: Cell<f64>,
    /// Iterations that ended on this worker.
    pub iterations_ended: Cell<u64>,
    /// Ends it on this worker.
    pub end: ScenarioEnd,
}

impl ScenarioLife {
    /// Returns that of a scenario that has not started.
    pub fn new(end: ScenarioEnd) -> Self {
        let (started, started_ms, iterations_ended) = Default::default();
        Self { started, started_ms, iterations_ended, end }
    }
}

/// Facts of the iteration that runs.
#[derive(Debug, Default)]
pub struct IterationFacts {
    /// Number in its VU, from 0.
    pub in_vu: Cell<u64>,
    /// Number in its VU and scenario, from 0.
    pub in_scenario: Cell<u64>,
    /// Number in the scenario over all workers, from 0, unique.
    pub in_test: Cell<u64>,
    /// When it started.
    pub started: Cell<Option<Instant>>,
}

/// What operations act on: one VU.
pub struct VuContext {
    /// Its worker.
    pub worker: Rc<WorkerContext>,
    /// Its number in the test, from 1; 0 for set-up, tear-down and loading.
    pub id: u64,
    /// Its number in its worker, from 1.
    pub id_in_worker: u64,
    /// What it runs for.
    pub phase: Cell<Phase>,
    /// Its scenario; `None` while loading, in set-up and in tear-down.
    pub scenario: RefCell<Option<Rc<ScenarioContext>>>,
    /// Its iteration.
    pub iteration: IterationFacts,
    /// Its connections.
    pub http: HttpClient,
    /// Its WebSockets.
    pub ws: Sockets,
    /// Its cookies.
    pub cookies: Rc<RefCell<CookieJar>>,
    /// Its random numbers; nothing before an iteration asks for the first.
    random: RefCell<Option<Xoshiro256PlusPlus>>,
    /// Which statuses do not fail a request, unless the request says.
    pub expected: RefCell<Rc<Statuses>>,
    /// What the script keeps for it: `kt.vu.state`.
    pub state: VuState,
    /// Ends its iteration from outside.
    pub interrupt: Rc<Interrupt>,
    /// What native code took while the script loaded that is not the script's time.
    pub excused: Cell<Duration>,
    /// Bytes that native code allocated in the script's turns and keeps for all VUs.
    pub lent: Cell<isize>,
    /// Tags that the script set on its VU: `kt.vu.tags.name = value`.
    tags: RefCell<BTreeMap<String, String>>,
    /// The groups that it is in, joined by `::` with one before each: `::checkout::pay`.
    group: RefCell<String>,
    /// Interned: the scenario's tags, the VU's and `group`.
    tag_set: Cell<TagSetId>,
}

impl VuContext {
    /// Returns a VU of a worker, for loading; [`VuContext::enter`] gives it a scenario.
    pub fn new(worker: Rc<WorkerContext>, id: u64, id_in_worker: u64) -> Rc<Self> {
        let http = HttpClient::new(Rc::clone(&worker.network), Rc::clone(&worker.http));
        http.set_number(id.saturating_sub(1));
        let expected = RefCell::new(Rc::clone(&worker.expected));
        Rc::new(Self {
            worker,
            id,
            id_in_worker,
            phase: Cell::new(Phase::Load),
            scenario: RefCell::new(None),
            iteration: IterationFacts::default(),
            http,
            ws: Sockets::default(),
            cookies: Rc::default(),
            random: RefCell::default(),
            expected,
            state: VuState::default(),
            interrupt: Rc::default(),
            excused: Cell::default(),
            lent: Cell::default(),
            tags: RefCell::default(),
            group: RefCell::default(),
            tag_set: Cell::new(TagSetId::EMPTY),
        })
    }

    /// Puts the VU into a scenario.
    pub fn enter(&self, scenario: Rc<ScenarioContext>) {
        self.http.set_rates(scenario.rates.clone());
        *self.scenario.borrow_mut() = Some(scenario);
        self.tags.borrow_mut().clear();
        self.group.borrow_mut().clear();
        self.iteration.in_scenario.set(0);
        self.retag();
    }

    /// Leaves the scenario for a while, to load a script as before the first iteration; returns it
    /// for [`VuContext::stay`].
    pub fn step_out(&self) -> Option<Rc<ScenarioContext>> {
        self.phase.set(Phase::Load);
        self.expected.take();
        self.scenario.take()
    }

    /// Comes back to the scenario, or to what has become of it: numbers, cookies and the tags that
    /// the script has set stay.
    pub fn stay(&self, scenario: Option<Rc<ScenarioContext>>) {
        *self.scenario.borrow_mut() = scenario;
        self.group.borrow_mut().clear();
        self.retag();
    }

    /// Begins a phase outside scenarios: set-up or tear-down, with the tag `phase`.
    pub fn enter_phase(&self, phase: Phase) {
        self.phase.set(phase);
        self.group.borrow_mut().clear();
        self.retag();
    }

    /// Begins an iteration: number `in_test` of the scenario.
    pub fn begin_iteration(&self, in_test: u64, started: Instant) {
        self.phase.set(Phase::Iteration);
        self.iteration.in_test.set(in_test);
        self.iteration.started.set(Some(started));
        if !self.worker.http.no_cookies_reset {
            let mut cookies = self.cookies.borrow_mut();
            if !cookies.is_empty() {
                cookies.clear(None);
            }
        }
        if !self.group.borrow().is_empty() {
            // The last iteration ended inside a group, by an error or a cut.
            self.group.borrow_mut().clear();
            self.retag();
        }
        self.random.take();
    }

    /// Returns its random numbers: seeded by the test's seed, the VU and the iteration, so that a run
    /// repeats.
    pub fn random(&self) -> RefMut<'_, Xoshiro256PlusPlus> {
        let iteration = match self.phase.get() {
            Phase::Iteration => self.iteration.in_vu.get(),
            _ => u64::MAX,
        };
        let first = || random_for(self.worker.plan.seed, self.id, iteration);
        RefMut::map(self.random.borrow_mut(), |random| random.get_or_insert_with(first))
    }

    /// Ends the iteration's numbers.
    pub fn end_iteration(&self) {
        self.iteration.in_vu.set(self.iteration.in_vu.get() + 1);
        self.iteration.in_scenario.set(self.iteration.in_scenario.get() + 1);
        self.ws.end_iteration();
        if self.worker.http.no_vu_connection_reuse {
            self.http.close_idle();
        }
    }

    /// Returns the tags of samples: the test's, the scenario's, the VU's and `group`.
    pub fn tag_set(&self) -> TagSetId {
        self.tag_set.get()
    }

    /// Returns the tags of samples with more.
    pub fn tag_set_with(&self, extra: &[(String, String)]) -> TagSetId {
        if extra.is_empty() {
            return self.tag_set.get();
        }
        let extra: Vec<(&str, &str)> =
            extra.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.worker.shard.borrow_mut().tag_set(self.tag_set.get(), &extra)
    }

    /// Returns a tag that the script set on its VU.
    pub fn tag(&self, name: &str) -> Option<String> {
        self.tags.borrow().get(name).cloned()
    }

    /// Returns all tags that the script set on its VU.
    pub fn tags(&self) -> Vec<(String, String)> {
        self.tags.borrow().iter().map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Sets a tag on the VU until it changes scenarios; empty removes it.
    pub fn set_tag(&self, name: &str, value: String) {
        if value.is_empty() {
            self.tags.borrow_mut().remove(name);
        } else {
            self.tags.borrow_mut().insert(name.to_owned(), value);
        }
        self.retag();
    }

    /// Enters a group and returns the path to go back to with [`VuContext::leave_group`].
    pub fn enter_group(&self, name: &str) -> String {
        let outer = self.group.borrow().clone();
        *self.group.borrow_mut() = format!("{outer}::{name}");
        self.retag();
        outer
    }

    /// Goes back to an outer group.
    pub fn leave_group(&self, outer: String) {
        *self.group.borrow_mut() = outer;
        self.retag();
    }

    /// Returns the path of the group that the VU is in: `::checkout::pay`.
    pub fn group(&self) -> String {
        self.group.borrow().clone()
    }

    /// Takes bytes off the account of the script's memory, which others keep from now on.
    pub(super) fn lend(&self, bytes: isize) {
        self.lent.set(self.lent.get() + bytes);
    }

    /// Looks a name up in the scenario's `env` over the test's.
    pub fn env(&self, name: &str) -> Option<String> {
        match &*self.scenario.borrow() {
            Some(scenario) => scenario.env.get(name).cloned(),
            None => self.worker.revised.borrow().env.get(name).cloned(),
        }
    }

    /// Sends a log line on its way.
    pub fn log(&self, level: LogLevel, message: String) {
        let scenario = self.scenario.borrow().as_ref().map_or(String::new(), |s| s.name.clone());
        (self.worker.events)(Event::Log {
            level,
            message,
            vu: self.id,
            iteration: self.iteration.in_vu.get(),
            scenario,
        });
    }

    fn retag(&self) {
        let base = self.scenario.borrow().as_ref().map_or(TagSetId::EMPTY, |s| s.tags);
        let tags = self.tags.borrow();
        let group = self.group.borrow();
        let mut extra: Vec<(&str, &str)> =
            tags.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        extra.push(("group", &group));
        let plan = Arc::clone(&self.worker.revised.borrow());
        match self.phase.get() {
            Phase::Setup => extra.push(("phase", "setup")),
            Phase::Teardown => extra.push(("phase", "teardown")),
            _ => {}
        }
        if self.scenario.borrow().is_none() {
            extra.extend(plan.tags.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        }
        self.tag_set.set(self.worker.shard.borrow_mut().tag_set(base, &extra));
    }
}

/// Returns the random numbers of one iteration: a function of seed, VU and iteration alone.
fn random_for(seed: u64, vu: u64, iteration: u64) -> Xoshiro256PlusPlus {
    // SplitMix64's odd constants keep neighbouring VUs and iterations apart; seed_from_u64 mixes.
    Xoshiro256PlusPlus::seed_from_u64(
        seed ^ vu.wrapping_mul(0x9E37_79B9_7F4A_7C15)
            ^ iteration.wrapping_mul(0xBF58_476D_1CE4_E5B9),
    )
}

//! The drivers in virtual time, with stand-ins for VUs: hours of load in milliseconds.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use super::{
    Admission, Closed, ClosedTurn, Control, Member, Open, OpenTurn, Tally, Turns, closed, open,
};
use crate::api::{Interrupt, Stop};
use crate::clock::{self, ArrivalTimer, Instant};
use crate::plan::{ArrivalRate, ArrivalTimes, Arrivals, Curve, OnOverload, Share, Stage};
use crate::vu::{End, Start};

mod accounts;
mod arrivals;
mod ramping;
mod rules;
mod turns;

/// tokio's timers fire on whole milliseconds.
const TICK: Duration = Duration::from_millis(1);

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Runs in virtual time. What would never end fails instead of hanging.
fn simulate<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let year = seconds(365.0 * 86_400.0);
    tokio::task::LocalSet::new().block_on(&runtime, async move {
        tokio::time::timeout(year, future).await.expect("the driver ends")
    })
}

/// One iteration of a stand-in.
#[derive(Debug, Clone, Copy)]
struct Iteration {
    vu: u64,
    number: u64,
    due: Option<Duration>,
    began: Duration,
    ended: Duration,
    end: End,
}

impl Iteration {
    fn lateness(self) -> Duration {
        self.began.saturating_sub(self.due.expect("the scenario is open"))
    }
}

/// A scenario with its stand-ins, and what they did.
struct Scene {
    zero: Instant,
    control: Rc<Control>,
    tally: Rc<Tally>,
    /// How long an iteration takes, by its number.
    takes: Box<dyn Fn(u64) -> Duration>,
    /// How long a stand-in needs to notice that it is cut off.
    lag: Duration,
    iterations: RefCell<Vec<Iteration>>,
    lost: RefCell<Vec<Option<Duration>>>,
    made: Cell<u64>,
    retired: Cell<u64>,
    /// Most stand-ins at once.
    vus_max: Cell<u64>,
    active: Cell<u64>,
    active_max: Cell<u64>,
    /// New schedules of an open scenario, and new rules of a closed one.
    turns: Rc<Turns<OpenTurn<ArrivalTimes>>>,
    rules: Rc<Turns<ClosedTurn<StandIn>>>,
}

impl Scene {
    fn new(takes: impl Fn(u64) -> Duration + 'static) -> Rc<Self> {
        Self::with_lag(takes, Duration::ZERO)
    }

    fn with_lag(takes: impl Fn(u64) -> Duration + 'static, lag: Duration) -> Rc<Self> {
        Rc::new(Self {
            zero: clock::now(),
            control: Rc::default(),
            tally: Rc::default(),
            takes: Box::new(takes),
            lag,
            iterations: RefCell::default(),
            lost: RefCell::default(),
            turns: Rc::default(),
            rules: Rc::default(),
            made: Cell::new(0),
            retired: Cell::new(0),
            vus_max: Cell::new(0),
            active: Cell::new(0),
            active_max: Cell::new(0),
        })
    }

    fn member(self: &Rc<Self>) -> StandIn {
        let id = self.made.get();
        self.made.set(id + 1);
        self.vus_max.set(self.vus_max.get().max(id + 1 - self.retired.get()));
        StandIn { id, scene: Rc::clone(self), interrupt: Rc::default() }
    }

    fn members(self: &Rc<Self>, count: u64) -> Vec<StandIn> {
        (0..count).map(|_| self.member()).collect()
    }

    fn now(&self) -> Duration {
        clock::now() - self.zero
    }

    /// Closes the scenario at a time.
    fn close_at(self: &Rc<Self>, time: Duration) {
        let scene = Rc::clone(self);
        tokio::task::spawn_local(async move {
            tokio::time::sleep_until(scene.zero + time).await;
            scene.control.close();
        });
    }

    /// Cuts the scenario off at a time.
    fn cut_at(self: &Rc<Self>, time: Duration) {
        let scene = Rc::clone(self);
        tokio::task::spawn_local(async move {
            tokio::time::sleep_until(scene.zero + time).await;
            scene.control.cut();
        });
    }

    /// Runs an open scenario; returns when it ended.
    async fn open(self: &Rc<Self>, load: &Load) -> Duration {
        let scene = Rc::clone(self);
        let make = move || Some(scene.member());
        self.open_with(load, make).await
    }

    async fn open_with(
        self: &Rc<Self>,
        load: &Load,
        make: impl Fn() -> Option<StandIn>,
    ) -> Duration {
        let rate = load.arrival_rate();
        let scene = Rc::clone(self);
        let plan = Open {
            began: self.zero,
            arrivals: rate.times(load.share, load.seed),
            members: self.members(load.vus),
            make,
            vus_max: load.vus_max,
            on_overload: load.on_overload,
            end: self.zero + load.curve.duration(),
            graceful_stop: load.graceful_stop,
            timer: ArrivalTimer::simulated(),
            turns: Rc::clone(&self.turns),
            on_lost: move |waited| scene.lost.borrow_mut().push(waited),
        };
        open(plan, &self.control, &self.tally).await;
        self.assert_settled();
        assert_eq!(self.lost.borrow().len() as u64, self.tally.dropped.get());
        assert_eq!(self.due(), self.ended() + self.interrupted() + self.dropped());
        assert!(self.vus_max.get() <= load.vus.max(load.vus_max));
        self.now()
    }

    /// Runs a closed scenario; returns when it ended.
    async fn closed(
        self: &Rc<Self>,
        end: Duration,
        graceful_stop: Duration,
        rules: impl IntoIterator<Item = Admission>,
    ) -> Duration {
        self.closed_share(end, graceful_stop, rules, Share::WHOLE).await
    }

    async fn closed_share(
        self: &Rc<Self>,
        end: Duration,
        graceful_stop: Duration,
        rules: impl IntoIterator<Item = Admission>,
        share: Share,
    ) -> Duration {
        let members = rules.into_iter().map(|rule| (self.member(), rule)).collect();
        let turns = Rc::clone(&self.rules);
        let plan = Closed { members, share, end: self.zero + end, graceful_stop, turns };
        closed(plan, &self.control, &self.tally).await;
        self.assert_settled();
        self.now()
    }

    /// Asserts what holds after every end.
    fn assert_settled(&self) {
        assert_eq!((self.tally.active.get(), self.tally.vus.get()), (0, 0));
        assert_eq!(self.made.get(), self.retired.get(), "every VU retires");
        let iterations = self.iterations.borrow();
        let count = |end| iterations.iter().filter(|iteration| iteration.end == end).count() as u64;
        assert_eq!(count(End::Completed) + count(End::Failed), self.ended());
        assert_eq!(count(End::Failed), self.tally.errors.get());
        assert_eq!(count(End::Interrupted), self.interrupted());
        let mut numbers: Vec<u64> = iterations.iter().map(|iteration| iteration.number).collect();
        numbers.sort_unstable();
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "a number was given twice");
        assert!(iterations.iter().all(|i| i.due.is_none_or(|due| due <= i.began)), "too early");
    }

    fn due(&self) -> u64 {
        self.tally.due.get()
    }

    fn ended(&self) -> u64 {
        self.tally.ended.get()
    }

    fn interrupted(&self) -> u64 {
        self.tally.interrupted.get()
    }

    fn dropped(&self) -> u64 {
        self.tally.dropped.get()
    }
}

/// A stand-in for a VU.
struct StandIn {
    id: u64,
    scene: Rc<Scene>,
    interrupt: Rc<Interrupt>,
}

impl Member for StandIn {
    async fn iterate(&mut self, start: Start) -> End {
        let scene = &self.scene;
        let began = scene.now();
        scene.active.set(scene.active.get() + 1);
        scene.active_max.set(scene.active_max.get().max(scene.active.get()));
        let takes = (scene.takes)(start.number);
        let end = if takes.is_zero() {
            End::Completed
        } else {
            tokio::select! {
                biased;
                () = self.interrupt.stopped() => {
                    if !scene.lag.is_zero() {
                        tokio::time::sleep(scene.lag).await;
                    }
                    End::Interrupted
                }
                // Every seventh iteration fails.
                () = tokio::time::sleep(takes) => match start.number % 7 {
                    6 => End::Failed,
                    _ => End::Completed,
                }
            }
        };
        scene.active.set(scene.active.get() - 1);
        scene.iterations.borrow_mut().push(Iteration {
            vu: self.id,
            number: start.number,
            due: start.due.map(|due| due - scene.zero),
            began,
            ended: scene.now(),
            end,
        });
        end
    }

    fn interrupt(&self) -> Rc<Interrupt> {
        Rc::clone(&self.interrupt)
    }

    async fn retire(self) {
        self.scene.retired.set(self.scene.retired.get() + 1);
    }
}

/// An open scenario.
#[derive(Debug, Clone)]
struct Load {
    curve: Curve,
    arrivals: Arrivals,
    share: Share,
    seed: u64,
    vus: u64,
    vus_max: u64,
    on_overload: OnOverload,
    graceful_stop: Duration,
}

impl Load {
    fn new(curve: Curve) -> Self {
        Self {
            curve,
            arrivals: Arrivals::Uniform,
            share: Share::WHOLE,
            seed: 1,
            vus: 1,
            vus_max: 1_000,
            on_overload: OnOverload::Queue,
            graceful_stop: seconds(30.0),
        }
    }

    fn rate(rate: f64, duration: f64) -> Self {
        Self::new(Curve::constant(rate, seconds(duration)))
    }

    fn arrival_rate(&self) -> ArrivalRate {
        ArrivalRate {
            constant: false,
            curve: self.curve.clone(),
            time_unit: seconds(1.0),
            pre_allocated_vus: self.vus,
            max_vus: self.vus_max,
            arrivals: self.arrivals,
            on_overload: self.on_overload,
        }
    }
}

fn ramp(start: f64, stages: &[(f64, f64)]) -> Curve {
    let stage = |&(duration, target)| Stage { duration: seconds(duration), target };
    Curve { start, stages: stages.iter().map(stage).collect() }
}

/// Returns the rules of `ramping-vus`, as a worker makes them.
fn wanted(scene: &Scene, curve: &Curve, graceful: Duration) -> Vec<Admission> {
    let rule = |vu| Admission::Wanted {
        intervals: curve
            .wanted(vu)
            .into_iter()
            .map(|(from, until)| (scene.zero + from, scene.zero + until))
            .collect(),
        end: scene.zero + curve.duration(),
        graceful,
    };
    (0..curve.max().round() as u64).map(rule).collect()
}

/// Runs a scenario in which an iteration panics; returns when that was known, and how many had been
/// due by then.
fn panic_surfaces(run: impl AsyncFnOnce(Rc<Scene>) + 'static) -> (Duration, u64) {
    simulate(async {
        let scene = Scene::new(|number| {
            assert!(number != 50, "a broken invariant");
            ms(40)
        });
        let running = Rc::clone(&scene);
        let ended = tokio::task::spawn_local(async move { run(running).await }).await;
        assert!(ended.expect_err("the driver passes the panic on").is_panic());
        (scene.now(), scene.due())
    })
}

#[test]
fn a_panic_of_a_vu_ends_the_scenario_at_once() {
    // Arrivals with time between them, a second of arrivals before an hour of none, and arrivals for
    // which the driver need not wait.
    let loads = [
        (Load::rate(10.0, 3_600.0), 6.0, 60),
        (Load::new(ramp(51.0, &[(1.0, 51.0), (0.0, 0.0), (3_600.0, 0.0)])), 1.1, 51),
        (Load { vus_max: 60, ..Load::rate(1e8, 0.01) }, 0.01, 10_000),
    ];
    for (load, latest, most_due) in loads {
        let (surfaced, due) =
            panic_surfaces(async move |scene: Rc<Scene>| _ = scene.open(&load).await);
        assert!(surfaced <= seconds(latest) && due <= most_due, "{surfaced:?}, {due} due");
    }
    let (surfaced, _) = panic_surfaces(async |scene: Rc<Scene>| {
        let rules = [Admission::While { until: scene.zero + seconds(3_600.0) }];
        scene.closed(seconds(3_600.0), seconds(30.0), rules).await;
    });
    assert!(surfaced <= seconds(2.1), "{surfaced:?}");
}

#[test]
fn a_stop_is_known_to_the_iteration() {
    simulate(async {
        let scene = Scene::new(|_| seconds(5.0));
        let member = scene.member();
        let interrupt = member.interrupt();
        scene.cut_at(seconds(1.0));
        let until = scene.zero + seconds(10.0);
        let plan = Closed {
            members: vec![(member, Admission::While { until })],
            share: Share::WHOLE,
            end: until,
            graceful_stop: Duration::ZERO,
            turns: Rc::default(),
        };
        closed(plan, &scene.control, &scene.tally).await;
        assert_eq!(interrupt.why(), Some(Stop::Cut));
    });
}

#[test]
fn shares_of_several_workers_add_up() {
    simulate(async {
        for arrivals in [Arrivals::Uniform, Arrivals::Poisson] {
            let whole = Scene::new(|_| ms(30));
            let load = Load { arrivals, ..Load::new(ramp(5.0, &[(60.0, 20.0)])) };
            whole.open(&load).await;
            let scenes: Vec<_> = (0..3).map(|_| Scene::new(|_| ms(30))).collect();
            let parts = scenes.iter().zip(0..).map(|(scene, index)| {
                let load = Load { share: Share { index, count: 3 }, ..load.clone() };
                async move { scene.open(&load).await }
            });
            futures_util::future::join_all(parts).await;
            let key = |scene: &Scene| {
                let iterations = scene.iterations.borrow();
                iterations.iter().map(|i| (i.number, i.due)).collect::<Vec<_>>()
            };
            let mut merged: Vec<_> = scenes.iter().flat_map(|scene| key(scene)).collect();
            merged.sort_unstable();
            let mut expected = key(&whole);
            expected.sort_unstable();
            assert_eq!(merged, expected);
        }
    });
}

#[test]
fn closed_shares_number_iterations_apart() {
    simulate(async {
        let scenes: Vec<_> = (0..3).map(|_| Scene::new(|_| ms(30))).collect();
        let parts = scenes.iter().zip(0..).map(|(scene, index)| async move {
            let share = Share { index, count: 3 };
            let until = scene.zero + seconds(60.0);
            let left = Rc::new(Cell::new(share.of(100)));
            let rules = (0..share.of(7)).map(|_| Admission::Pot { left: Rc::clone(&left), until });
            scene.closed_share(seconds(60.0), seconds(1.0), rules, share).await
        });
        futures_util::future::join_all(parts).await;
        let mut numbers: Vec<u64> = scenes
            .iter()
            .flat_map(|scene| {
                scene.iterations.borrow().iter().map(|i| i.number).collect::<Vec<_>>()
            })
            .collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    });
}

//! The drivers in virtual time, with stand-ins for VUs: hours of load in milliseconds.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use proptest::prelude::*;

use super::{
    Admission, Closed, ClosedTurn, Control, Member, Open, OpenTurn, Tally, Turns, closed, open,
};
use crate::api::{Interrupt, Stop};
use crate::clock::{self, ArrivalTimer, Instant};
use crate::plan::{ArrivalRate, ArrivalTimes, Arrivals, Curve, OnOverload, Share, Stage};
use crate::vu::{End, Start};

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
fn a_constant_rate_starts_iterations_when_they_are_due() {
    simulate(async {
        let scene = Scene::new(|_| ms(300));
        let ended = scene.open(&Load::rate(1.0, 36_000.0)).await;
        assert_eq!((scene.due(), scene.ended(), scene.dropped()), (36_000, 36_000, 0));
        assert!(scene.iterations.borrow().iter().all(|iteration| iteration.lateness() <= TICK));
        assert_eq!(scene.vus_max.get(), 1);
        assert_eq!(scene.tally.overdue.get(), 0);
        // The last one began a second before the end, and was done by then.
        assert_eq!(ended, seconds(36_000.0));
        assert!(!scene.tally.short_of_vus.get());
    });
}

#[test]
fn a_ramp_and_a_poisson_process_start_iterations_when_they_are_due() {
    simulate(async {
        let scene = Scene::new(|_| ms(20));
        let curve = ramp(0.0, &[(60.0, 10.0), (0.0, 2.0), (60.0, 2.0), (60.0, 0.0)]);
        let load = Load::new(curve.clone());
        scene.open(&load).await;
        assert_eq!(scene.due(), curve.arrivals());
        assert!(scene.iterations.borrow().iter().all(|iteration| iteration.lateness() <= TICK));

        let scene = Scene::new(|_| ms(20));
        scene.open(&Load { arrivals: Arrivals::Poisson, ..load.clone() }).await;
        let expected = load.arrival_rate();
        let poisson = Load { arrivals: Arrivals::Poisson, ..load };
        let times = poisson.arrival_rate().times(Share::WHOLE, 1).count() as u64;
        assert_ne!(times, expected.curve.arrivals(), "the seed happens to give the mean");
        assert_eq!((scene.due(), scene.ended()), (times, times));
        assert!(scene.iterations.borrow().iter().all(|iteration| iteration.lateness() <= TICK));
    });
}

#[test]
fn a_busy_vu_with_drop_loses_what_it_cannot_take() {
    simulate(async {
        let scene = Scene::new(|_| ms(995));
        let load = Load { vus_max: 1, on_overload: OnOverload::Drop, ..Load::rate(10.0, 10.0) };
        scene.open(&load).await;
        assert_eq!((scene.due(), scene.ended(), scene.dropped()), (100, 10, 90));
        assert!(scene.lost.borrow().iter().all(Option::is_none));
        assert!(scene.tally.short_of_vus.get());
    });
}

#[test]
fn a_busy_vu_with_queue_keeps_the_due_times() {
    simulate(async {
        let scene = Scene::new(|_| ms(1_000));
        let load = Load { vus_max: 1, graceful_stop: seconds(200.0), ..Load::rate(10.0, 10.0) };
        let ended = scene.open(&load).await;
        assert_eq!((scene.due(), scene.ended(), scene.dropped()), (100, 100, 0));
        // Ten could start while the scenario lasted, and one more at its end.
        assert_eq!(scene.tally.overdue.get(), 89);
        for iteration in &*scene.iterations.borrow() {
            // Due at n/10, started at n: the lateness grows by 0.9 s each time.
            assert_eq!(iteration.due, Some(ms(100 * iteration.number)));
            assert!(iteration.lateness().abs_diff(ms(900 * iteration.number)) <= 2 * TICK);
        }
        assert!(ended.abs_diff(seconds(100.0)) <= TICK);
    });
}

#[test]
fn what_still_waits_at_the_end_of_the_graceful_stop_is_dropped_with_its_time() {
    simulate(async {
        let scene = Scene::new(|_| ms(1_000));
        let load = Load { vus_max: 1, graceful_stop: ms(4_500), ..Load::rate(10.0, 10.0) };
        let ended = scene.open(&load).await;
        assert_eq!((scene.due(), scene.ended()), (100, 14));
        assert_eq!((scene.interrupted(), scene.dropped()), (1, 85));
        assert!(ended.abs_diff(ms(14_500)) <= TICK);
        let lost = scene.lost.borrow();
        // Arrival 15, due at 1.5 s, had waited for 13 s.
        assert!(lost[0].unwrap().abs_diff(ms(13_000)) <= TICK);
        assert!(lost[84].unwrap().abs_diff(ms(4_600)) <= TICK);
    });
}

#[test]
fn vus_grow_as_needed_and_never_past_the_limit() {
    simulate(async {
        let scene = Scene::new(|_| ms(950));
        scene.open(&Load::rate(10.0, 60.0)).await;
        assert_eq!((scene.vus_max.get(), scene.made.get()), (10, 10));
        assert!(!scene.tally.short_of_vus.get());

        let scene = Scene::new(|_| ms(950));
        let load = Load { vus_max: 4, ..Load::rate(10.0, 60.0) };
        scene.open(&load).await;
        assert_eq!((scene.vus_max.get(), scene.active_max.get()), (4, 4));
        assert!(scene.tally.short_of_vus.get());
    });
}

#[test]
fn arrivals_wait_when_no_further_vu_can_be_made() {
    simulate(async {
        let scene = Scene::new(|_| ms(200));
        scene.open_with(&Load::rate(10.0, 10.0), || None).await;
        assert_eq!((scene.due(), scene.ended(), scene.made.get()), (100, 100, 1));
    });
}

#[test]
fn without_any_vu_arrivals_are_dropped_at_the_end() {
    simulate(async {
        let scene = Scene::new(|_| ms(200));
        let load = Load { vus: 0, graceful_stop: seconds(1.0), ..Load::rate(10.0, 1.0) };
        let ended = scene.open_with(&load, || None).await;
        assert_eq!((scene.due(), scene.dropped()), (10, 10));
        assert!(ended <= seconds(2.0) + TICK);
    });
}

#[test]
fn a_closed_open_scenario_loses_its_queue_and_lets_iterations_end() {
    simulate(async {
        let scene = Scene::new(|_| ms(1_000));
        scene.close_at(ms(5_250));
        let load = Load { vus_max: 1, ..Load::rate(10.0, 10.0) };
        let ended = scene.open(&load).await;
        assert_eq!((scene.due(), scene.ended(), scene.interrupted()), (53, 6, 0));
        assert_eq!(scene.dropped(), 47);
        assert!(ended.abs_diff(seconds(6.0)) <= TICK);
    });
}

#[test]
fn a_cut_ends_iterations_at_once() {
    simulate(async {
        let scene = Scene::new(|_| seconds(100.0));
        scene.cut_at(ms(2_050));
        let ended = scene.open(&Load { vus_max: 5, ..Load::rate(10.0, 10.0) }).await;
        assert_eq!((scene.due(), scene.interrupted(), scene.dropped()), (21, 5, 16));
        assert!(ended.abs_diff(ms(2_050)) <= TICK);
    });
}

#[test]
fn a_cut_shortens_the_graceful_stop_of_a_close() {
    simulate(async {
        let scene = Scene::new(|_| seconds(100.0));
        scene.close_at(seconds(2.0));
        scene.cut_at(seconds(3.0));
        let ended = scene.open(&Load::rate(1.0, 10.0)).await;
        assert_eq!((scene.ended(), scene.dropped()), (0, 0));
        assert_eq!(scene.interrupted(), scene.due());
        assert!(ended.abs_diff(seconds(3.0)) <= TICK);
    });
}

#[test]
fn a_close_within_the_graceful_stop_loses_what_waits() {
    simulate(async {
        let scene = Scene::new(|_| ms(1_000));
        scene.close_at(ms(12_500));
        let load = Load { vus_max: 1, ..Load::rate(10.0, 10.0) };
        let ended = scene.open(&load).await;
        assert_eq!((scene.ended(), scene.dropped(), scene.interrupted()), (13, 87, 0));
        assert!(ended.abs_diff(seconds(13.0)) <= TICK);
    });
}

#[test]
fn a_schedule_without_arrivals_ends_by_its_plan() {
    simulate(async {
        for (curve, expected) in [
            (Curve::constant(0.0, seconds(5.0)), 5.0),
            (Curve { start: 10.0, stages: Vec::new() }, 0.0),
            (ramp(10.0, &[(0.0, 20.0)]), 0.0),
        ] {
            let scene = Scene::new(|_| ms(10));
            assert_eq!(scene.open(&Load::new(curve)).await, seconds(expected));
            assert_eq!((scene.due(), scene.retired.get()), (0, 1));
        }
    });
}

#[test]
fn instant_iterations_of_an_open_scenario_need_one_vu() {
    simulate(async {
        let scene = Scene::new(|_| Duration::ZERO);
        scene.open(&Load::rate(20_000.0, 0.5)).await;
        // Those that are due at the same tick of the virtual clock come at once, and grow the VUs.
        assert_eq!((scene.due(), scene.ended()), (10_000, 10_000));
    });
}

#[test]
fn constant_vus_iterate_for_the_duration() {
    simulate(async {
        let scene = Scene::new(|_| ms(700));
        let until = scene.zero + seconds(7_200.0);
        let rules = (0..3).map(|_| Admission::While { until });
        let ended = scene.closed(seconds(7_200.0), seconds(30.0), rules).await;
        // 7,200 s / 0.7 s = 10,285.7: the last ones run over the end.
        assert_eq!((scene.ended(), scene.interrupted()), (3 * 10_286, 0));
        assert!(ended.abs_diff(ms(7_200_200)) <= TICK);
        assert_eq!((scene.due(), scene.active_max.get()), (0, 3));
    });
}

#[test]
fn the_graceful_stop_of_constant_vus_cuts_what_takes_longer() {
    simulate(async {
        for (graceful, ended, interrupted) in [(5.0, 0, 2), (0.0, 0, 2), (11.0, 2, 0)] {
            let scene = Scene::new(|_| seconds(20.0));
            let until = scene.zero + seconds(10.0);
            let rules = (0..2).map(|_| Admission::While { until });
            let at = scene.closed(seconds(10.0), seconds(graceful), rules).await;
            assert_eq!((scene.ended(), scene.interrupted()), (ended, interrupted));
            assert!(at.abs_diff(seconds(10.0 + f64::min(graceful, 10.0))) <= TICK);
        }
    });
}

#[test]
fn a_vu_that_notices_a_cut_late_is_waited_for() {
    simulate(async {
        let scene = Scene::with_lag(|_| seconds(20.0), ms(400));
        scene.cut_at(seconds(3.0));
        let until = scene.zero + seconds(10.0);
        let at = scene.closed(seconds(10.0), seconds(5.0), [Admission::While { until }]).await;
        assert_eq!(scene.interrupted(), 1);
        assert!(at.abs_diff(ms(3_400)) <= TICK);
    });
}

#[test]
fn instant_iterations_let_others_run() {
    simulate(async {
        let scene = Scene::new(|_| Duration::ZERO);
        let turns = Rc::new(Cell::new(0));
        let (other, counted) = (Rc::clone(&scene), Rc::clone(&turns));
        tokio::task::spawn_local(async move {
            for _ in 0..10 {
                counted.set(counted.get() + 1);
                tokio::task::yield_now().await;
            }
            other.control.close();
        });
        let until = scene.zero + seconds(10.0);
        let rules = (0..4).map(|_| Admission::While { until });
        scene.closed(seconds(10.0), seconds(5.0), rules).await;
        assert_eq!(turns.get(), 10);
        // Each VU had a bounded number of iterations between two turns of the other task.
        assert!(scene.ended() < 4 * 12 * 1_000, "{}", scene.ended());
    });
}

#[test]
fn per_vu_iterations_are_exact() {
    simulate(async {
        let scene = Scene::new(|number| ms(10 + number % 50));
        let until = scene.zero + seconds(600.0);
        let rules = (0..5).map(|_| Admission::Times { left: 20, until });
        let at = scene.closed(seconds(600.0), seconds(30.0), rules).await;
        assert_eq!((scene.ended(), scene.dropped()), (100, 0));
        for vu in 0..5 {
            assert_eq!(scene.iterations.borrow().iter().filter(|i| i.vu == vu).count(), 20);
        }
        assert!(at < seconds(2.0));
    });
}

#[test]
fn shared_iterations_are_exact_and_faster_vus_take_more() {
    simulate(async {
        // Even numbers are slow.
        let scene = Scene::new(|number| if number == 0 { seconds(50.0) } else { ms(100) });
        let until = scene.zero + seconds(600.0);
        let left = Rc::new(Cell::new(101));
        let rules = (0..2).map(|_| Admission::Pot { left: Rc::clone(&left), until });
        scene.closed(seconds(600.0), seconds(30.0), rules).await;
        assert_eq!((scene.ended(), scene.dropped()), (101, 0));
        let iterations = scene.iterations.borrow();
        assert_eq!(iterations.iter().filter(|iteration| iteration.vu == 0).count(), 1);
    });
}

#[test]
fn promised_iterations_that_do_not_start_in_time_are_dropped() {
    simulate(async {
        let scene = Scene::new(|_| seconds(3.0));
        let until = scene.zero + seconds(10.0);
        let left = Rc::new(Cell::new(100));
        let rules = (0..2).map(|_| Admission::Pot { left: Rc::clone(&left), until });
        let at = scene.closed(seconds(10.0), seconds(1.0), rules).await;
        assert_eq!((scene.ended(), scene.interrupted(), scene.dropped()), (6, 2, 92));
        assert!(at.abs_diff(seconds(11.0)) <= TICK);

        let scene = Scene::new(|_| seconds(3.0));
        let until = scene.zero + seconds(10.0);
        let rules = (0..2).map(|_| Admission::Times { left: 50, until });
        scene.closed(seconds(10.0), seconds(5.0), rules).await;
        assert_eq!((scene.ended(), scene.interrupted(), scene.dropped()), (8, 0, 92));
    });
}

#[test]
fn a_schedule_without_length_drops_what_was_promised() {
    simulate(async {
        let scene = Scene::new(|_| ms(10));
        let until = scene.zero;
        let rules = (0..2).map(|_| Admission::Times { left: 5, until });
        assert_eq!(scene.closed(Duration::ZERO, seconds(5.0), rules).await, Duration::ZERO);
        assert_eq!((scene.ended(), scene.dropped()), (0, 10));

        let scene = Scene::new(|_| ms(10));
        assert_eq!(scene.closed(Duration::ZERO, seconds(5.0), []).await, Duration::ZERO);
    });
}

#[test]
fn a_closed_scenario_that_is_stopped_drops_what_was_promised() {
    simulate(async {
        let scene = Scene::new(|_| seconds(1.0));
        scene.close_at(ms(2_500));
        let until = scene.zero + seconds(600.0);
        let rules = (0..4).map(|_| Admission::Times { left: 10, until });
        let at = scene.closed(seconds(600.0), seconds(30.0), rules).await;
        assert_eq!((scene.ended(), scene.interrupted(), scene.dropped()), (12, 0, 28));
        assert!(at.abs_diff(seconds(3.0)) <= TICK);
    });
}

#[test]
fn ramping_vus_iterate_while_they_are_wanted() {
    simulate(async {
        let scene = Scene::new(|_| ms(100));
        let curve = ramp(0.0, &[(10.0, 10.0), (10.0, 10.0), (10.0, 0.0)]);
        let rules = wanted(&scene, &curve, seconds(30.0));
        let at = scene.closed(curve.duration(), seconds(30.0), rules).await;
        assert_eq!((scene.interrupted(), scene.active_max.get()), (0, 10));
        for iteration in &*scene.iterations.borrow() {
            let (from, until) = curve.wanted(iteration.vu)[0];
            assert!(from <= iteration.began && iteration.began < until + TICK, "{iteration:?}");
        }
        for vu in 0..10 {
            let (from, until) = curve.wanted(vu)[0];
            let iterations = scene.iterations.borrow();
            let count = iterations.iter().filter(|iteration| iteration.vu == vu).count();
            let expected = until.abs_diff(from).as_secs_f64() / 0.1;
            assert!((count as f64 - expected).abs() <= 2.0 + expected * 0.01, "{count} {expected}");
        }
        assert_eq!(at, curve.duration());
    });
}

#[test]
fn the_graceful_ramp_down_cuts_after_its_time_and_not_before() {
    simulate(async {
        // The VU is wanted for 5 s; its iteration takes 8 s.
        for (graceful, end, at) in
            [(2.0, End::Interrupted, 7.0), (3.5, End::Completed, 8.0), (0.0, End::Interrupted, 5.0)]
        {
            let scene = Scene::new(|_| seconds(8.0));
            let curve = ramp(1.0, &[(5.0, 1.0), (0.0, 0.0), (20.0, 0.0)]);
            let rules = wanted(&scene, &curve, seconds(graceful));
            scene.closed(curve.duration(), seconds(30.0), rules).await;
            let iterations = scene.iterations.borrow();
            assert_eq!(iterations.len(), 1);
            assert_eq!(iterations[0].end, end);
            assert!(iterations[0].ended.abs_diff(seconds(at)) <= TICK);
        }
    });
}

#[test]
fn a_vu_is_wanted_again_when_the_curve_rises() {
    simulate(async {
        let scene = Scene::new(|_| seconds(8.0));
        let curve =
            ramp(1.0, &[(5.0, 1.0), (0.0, 0.0), (10.0, 0.0), (0.0, 1.0), (5.0, 1.0), (0.0, 0.0)]);
        let rules = wanted(&scene, &curve, seconds(1.0));
        scene.closed(curve.duration(), seconds(30.0), rules).await;
        let iterations = scene.iterations.borrow();
        assert_eq!(iterations.len(), 2);
        // Cut by the ramp-down; begun again with the curve; ended within the graceful stop.
        assert!(iterations[0].ended.abs_diff(seconds(6.0)) <= TICK);
        assert!(iterations[1].began.abs_diff(seconds(15.0)) <= TICK);
        assert_eq!((iterations[0].end, iterations[1].end), (End::Interrupted, End::Completed));
    });
}

#[test]
fn an_iteration_is_not_cut_while_its_vu_is_wanted_again() {
    simulate(async {
        let scene = Scene::new(|_| seconds(8.0));
        // Not wanted between 5 s and 6 s, which is shorter than the graceful ramp-down.
        let curve = ramp(1.0, &[(5.0, 1.0), (0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (10.0, 1.0)]);
        let rules = wanted(&scene, &curve, seconds(2.0));
        scene.closed(curve.duration(), seconds(30.0), rules).await;
        assert_eq!((scene.ended(), scene.interrupted()), (2, 0));
    });
}

#[test]
fn the_end_of_the_curve_is_no_ramp_down() {
    simulate(async {
        let scene = Scene::new(|_| seconds(8.0));
        let curve = Curve::constant(2.0, seconds(5.0));
        let rules = wanted(&scene, &curve, Duration::ZERO);
        let at = scene.closed(curve.duration(), seconds(30.0), rules).await;
        assert_eq!((scene.ended(), scene.interrupted()), (2, 0));
        assert!(at.abs_diff(seconds(8.0)) <= TICK);
    });
}

#[test]
fn ramping_vus_last_as_long_as_the_curve() {
    simulate(async {
        let scene = Scene::new(|_| ms(100));
        let curve = ramp(1.0, &[(5.0, 1.0), (0.0, 0.0), (5.0, 0.0)]);
        let rules = wanted(&scene, &curve, seconds(30.0));
        let at = scene.closed(curve.duration(), seconds(30.0), rules).await;
        assert_eq!(at, seconds(10.0));
    });
}

#[test]
fn a_vu_that_waits_to_be_wanted_goes_when_the_scenario_is_closed() {
    simulate(async {
        let scene = Scene::new(|_| ms(100));
        scene.close_at(seconds(2.0));
        let curve = ramp(0.0, &[(10.0, 0.0), (0.0, 1.0), (10.0, 1.0)]);
        let rules = wanted(&scene, &curve, seconds(30.0));
        let at = scene.closed(curve.duration(), seconds(30.0), rules).await;
        assert_eq!((scene.ended(), at), (0, seconds(2.0)));
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

/// How a scenario is stopped from outside: closed, cut off, neither or both.
fn any_stop() -> impl Strategy<Value = (Option<f64>, Option<f64>)> {
    (prop::option::of(0.0..25.0_f64), prop::option::of(0.0..25.0_f64))
}

fn stop_at(scene: &Rc<Scene>, (close, cut): (Option<f64>, Option<f64>)) {
    if let Some(time) = close {
        scene.close_at(seconds(time));
    }
    if let Some(time) = cut {
        scene.cut_at(seconds(time));
    }
}

/// Returns the latest time at which a scenario may end.
fn limit(
    end: Duration,
    graceful: Duration,
    (close, cut): (Option<f64>, Option<f64>),
    lag: Duration,
) -> Duration {
    let closed = close.map_or(end, |close| end.min(seconds(close)));
    let cut = cut.map_or(Duration::MAX, seconds);
    (closed + graceful).min(cut) + lag + 3 * TICK
}

/// Returns durations that depend on nothing but the number.
fn scattered(seed: u64, longest: u64) -> impl Fn(u64) -> Duration {
    move |number| {
        let hash = (number ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
        ms(hash.wrapping_mul(0xbf58_476d_1ce4_e5b9) % (longest + 1))
    }
}

fn any_curve() -> impl Strategy<Value = Curve> {
    let stage = || (prop_oneof![Just(0.0), 0.0..6.0_f64], 0.0..15.0_f64);
    (0.0..15.0_f64, prop::collection::vec(stage(), 0..4))
        .prop_map(|(start, stages)| ramp(start, &stages))
}

proptest! {
    #[test]
    fn every_arrival_of_an_open_scenario_is_accounted_for(
        curve in any_curve(),
        (seed, longest, lag) in (any::<u64>(), 0..8_000_u64, 0..500_u64),
        (vus, vus_max) in (0..4_u64, 1..12_u64),
        graceful in 0.0..6.0_f64,
        (drops, poisson) in (any::<bool>(), any::<bool>()),
        stop in any_stop(),
    ) {
        simulate(async {
            let scene = Scene::with_lag(scattered(seed, longest), ms(lag));
            let load = Load {
                arrivals: if poisson { Arrivals::Poisson } else { Arrivals::Uniform },
                seed,
                vus,
                vus_max,
                on_overload: if drops { OnOverload::Drop } else { OnOverload::Queue },
                graceful_stop: seconds(graceful),
                ..Load::new(curve)
            };
            stop_at(&scene, stop);
            // Settles the accounts: due = ended + interrupted + dropped.
            let ended = scene.open(&load).await;
            prop_assert!(ended <= limit(load.curve.duration(), load.graceful_stop, stop, ms(lag)));
            let arrivals = load.arrival_rate().times(Share::WHOLE, seed);
            let closed = [stop.0, stop.1].into_iter().flatten().map(seconds).min();
            if let Some(closed) = closed {
                let before = arrivals.take_while(|(_, due)| *due <= closed + TICK).count() as u64;
                prop_assert!(scene.due() <= before);
                let late = |i: &Iteration| i.began > closed + TICK;
                prop_assert!(!scene.iterations.borrow().iter().any(late), "started after the end");
            } else {
                prop_assert_eq!(scene.due(), arrivals.count() as u64);
            }
            Ok(())
        })?;
    }

    #[test]
    fn every_promised_iteration_of_a_closed_scenario_is_accounted_for(
        (seed, longest, lag) in (any::<u64>(), 1..8_000_u64, 0..500_u64),
        (vus, promised) in (1..8_u64, 0..40_u64),
        (length, graceful) in (0.0..20.0_f64, 0.0..6.0_f64),
        shared in any::<bool>(),
        stop in any_stop(),
    ) {
        simulate(async {
            let scene = Scene::with_lag(scattered(seed, longest), ms(lag));
            stop_at(&scene, stop);
            let until = scene.zero + seconds(length);
            let left = Rc::new(Cell::new(promised));
            let rule = |_| if shared {
                Admission::Pot { left: Rc::clone(&left), until }
            } else {
                Admission::Times { left: promised, until }
            };
            let rules: Vec<_> = (0..vus).map(rule).collect();
            let ended = scene.closed(seconds(length), seconds(graceful), rules).await;
            let total = if shared { promised } else { vus * promised };
            prop_assert_eq!(total, scene.ended() + scene.interrupted() + scene.dropped());
            prop_assert!(ended <= limit(seconds(length), seconds(graceful), stop, ms(lag)));
            Ok(())
        })?;
    }

    #[test]
    fn ramping_vus_keep_to_their_curve(
        curve in any_curve(),
        (seed, longest, lag) in (any::<u64>(), 1..8_000_u64, 0..500_u64),
        (graceful_stop, graceful_ramp_down) in (0.0..6.0_f64, 0.0..6.0_f64),
        stop in any_stop(),
    ) {
        simulate(async {
            let scene = Scene::with_lag(scattered(seed, longest), ms(lag));
            stop_at(&scene, stop);
            let rules = wanted(&scene, &curve, seconds(graceful_ramp_down));
            let ended = scene.closed(curve.duration(), seconds(graceful_stop), rules).await;
            prop_assert!(ended <= limit(curve.duration(), seconds(graceful_stop), stop, ms(lag)));
            for i in &*scene.iterations.borrow() {
                let intervals = curve.wanted(i.vu);
                let within =
                    |(from, until): &(Duration, Duration)| *from <= i.began && i.began < *until;
                let interval = intervals.iter().position(within);
                prop_assert!(interval.is_some(), "{:?} in {:?}", i, intervals);
                let wanted_at = |time: Duration| {
                    intervals.iter().any(|(from, until)| {
                        let reach = if *until == curve.duration() {
                            seconds(graceful_stop)
                        } else {
                            seconds(graceful_ramp_down)
                        };
                        *from <= time && time <= *until + reach + ms(lag) + 3 * TICK
                    })
                };
                prop_assert!(wanted_at(i.ended), "{:?} in {:?}", i, intervals);
            }
            Ok(())
        })?;
    }
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

/// Hands a closure's result to a scene at a time.
fn at_time(scene: &Rc<Scene>, time: Duration, act: impl FnOnce(&Rc<Scene>) + 'static) {
    let scene = Rc::clone(scene);
    tokio::task::spawn_local(async move {
        tokio::time::sleep_until(scene.zero + time).await;
        act(&scene);
    });
}

#[test]
fn an_open_scenario_goes_on_with_a_new_schedule_from_its_time_on() {
    simulate(async {
        let scene = Scene::new(|_| ms(10));
        // 10/s for 10 s; from 2 s on 100/s, as if since the start, for 4 s in all.
        at_time(&scene, seconds(1.5), |scene| {
            let mut arrivals = Load::rate(100.0, 4.0).arrival_rate().times(Share::WHOLE, 1);
            arrivals.nth(199);
            scene.turns.put(OpenTurn {
                at: seconds(2.0),
                arrivals,
                vus_max: 50,
                on_overload: OnOverload::Queue,
                end: scene.zero + seconds(4.0),
                graceful_stop: seconds(1.0),
            });
        });
        let ended = scene.open(&Load::rate(10.0, 10.0)).await;
        let iterations = scene.iterations.borrow();
        let before = iterations.iter().filter(|one| one.due < Some(seconds(2.0))).count();
        assert_eq!((before, iterations.len()), (20, 220));
        assert!(iterations.iter().all(|one| one.lateness() <= TICK));
        assert!(ended >= seconds(4.0) && ended < seconds(4.1), "{ended:?}");
    });
}

#[test]
fn a_schedule_that_comes_after_the_last_arrival_or_late_repeats_nothing() {
    simulate(async {
        let scene = Scene::new(|_| ms(10));
        let turn = |scene: &Rc<Scene>, rate: f64, at: f64| {
            let arrivals = Load::rate(rate, 6.0).arrival_rate().times(Share::WHOLE, 1);
            let mut arrivals = arrivals;
            arrivals.nth((rate * at) as usize - 1);
            scene.turns.put(OpenTurn {
                at: seconds(at),
                arrivals,
                vus_max: 50,
                on_overload: OnOverload::Queue,
                end: scene.zero + seconds(6.0),
                graceful_stop: seconds(1.0),
            });
        };
        // The first schedule ends with an arrival at 0.9 s; its scenario at 1 s.
        at_time(&scene, seconds(0.95), move |scene| turn(scene, 10.0, 2.0));
        // This one should have begun before; what was due since then has been started.
        at_time(&scene, seconds(4.05), move |scene| turn(scene, 20.0, 3.5));
        scene.open(&Load::rate(10.0, 1.0)).await;
        let mut due: Vec<_> = scene.iterations.borrow().iter().map(|one| one.due).collect();
        due.sort();
        due.dedup();
        // Until 1 s 10, from 2 s to 4 s 21, then 20 a second up to 6 s.
        assert_eq!(due.len(), scene.iterations.borrow().len());
        assert_eq!(due.len(), 10 + 21 + 39);
    });
}

#[test]
fn a_closed_scenario_goes_on_with_more_vus_or_fewer() {
    simulate(async {
        let scene = Scene::new(|_| ms(100));
        let turn = |scene: &Rc<Scene>, vus: u64, end: f64| {
            let (maker, end) = (Rc::clone(scene), scene.zero + seconds(end));
            scene.rules.put(ClosedTurn {
                vus,
                rule: Box::new(move |n, _| Admission::While {
                    until: if n < vus { end } else { clock::now() },
                }),
                make: Box::new(move || Some(maker.member())),
                end,
                graceful_stop: seconds(1.0),
            });
        };
        at_time(&scene, seconds(1.05), move |scene| turn(scene, 5, 4.0));
        at_time(&scene, seconds(2.05), move |scene| turn(scene, 1, 4.0));
        at_time(&scene, seconds(3.05), move |scene| turn(scene, 2, 5.0));
        let until = scene.zero + seconds(10.0);
        let rules = [Admission::While { until }, Admission::While { until }];
        let ended = scene.closed(seconds(10.0), seconds(30.0), rules).await;
        assert!(ended >= seconds(5.0) && ended < seconds(5.2), "{ended:?}");
        let began = |from: f64, to: f64| {
            let (from, to) = (seconds(from), seconds(to));
            let iterations = scene.iterations.borrow();
            iterations.iter().filter(|one| (from..to).contains(&one.began)).count()
        };
        assert_eq!(began(0.0, 0.95), 20);
        assert_eq!(began(1.2, 2.0), 40);
        assert_eq!(began(2.2, 2.95), 8);
        assert_eq!(began(3.2, 4.0), 16);
        assert_eq!(scene.vus_max.get(), 5);
    });
}

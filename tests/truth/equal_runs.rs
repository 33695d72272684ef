//! Equal runs do not differ, and unequal ones do: the whole way from the schedule to the histogram,
//! in virtual time, so that a hundred pairs of runs take seconds and no machine disturbs them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use kingtide::api::Interrupt;
use kingtide::clock::{self, ArrivalTimer};
use kingtide::executor::{Control, Member, Open, Tally, open};
use kingtide::metrics::{Aggregate, Histogram, Registry, Shard, Stats, TagSetId, builtin};
use kingtide::plan::{Curve, OnOverload, Share};
use kingtide::vu::{End, Start, record_open};
use rand::SeedableRng as _;
use rand_distr::{Distribution as _, LogNormal};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::finding::{beside_others, distance_from, sorted};

/// Pairs of runs that are compared.
const PAIRS: u64 = 100;

/// A VU whose iterations take times drawn from a seed, and are recorded as a real one's are.
struct Sleeper {
    random: Rc<RefCell<Xoshiro256PlusPlus>>,
    slower: f64,
    shard: Rc<RefCell<Shard>>,
    interrupt: Rc<Interrupt>,
}

impl Member for Sleeper {
    async fn iterate(&mut self, start: Start) -> End {
        let due = start.due.expect("the scenario is open");
        let lateness = clock::now() - due;
        let takes = LogNormal::new(3.7, 0.5).expect("a shape above 0");
        let ms = takes.sample(&mut *self.random.borrow_mut()) * self.slower;
        tokio::time::sleep(Duration::from_secs_f64(ms / 1e3)).await;
        let mut shard = self.shard.borrow_mut();
        record_open(&mut shard, TagSetId::EMPTY, lateness, clock::now() - due);
        End::Completed
    }

    fn interrupt(&self) -> Rc<Interrupt> {
        Rc::clone(&self.interrupt)
    }

    async fn retire(self) {}
}

/// Runs Poisson arrivals for ten seconds; returns the response times.
fn run(seed: u64, slower: f64) -> Histogram {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let registry = Arc::new(Registry::new());
    let shard = Rc::new(RefCell::new(Shard::new(Arc::clone(&registry), 100)));
    let random = Rc::new(RefCell::new(Xoshiro256PlusPlus::seed_from_u64(seed ^ 0xa5a5)));
    let made = Cell::new(0);
    let make = || {
        made.set(made.get() + 1);
        let interrupt = Rc::default();
        Some(Sleeper { random: Rc::clone(&random), slower, shard: Rc::clone(&shard), interrupt })
    };
    let curve = Curve::constant(50.0, Duration::from_secs(10));
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let began = clock::now();
        let plan = Open {
            began,
            arrivals: curve.poisson_times(Share::WHOLE, seed),
            members: Vec::new(),
            make,
            vus_max: 1_000,
            on_overload: OnOverload::Queue,
            end: began + curve.duration(),
            graceful_stop: Duration::from_secs(30),
            turns: Rc::default(),
            timer: ArrivalTimer::simulated(),
            on_lost: |_| unreachable!("there are VUs enough"),
        };
        open(plan, &Rc::<Control>::default(), &Rc::<Tally>::default()).await;
    });
    let mut aggregate = Aggregate::new(registry, Vec::new());
    aggregate.merge(0, shard.borrow_mut().take(), Duration::from_secs(10));
    aggregate.tick(Duration::from_secs(10));
    match aggregate.metric(builtin::ITERATION_RESPONSE_TIME) {
        Some(Stats::Trend(trend, _)) => trend.clone(),
        _ => panic!("no samples"),
    }
}

/// Returns the probability that two histograms of one distribution differ as much as these: Mann and
/// Whitney's test on ranks, two-sided, with the correction for ties.
pub(crate) fn mann_whitney(a: &Histogram, b: &Histogram) -> f64 {
    let mut buckets: BTreeMap<u64, (f64, f64)> = BTreeMap::new();
    a.iter().for_each(|(value, count)| buckets.entry(value).or_default().0 += count as f64);
    b.iter().for_each(|(value, count)| buckets.entry(value).or_default().1 += count as f64);
    let (count_a, count_b) = (a.count() as f64, b.count() as f64);
    let (mut below, mut wins, mut ties) = (0.0, 0.0, 0.0);
    for (in_a, in_b) in buckets.into_values() {
        wins += in_a * (below + in_b / 2.0);
        below += in_b;
        let tied: f64 = in_a + in_b;
        ties += tied.powi(3) - tied;
    }
    let all = count_a + count_b;
    let variance = count_a * count_b / 12.0 * (all + 1.0 - ties / (all * (all - 1.0)));
    let z = (wins - count_a * count_b / 2.0).abs() / variance.sqrt();
    two_sided(z)
}

/// Returns the probability that a normal variable lies further than `z` from its mean (Abramowitz
/// and Stegun 7.1.26, to 1.5e-7).
fn two_sided(z: f64) -> f64 {
    let x = z / 2f64.sqrt();
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let terms = [0.254_829_592, -0.284_496_736, 1.421_413_741, -1.453_152_027, 1.061_405_429];
    let sum = terms.iter().rev().fold(0.0, |sum, term| (sum + term) * t);
    sum * (-x * x).exp()
}

#[test]
fn equal_runs_differ_as_often_as_chance_has_it() {
    let _beside = beside_others();
    let pairs = (0..PAIRS).map(|pair| mann_whitney(&run(2 * pair, 1.0), &run(2 * pair + 1, 1.0)));
    let chances = sorted(pairs);
    // "Significant" at 1 % is to come once in a hundred. The seeds are fixed, so this is no game.
    let significant = chances.iter().filter(|chance| **chance < 0.01).count();
    assert!(significant <= 1, "{significant} of {PAIRS} differ: {:?}", &chances[..5]);
    // More than that: without a difference all probabilities are alike likely (1 % critical value).
    let distance = distance_from(&chances, |chance| chance.clamp(0.0, 1.0));
    assert!(distance < 1.628 / (PAIRS as f64).sqrt(), "{distance}");
}

#[test]
fn runs_that_differ_by_a_tenth_are_told_apart() {
    let _beside = beside_others();
    let found = (0..PAIRS / 4)
        .filter(|pair| mann_whitney(&run(2 * pair, 1.0), &run(2 * pair + 1, 1.1)) < 0.01)
        .count() as u64;
    assert!(found * 10 >= PAIRS / 4 * 7, "{found} of {}", PAIRS / 4);
}

#[test]
fn a_run_with_the_same_seed_is_the_same_run() {
    assert_eq!(run(7, 1.0).encode(), run(7, 1.0).encode());
    assert_ne!(run(7, 1.0).encode(), run(8, 1.0).encode());
    assert!((two_sided(2.575_829) - 0.01).abs() < 1e-6);
}

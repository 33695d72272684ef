//! Whatever the scenario and whoever stops it: nothing is lost, and nothing too late.

use proptest::prelude::*;

use super::*;

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

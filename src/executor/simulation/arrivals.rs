//! Scenarios in which arrivals are due, whoever is free.

use super::*;

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

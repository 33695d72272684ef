//! Scenarios whose VUs follow a curve.

use super::*;

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

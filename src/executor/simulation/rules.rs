//! Scenarios in which VUs iterate as long as their rule admits them.

use super::*;

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

//! Scenarios that go on by new rules while they run.

use super::*;

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

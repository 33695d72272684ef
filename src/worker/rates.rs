//! A worker's parts of the rates that limit requests, by how many of the VUs it has.

use std::rc::Rc;

use super::scenario::share_of;
use crate::clock::Instant;
use crate::plan::{Plan, Scenario, Share};
use crate::protocol::RequestRate;
use crate::vu::Ground;

/// Returns the part of the test's rate.
pub(super) fn of_test(plan: &Plan, worker: Share, zero: Instant) -> Option<Rc<RequestRate>> {
    let weights = plan.scenarios.iter().enumerate().map(|(index, s)| weights(s, index, worker));
    let sum = weights.reduce(|mut sum, more| {
        sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        sum
    });
    part(plan.http.rps, &sum.unwrap_or_default(), worker, zero)
}

/// Returns the rates that limit a scenario's requests: its own, and the test's.
pub(super) fn of_scenario(
    ground: &Ground,
    scenario: &Scenario,
    index: usize,
    worker: Share,
) -> Vec<Rc<RequestRate>> {
    let zero = ground.worker.status.zero();
    let own = part(scenario.rps, &weights(scenario, index, worker), worker, zero);
    own.into_iter().chain(ground.rate.clone()).collect()
}

/// Returns how many of a scenario's VUs each worker has.
fn weights(scenario: &Scenario, index: usize, worker: Share) -> Vec<u64> {
    let vus = scenario.executor.vus_max();
    let workers = (0..worker.count).map(|index| Share { index, ..worker });
    let shares = workers.map(|worker| share_of(&scenario.executor, worker, index));
    shares.map(|share| share.map_or(0, |share| share.of(vus))).collect()
}

fn part(
    rate: Option<f64>,
    weights: &[u64],
    worker: Share,
    zero: Instant,
) -> Option<Rc<RequestRate>> {
    RequestRate::of_worker(rate?, weights, worker.index as usize, zero).map(Rc::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Facts, Options, resolve};

    #[test]
    fn each_worker_weighs_as_much_as_its_vus() {
        let options = serde_json::json!({ "scenarios": {
            "few": { "executor": "constant-vus", "vus": 1, "duration": "1s" },
            "some": { "executor": "constant-vus", "vus": 5, "duration": "1s" },
            "open": { "executor": "constant-arrival-rate", "rate": 1, "duration": "1s",
                      "max_vus": 10 },
        } });
        let options = Options::from_json(options).unwrap();
        let plan = resolve(&options, &Facts::default()).unwrap();
        let worker = Share { index: 0, count: 3 };
        let all: Vec<Vec<u64>> =
            plan.scenarios.iter().enumerate().map(|(i, s)| weights(s, i, worker)).collect();
        assert_eq!(all[0].iter().sum::<u64>(), 1);
        assert_eq!(all[1].iter().sum::<u64>(), 5);
        assert_eq!(all[2].iter().sum::<u64>(), 10);
        assert!(all.iter().all(|weights| weights.len() == 3), "{all:?}");
    }
}

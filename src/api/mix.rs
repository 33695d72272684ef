//! The module `mix`: picks functions of the script by weight.
//!
//! The picks follow a schedule: each function as often as its weight says, shuffled by the test's
//! seed, over and over. So the shares are exact over any run of picks as long as the schedule. A
//! scenario's VUs go through it together, on whatever worker: it costs one atomic addition per pick,
//! like the counts of iterations. Schedules of their own would be exact for each VU or worker
//! alone, and over all only as far as these are equally fast.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_xoshiro::Xoshiro256PlusPlus;

use super::kingtide::not_while_loading;
use super::{Answer, ApiError, Args, Function, Method, Module, Object, Run, Value, VuContext};

/// The module.
pub(super) const MODULE: Module = Module {
    name: "mix",
    functions: &[
        Function { name: "mix", params: &["weights"], run: Run::Now(mix) },
        // A part of a mix's `run` for the adapters.
        Function { name: "_pick_mix", params: &["mix"], run: Run::Now(pick) },
    ],
    constants: &[],
};

/// The methods of a mix.
pub(super) const METHODS: &[Method] = &[
    // It calls the script, so each language's adapter writes it over `pick`.
    Method { name: "run", params: &["data?"], waits: false },
    Method { name: "pick", params: &[], waits: false },
];

/// The most picks of a schedule.
const LENGTH_MAX: u64 = 1_000_000;

/// The most digits behind a weight's point.
const DIGITS_MAX: u32 = 6;

/// In which order functions are picked.
#[derive(Debug)]
pub(super) struct Schedule {
    names: Vec<String>,
    /// Places of `names`.
    picks: Vec<u16>,
}

impl Schedule {
    /// Makes the schedule of whole weights by name.
    fn new(names: Vec<String>, weights: &[u64], seed: u64) -> Self {
        let repeat =
            |(place, weight): (usize, &u64)| std::iter::repeat_n(place as u16, *weight as usize);
        let mut picks: Vec<u16> = weights.iter().enumerate().flat_map(repeat).collect();
        picks.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(seed));
        Self { names, picks }
    }

    /// Returns the name of pick number `number`, from 0.
    fn name(&self, number: u64) -> &str {
        let place = self.picks[(number % self.picks.len() as u64) as usize];
        &self.names[usize::from(place)]
    }

    /// Returns the names of the functions.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }
}

/// Reads weights by name, in the names' order: tables have none that a repeated run could rely on.
fn weights(args: &mut Args) -> Result<(Vec<String>, Vec<f64>), ApiError> {
    let mut known = match args.take(0) {
        Value::Map(map) if !map.is_empty() => map.into_iter().collect::<Vec<_>>(),
        other => {
            let wanted =
                "a table of weights by the names of functions, such as { list = 40, get = 25 }";
            return Err(args.wrong(0, wanted, &other));
        }
    };
    known.sort_by(|(a, _), (b, _)| a.cmp(b));
    if known.len() > usize::from(u16::MAX) {
        let problem = format!("{}: a mix may have {} functions", args.call, u16::MAX);
        return Err(ApiError::usage(problem));
    }
    let mut names = Vec::with_capacity(known.len());
    let mut weights = Vec::with_capacity(known.len());
    for (name, value) in known {
        let weight = value.as_number().filter(|weight| *weight >= 0.0 && weight.is_finite());
        let Some(weight) = weight else {
            let got = match value.as_number() {
                Some(number) => number.to_string(),
                None => value.type_name().to_owned(),
            };
            return Err(ApiError::usage(format!(
                "{}: the weight of `{name}` must be a number of at least 0, got {got}",
                args.call
            )));
        };
        names.push(name.to_string());
        weights.push(weight);
    }
    Ok((names, weights))
}

/// Returns the smallest whole numbers in the same proportions.
fn whole(call: &str, names: &[String], weights: &[f64]) -> Result<Vec<u64>, ApiError> {
    let problem = |problem: String| Err(ApiError::usage(format!("{call}: {problem}")));
    let scale = |digits: u32| f64::from(10_u32.pow(digits));
    // As near as what was written in decimals can be to it.
    let fits = |weight: &f64, digits: u32| {
        let scaled = weight * scale(digits);
        (scaled - scaled.round()).abs() <= 1e-9 * scaled.max(1.0)
    };
    let mut digits = 0;
    for (name, weight) in names.iter().zip(weights) {
        while !fits(weight, digits) {
            digits += 1;
            if digits > DIGITS_MAX {
                return problem(format!(
                    "the weight of `{name}` has more than {DIGITS_MAX} digits behind the point; \
                     for thirds write whole weights, such as 1 and 2"
                ));
            }
        }
    }
    let scaled: Vec<f64> = weights.iter().map(|weight| (weight * scale(digits)).round()).collect();
    if scaled.iter().any(|weight| *weight > 1e15) {
        return problem("a weight is larger than can be".to_owned());
    }
    let scaled: Vec<u64> = scaled.into_iter().map(|weight| weight as u64).collect();
    let divisor = scaled.iter().copied().fold(0, greatest_common_divisor);
    if divisor == 0 {
        return problem("one of the weights must be above 0".to_owned());
    }
    let reduced: Vec<u64> = scaled.iter().map(|weight| weight / divisor).collect();
    let length = reduced.iter().fold(0_u64, |sum, weight| sum.saturating_add(*weight));
    if length > LENGTH_MAX {
        return problem(format!(
            "the weights come out even only after {length} picks, more than {LENGTH_MAX}: round them"
        ));
    }
    Ok(reduced)
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// `mix.mix({ list = 40, get = 25 })`
fn mix(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let (names, weights) = weights(&mut args)?;
    let weights = whole(&args.call, &names, &weights)?;
    let id = names.iter().zip(&weights).map(|(name, weight)| format!("{name:?} {weight}, "));
    let id: String = id.collect();
    // FNV-1a: mixes of equal weights and other names have other schedules.
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let seed = id.bytes().fold(vu.worker.plan.seed ^ 0xcbf2_9ce4_8422_2325, step);
    let mixes = &vu.worker.status.common.mixes;
    let schedule = mixes.get(&id, || Schedule::new(names, &weights, seed));
    let schedule =
        schedule.map_err(|problem| ApiError::usage(format!("{}: {problem}", args.call)))?;
    Ok(Value::object(Mix { id, schedule, turn: RefCell::default() }))
}

/// A mix as a script holds it.
struct Mix {
    id: String,
    schedule: Arc<Schedule>,
    /// How many picks the VU's scenario has made, and the scenario.
    turn: RefCell<Option<(Option<usize>, Arc<AtomicU64>)>>,
}

impl Mix {
    /// Returns the name of the next function.
    fn pick(&self, vu: &VuContext) -> Result<&str, ApiError> {
        not_while_loading(vu, "functions cannot be picked")?;
        let scenario = vu.scenario.borrow().as_ref().map(|scenario| scenario.index);
        let mut turn = self.turn.borrow_mut();
        let known = turn.as_ref().filter(|(known, _)| *known == scenario);
        let picks = if let Some((_, picks)) = known {
            Arc::clone(picks)
        } else {
            let name = format!("{scenario:?} {}", self.id);
            let picks = vu.worker.status.common.picks.get(&name, AtomicU64::default);
            let picks = picks.map_err(ApiError::usage)?;
            *turn = Some((scenario, Arc::clone(&picks)));
            picks
        };
        Ok(self.schedule.name(picks.fetch_add(1, Ordering::Relaxed)))
    }
}

/// A part of `run`: returns the name of the function that is to be called.
fn pick(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    args.object::<Mix>(0, "a mix")?.pick(vu).map(Value::from)
}

impl Object for Mix {
    fn type_name(&self) -> &'static str {
        "mix"
    }

    fn methods(&self) -> &'static [Method] {
        METHODS
    }

    fn call(
        self: Rc<Self>,
        vu: &Rc<VuContext>,
        method: &'static Method,
        args: Args,
    ) -> Result<Answer, ApiError> {
        match method.name {
            "pick" => Ok(Answer::Now(self.pick(vu)?.into())),
            _ => Err(ApiError::usage(format!("{}: it calls a function", args.call))),
        }
    }

    fn describe(&self) -> String {
        format!("<mix of {}>", self.schedule.names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::fixture::{call, map, message, method, vu};
    use super::*;

    fn reduced(weights: &[f64]) -> Result<Vec<u64>, String> {
        let names: Vec<String> = (0..weights.len()).map(|n| format!("f{n}")).collect();
        whole("mix.mix", &names, weights).map_err(|error| error.message)
    }

    fn picks(vu: &Rc<VuContext>, mix: &Value, count: usize) -> Vec<String> {
        let one = || match method(vu, mix, "pick", Vec::new()).unwrap() {
            Value::Text(name) => name.to_str().into_owned(),
            other => panic!("{other:?}"),
        };
        std::iter::repeat_with(one).take(count).collect()
    }

    fn example(vu: &Rc<VuContext>) -> Value {
        let weights = [("list", 40_i64), ("get", 25), ("put", 20), ("drop", 15)];
        let weights = map(weights.map(|(name, weight)| (name, weight.into())));
        call(vu, &MODULE, "mix", vec![weights]).unwrap()
    }

    #[test]
    fn weights_become_the_smallest_whole_numbers() {
        assert_eq!(reduced(&[40.0, 25.0, 20.0, 15.0]).unwrap(), [8, 5, 4, 3]);
        assert_eq!(reduced(&[0.4, 0.25, 0.2, 0.15]).unwrap(), [8, 5, 4, 3]);
        assert_eq!(reduced(&[0.1, 0.2, 0.7]).unwrap(), [1, 2, 7]);
        assert_eq!(reduced(&[99.9, 0.1]).unwrap(), [999, 1]);
        assert_eq!(reduced(&[0.0, 3.0]).unwrap(), [0, 1]);
        assert_eq!(reduced(&[1e6, 2e6]).unwrap(), [1, 2]);
        assert_eq!(reduced(&[0.000_001, 0.5]).unwrap(), [1, 500_000]);
    }

    #[test]
    fn weights_that_make_no_schedule_are_refused() {
        let third = reduced(&[1.0 / 3.0, 2.0 / 3.0]).unwrap_err();
        assert!(third.contains("`f0` has more than 6 digits behind the point"), "{third}");
        let none = reduced(&[0.0, 0.0]).unwrap_err();
        assert_eq!(none, "mix.mix: one of the weights must be above 0");
        let long = reduced(&[0.000_001, 1.0]).unwrap_err();
        let wanted = "mix.mix: the weights come out even only after 1000001 picks, more than 1000000: \
                      round them";
        assert_eq!(long, wanted);
        assert!(reduced(&[1e300, 1.0]).unwrap_err().contains("larger than can be"));
        let vu = vu(1);
        let refusal = |value| message(call(&vu, &MODULE, "mix", vec![value]));
        assert_eq!(
            refusal(map([("list", Value::Int(-1))])),
            "mix.mix: the weight of `list` must be a number of at least 0, got -1"
        );
        assert_eq!(
            refusal(map([("list", "much".into())])),
            "mix.mix: the weight of `list` must be a number of at least 0, got a string"
        );
        assert!(refusal(Value::Int(1)).contains("must be a table of weights"));
    }

    #[test]
    fn every_window_of_picks_has_exact_shares() {
        let vu = vu(1);
        let picks = picks(&vu, &example(&vu), 200);
        for window in picks.windows(20) {
            let mut counts = BTreeMap::new();
            for name in window {
                *counts.entry(name.as_str()).or_insert(0) += 1;
            }
            let wanted = BTreeMap::from([("list", 8), ("get", 5), ("put", 4), ("drop", 3)]);
            assert_eq!(counts, wanted);
        }
    }

    #[test]
    fn the_order_follows_from_the_seed_and_is_one_for_all_vus() {
        let order = |seed| {
            let vu = vu(seed);
            picks(&vu, &example(&vu), 20)
        };
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
        let (one, whole) = (vu(1), order(1));
        let other = VuContext::new(Rc::clone(&one.worker), 2, 2);
        other.phase.set(crate::api::Phase::Iteration);
        let first = picks(&one, &example(&one), 7);
        let rest = picks(&other, &example(&other), 13);
        assert_eq!([first, rest].concat(), whole);
    }

    proptest! {
        #[test]
        fn shares_are_those_of_the_weights(weights in prop::collection::vec(0_u64..50, 1..6)) {
            prop_assume!(weights.iter().any(|weight| *weight > 0));
            let floats: Vec<f64> = weights.iter().map(|weight| *weight as f64 / 10.0).collect();
            let reduced = reduced(&floats).unwrap();
            let (sum, whole) = (weights.iter().sum::<u64>(), reduced.iter().sum::<u64>());
            for (weight, reduced) in weights.iter().zip(&reduced) {
                prop_assert_eq!(weight * whole, reduced * sum);
            }
        }
    }
}

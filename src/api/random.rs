//! The module `random`: numbers, choices and texts that repeat with the test's seed.

use std::rc::Rc;

use bytes::Bytes;
use rand::seq::SliceRandom;
use rand::{Rng, RngExt, SeedableRng};
use rand_distr::{Distribution, Exp1, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::crypto::count;
use super::{ApiError, Args, Function, Module, Run, Value, VuContext};

/// The module.
pub(super) const MODULE: Module = Module {
    name: "random",
    functions: &[
        Function { name: "int", params: &["min", "max"], run: Run::Now(int) },
        Function { name: "float", params: &["min?", "max?"], run: Run::Now(float) },
        Function { name: "bool", params: &["probability?"], run: Run::Now(bool) },
        Function { name: "item", params: &["list"], run: Run::Now(item) },
        Function { name: "weighted", params: &["weights"], run: Run::Now(weighted) },
        Function { name: "shuffle", params: &["list"], run: Run::Now(shuffle) },
        Function { name: "sample", params: &["list", "count"], run: Run::Now(sample) },
        Function { name: "string", params: &["length", "charset?"], run: Run::Now(string) },
        Function { name: "hex", params: &["digits"], run: Run::Now(hex) },
        Function { name: "bytes", params: &["count"], run: Run::Now(bytes) },
        Function { name: "normal", params: &["mean", "deviation"], run: Run::Now(normal) },
        Function { name: "exponential", params: &["mean"], run: Run::Now(exponential) },
        Function { name: "uuid", params: &[], run: Run::Now(|vu, _| Ok(uuid(vu))) },
        Function { name: "seed", params: &["seed"], run: Run::Now(seed) },
    ],
    constants: &[],
};

const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz";

const HEX: &str = "0123456789abcdef";

fn usage(args: &Args, problem: &str) -> ApiError {
    ApiError::usage(format!("{}: {problem}", args.call))
}

/// Takes a number that is neither infinite nor NaN.
fn finite(args: &mut Args, index: usize, default: Option<f64>) -> Result<f64, ApiError> {
    let number = match default {
        Some(default) => args.optional_number(index)?.unwrap_or(default),
        None => args.number(index)?,
    };
    if number.is_finite() {
        return Ok(number);
    }
    let name = args.params.get(index).map_or("", |name| name.trim_end_matches('?'));
    Err(usage(args, &format!("argument {} ({name}) must be finite, got {number}", index + 1)))
}

fn list(args: &mut Args, index: usize) -> Result<Vec<Value>, ApiError> {
    match args.take(index) {
        Value::List(list) => Ok(list),
        // An empty table may arrive as either.
        Value::Map(map) if map.is_empty() => Ok(Vec::new()),
        other => Err(args.wrong(index, "an array", &other)),
    }
}

fn int(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let (min, max) = (args.int(0)?, args.int(1)?);
    if min > max {
        return Err(usage(&args, &format!("min {min} is greater than max {max}")));
    }
    Ok(vu.random().random_range(min..=max).into())
}

fn float(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let (min, max) = (finite(&mut args, 0, Some(0.0))?, finite(&mut args, 1, Some(1.0))?);
    if min > max {
        return Err(usage(&args, &format!("min {min} is greater than max {max}")));
    }
    let share: f64 = vu.random().random();
    // Not min + share * (max - min): that difference can overflow.
    Ok((min * (1.0 - share) + max * share).clamp(min, max).into())
}

fn bool(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let probability = args.optional_number(0)?.unwrap_or(0.5);
    if !(0.0..=1.0).contains(&probability) {
        return Err(usage(
            &args,
            &format!("the probability must be from 0 to 1, got {probability}"),
        ));
    }
    Ok(vu.random().random_bool(probability).into())
}

fn item(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let mut list = list(&mut args, 0)?;
    if list.is_empty() {
        return Err(usage(&args, "the array is empty"));
    }
    let index = vu.random().random_range(0..list.len());
    Ok(list.swap_remove(index))
}

fn weighted(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let mut choices = choices(&mut args)?;
    let mut sum = 0.0;
    for (value, weight) in &choices {
        if !weight.is_finite() || *weight < 0.0 {
            let name = value.as_text().unwrap_or_default();
            return Err(usage(
                &args,
                &format!("the weight of \"{name}\" must be at least 0 and finite, got {weight}"),
            ));
        }
        sum += weight;
    }
    if !(sum > 0.0 && sum.is_finite()) {
        return Err(usage(&args, &format!("the sum of the weights must be above 0, got {sum}")));
    }
    let mut left = vu.random().random::<f64>() * sum;
    // Rounding may leave a rest after the last one; a weight of 0 is never taken.
    choices.retain(|(_, weight)| *weight > 0.0);
    let last = choices.len() - 1;
    let index = choices.iter().position(|(_, weight)| {
        left -= weight;
        left < 0.0
    });
    Ok(choices.swap_remove(index.unwrap_or(last)).0)
}

/// Reads `{name = weight}` or an array of `{value, weight}`.
fn choices(args: &mut Args) -> Result<Vec<(Value, f64)>, ApiError> {
    const WANTED: &str = "a table of weights by name, or an array of {value, weight}";
    match args.take(0) {
        Value::Map(map) => {
            let mut choices = map
                .into_iter()
                .map(|(name, weight)| match weight.as_number() {
                    Some(weight) => Ok((name, weight)),
                    None => Err(usage(
                        args,
                        &format!(
                            "the weight of \"{name}\" must be a number, got {}",
                            weight.type_name()
                        ),
                    )),
                })
                .collect::<Result<Vec<_>, _>>()?;
            // Tables have no order that a repeated run could rely on.
            choices.sort_by(|a, b| a.0.cmp(&b.0));
            Ok(choices.into_iter().map(|(name, weight)| (name.into(), weight)).collect())
        }
        Value::List(list) => list
            .into_iter()
            .map(|item| {
                pair(item).ok_or_else(|| {
                    usage(args, "each element must be {value, weight}, the weight a number")
                })
            })
            .collect(),
        other => Err(args.wrong(0, WANTED, &other)),
    }
}

fn pair(item: Value) -> Option<(Value, f64)> {
    match item {
        Value::List(pair) => {
            let [value, weight] = <[Value; 2]>::try_from(pair).ok()?;
            Some((value, weight.as_number()?))
        }
        Value::Map(mut map) => {
            let weight = map.take("weight")?.as_number()?;
            Some((map.take("value")?, weight))
        }
        _ => None,
    }
}

fn shuffle(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let mut list = list(&mut args, 0)?;
    list.shuffle(&mut *vu.random());
    Ok(Value::List(list))
}

fn sample(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let mut list = list(&mut args, 0)?;
    let wanted = args.int(1)?;
    let count = usize::try_from(wanted).ok().filter(|count| *count <= list.len());
    let Some(count) = count else {
        let problem = format!("cannot take {wanted} of {} elements", list.len());
        return Err(usage(&args, &problem));
    };
    let (chosen, _) = list.partial_shuffle(&mut *vu.random(), count);
    Ok(Value::List(chosen.iter_mut().map(std::mem::take).collect()))
}

fn characters(vu: &VuContext, length: usize, charset: &[char]) -> Value {
    let mut random = vu.random();
    let text: String =
        (0..length).map(|_| charset[random.random_range(0..charset.len())]).collect();
    text.into()
}

fn string(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let length = count(vu, &mut args, 0)?;
    let charset = args.optional_text(1)?;
    let charset: Vec<char> =
        charset.as_ref().map_or(LETTERS.into(), |text| text.to_str()).chars().collect();
    if charset.is_empty() {
        return Err(usage(&args, "the charset is empty"));
    }
    Ok(characters(vu, length, &charset))
}

fn hex(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let digits = count(vu, &mut args, 0)?;
    Ok(characters(vu, digits, &HEX.chars().collect::<Vec<_>>()))
}

fn bytes(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let mut bytes = vec![0; count(vu, &mut args, 0)?];
    vu.random().fill_bytes(&mut bytes);
    Ok(Value::Bytes(Bytes::from(bytes)))
}

fn normal(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let (mean, deviation) = (finite(&mut args, 0, None)?, finite(&mut args, 1, None)?);
    if deviation < 0.0 {
        return Err(usage(&args, &format!("the deviation must be at least 0, got {deviation}")));
    }
    let standard: f64 = StandardNormal.sample(&mut *vu.random());
    Ok((mean + deviation * standard).into())
}

fn exponential(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let mean = finite(&mut args, 0, None)?;
    if mean < 0.0 {
        return Err(usage(&args, &format!("the mean must be at least 0, got {mean}")));
    }
    let standard: f64 = Exp1.sample(&mut *vu.random());
    Ok((mean * standard).into())
}

fn uuid(vu: &VuContext) -> Value {
    let bytes = vu.random().random();
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string().into()
}

fn seed(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let seed = args.int(0)?;
    *vu.random() = Xoshiro256PlusPlus::seed_from_u64(seed as u64);
    Ok(Value::Nil)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixture::{call, map, message, vu};
    use super::*;

    fn run(name: &str, values: Vec<Value>) -> Result<Value, ApiError> {
        call(&vu(1), &MODULE, name, values)
    }

    fn numbers(name: &str, values: &[Value], count: usize) -> Vec<f64> {
        let vu = vu(7);
        (0..count)
            .map(|_| call(&vu, &MODULE, name, values.to_vec()).unwrap().as_number().unwrap())
            .collect()
    }

    fn mean(numbers: &[f64]) -> f64 {
        numbers.iter().sum::<f64>() / numbers.len() as f64
    }

    fn ints(range: std::ops::Range<i64>) -> Value {
        Value::List(range.map(Value::Int).collect())
    }

    #[test]
    fn a_seed_repeats_everything() {
        let all = |seed: u64| {
            let vu = vu(seed);
            let calls: Vec<(&str, Vec<Value>)> = vec![
                ("int", vec![Value::Int(1), Value::Int(1_000_000)]),
                ("float", vec![]),
                ("shuffle", vec![ints(0..20)]),
                ("sample", vec![ints(0..20), Value::Int(5)]),
                ("string", vec![Value::Int(20)]),
                ("hex", vec![Value::Int(20)]),
                ("bytes", vec![Value::Int(20)]),
                ("normal", vec![Value::Int(0), Value::Int(1)]),
                ("exponential", vec![Value::Int(1)]),
                ("uuid", vec![]),
            ];
            calls
                .into_iter()
                .map(|(name, values)| call(&vu, &MODULE, name, values).unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(all(1), all(1));
        for (a, b) in all(1).iter().zip(&all(2)) {
            assert_ne!(a, b);
        }
    }

    #[test]
    fn reseeding_begins_anew() {
        let vu = vu(1);
        let next = || {
            call(&vu, &MODULE, "seed", vec![Value::Int(5)]).unwrap();
            call(&vu, &MODULE, "uuid", vec![]).unwrap()
        };
        assert_eq!(next(), next());
    }

    #[test]
    fn weights_are_kept_in_the_long_run() {
        let vu = vu(3);
        let mut counts = [0_u32; 3];
        for _ in 0..20_000 {
            let weights =
                map([("a", Value::Int(70)), ("b", Value::Number(30.0)), ("c", Value::Int(0))]);
            let name = call(&vu, &MODULE, "weighted", vec![weights]).unwrap();
            counts[(name.as_text().unwrap().as_bytes()[0] - b'a') as usize] += 1;
        }
        // Four standard deviations of a binomial with n = 20000 and p = 0.7: 259.
        assert!(counts[0].abs_diff(14_000) < 260, "{counts:?}");
        assert_eq!(counts[2], 0);
    }

    #[test]
    fn weighted_takes_arrays_too_and_does_not_depend_on_a_table_s_order() {
        let pairs = Value::List(vec![
            Value::List(vec![Value::Int(5), Value::Int(0)]),
            map([("value", Value::Int(6)), ("weight", Value::Int(1))]),
        ]);
        assert_eq!(run("weighted", vec![pairs]).unwrap(), Value::Int(6));
        let pick = |weights| {
            let vu = vu(9);
            (0..50)
                .map(|_| call(&vu, &MODULE, "weighted", vec![Value::clone(&weights)]).unwrap())
                .collect::<Vec<_>>()
        };
        let (a, b) = (Value::Int(1), Value::Int(2));
        assert_eq!(
            pick(map([("a", a.clone()), ("b", b.clone())])),
            pick(map([("b", b), ("a", a)]))
        );
    }

    #[test]
    fn distributions_have_their_mean_and_spread() {
        let normal = numbers("normal", &[Value::Int(10), Value::Int(2)], 20_000);
        let spread = normal.iter().map(|x| (x - 10.0).powi(2)).sum::<f64>() / 20_000.0;
        assert!((mean(&normal) - 10.0).abs() < 0.06, "{}", mean(&normal));
        assert!((spread.sqrt() - 2.0).abs() < 0.05, "{spread}");
        let waits = numbers("exponential", &[Value::Number(0.5)], 20_000);
        assert!((mean(&waits) - 0.5).abs() < 0.015, "{}", mean(&waits));
        assert!(waits.iter().all(|wait| *wait >= 0.0));
        let share = mean(&numbers("float", &[], 20_000));
        assert!((share - 0.5).abs() < 0.01, "{share}");
    }

    #[test]
    fn both_ends_of_a_range_of_whole_numbers_come_up() {
        let mut seen = numbers("int", &[Value::Int(-1), Value::Int(1)], 200);
        seen.sort_by(f64::total_cmp);
        seen.dedup();
        assert_eq!(seen, [-1.0, 0.0, 1.0]);
    }

    #[test]
    fn probabilities_of_zero_and_one_are_certain() {
        for _ in 0..50 {
            assert_eq!(run("bool", vec![Value::Int(0)]).unwrap(), false.into());
            assert_eq!(run("bool", vec![Value::Int(1)]).unwrap(), true.into());
        }
    }

    #[test]
    fn texts_are_made_of_their_characters() {
        let text = run("string", vec![Value::Int(200), "aé".into()]).unwrap();
        let text = text.as_text().unwrap().into_owned();
        assert_eq!(text.chars().count(), 200);
        assert!(text.contains('a') && text.contains('é') && text.chars().all(|c| "aé".contains(c)));
        let hex = run("hex", vec![Value::Int(9)]).unwrap();
        assert!(hex.as_text().unwrap().len() == 9);
        assert_eq!(run("string", vec![Value::Int(0)]).unwrap(), "".into());
        let uuid = run("uuid", vec![]).unwrap();
        let uuid = uuid::Uuid::parse_str(&uuid.as_text().unwrap()).unwrap();
        assert_eq!(uuid.get_version_num(), 4);
    }

    #[test]
    fn wrong_arguments_are_named() {
        let int = Value::Int;
        for (name, values, wanted) in [
            ("int", vec![int(2), int(1)], "random.int: min 2 is greater than max 1"),
            (
                "int",
                vec![Value::Number(0.5), int(1)],
                "random.int: argument 1 (min) must be a whole number, got a number",
            ),
            ("float", vec![int(2)], "random.float: min 2 is greater than max 1"),
            (
                "float",
                vec![int(0), Value::Number(f64::INFINITY)],
                "random.float: argument 2 (max) must be finite, got inf",
            ),
            ("bool", vec![int(2)], "random.bool: the probability must be from 0 to 1, got 2"),
            ("item", vec![ints(0..0)], "random.item: the array is empty"),
            (
                "item",
                vec!["x".into()],
                "random.item: argument 1 (list) must be an array, got a string",
            ),
            ("sample", vec![ints(0..2), int(3)], "random.sample: cannot take 3 of 2 elements"),
            ("string", vec![int(1), "".into()], "random.string: the charset is empty"),
            (
                "weighted",
                vec![map([("a", int(-1))])],
                "random.weighted: the weight of \"a\" must be at least 0 and finite, got -1",
            ),
            (
                "weighted",
                vec![map([])],
                "random.weighted: the sum of the weights must be above 0, got 0",
            ),
            (
                "normal",
                vec![int(0), int(-1)],
                "random.normal: the deviation must be at least 0, got -1",
            ),
            (
                "exponential",
                vec![int(-1)],
                "random.exponential: the mean must be at least 0, got -1",
            ),
        ] {
            assert_eq!(message(run(name, values)), wanted);
        }
    }

    proptest! {
        #[test]
        fn whole_numbers_stay_in_their_range(a in any::<i64>(), b in any::<i64>(), seed in any::<u64>()) {
            let (min, max) = (a.min(b), a.max(b));
            let values = vec![Value::Int(min), Value::Int(max)];
            let Value::Int(got) = call(&vu(seed), &MODULE, "int", values).unwrap() else { panic!() };
            prop_assert!((min..=max).contains(&got));
        }

        #[test]
        fn floats_stay_in_their_range(a in any::<f64>(), b in any::<f64>(), seed in any::<u64>()) {
            prop_assume!(a.is_finite() && b.is_finite());
            let (min, max) = (a.min(b), a.max(b));
            let values = vec![Value::Number(min), Value::Number(max)];
            let got = call(&vu(seed), &MODULE, "float", values).unwrap().as_number().unwrap();
            prop_assert!((min..=max).contains(&got));
        }

        #[test]
        fn shuffles_and_samples_keep_elements_apart(n in 0_i64..40, seed in any::<u64>()) {
            let vu = vu(seed);
            for (name, values) in [("shuffle", vec![ints(0..n)]), ("sample", vec![ints(0..n), Value::Int(n / 2)])] {
                let Value::List(list) = call(&vu, &MODULE, name, values).unwrap() else { panic!() };
                let mut got: Vec<_> = list.iter().map(|item| item.as_number().unwrap() as i64).collect();
                got.sort_unstable();
                got.dedup();
                prop_assert_eq!(got.len() as i64, if name == "shuffle" { n } else { n / 2 });
                prop_assert!(got.iter().all(|item| (0..n).contains(item)));
            }
        }
    }
}

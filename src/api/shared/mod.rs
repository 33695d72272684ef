//! The module `shared`: what VUs share over all workers. No script state is shared: values are copied
//! in and out as JSON has them.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use self::barrier::BarrierObject;
use self::map::MapObject;
use self::queue::QueueObject;
use super::{Answer, ApiError, Args, Function, Method, Module, Object, Run, Value, VuContext};

pub(super) use self::barrier::{Barrier, METHODS as BARRIER_METHODS};
pub(super) use self::map::{METHODS as MAP_METHODS, SharedMap};
pub(super) use self::queue::{METHODS as QUEUE_METHODS, Queue};
pub(super) use self::store::Room;

mod barrier;
mod map;
mod queue;
mod store;

/// The module.
pub(super) const MODULE: Module = Module {
    name: "shared",
    functions: &[
        Function { name: "counter", params: &["name"], run: Run::Now(counter) },
        Function { name: "map", params: &["name"], run: Run::Now(map) },
        Function { name: "queue", params: &["name"], run: Run::Now(queue) },
        Function { name: "barrier", params: &["name", "size"], run: Run::Now(barrier) },
        // Parts of a map's `update` for the adapters.
        Function { name: "_read_map", params: &["map", "key"], run: Run::Now(map::read) },
        Function {
            name: "_swap_map",
            params: &["map", "key", "version", "value"],
            run: Run::Now(map::swap),
        },
    ],
    constants: &[],
};

/// The methods of a counter.
pub(super) const COUNTER_METHODS: &[Method] = &[
    Method { name: "add", params: &["number?"], waits: false },
    Method { name: "get", params: &[], waits: false },
];

/// The most VUs of a barrier.
const BARRIER_MAX: i64 = 1_000_000;

fn too_many(call: &str, problem: &str) -> ApiError {
    ApiError::usage(format!("{call}: {problem}"))
}

fn counter(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let name = args.text(0)?.to_str().into_owned();
    let counters = &vu.worker.status.common.counters;
    let value = counters.get(&name, AtomicI64::default);
    let value = value.map_err(|problem| too_many(&args.call, &problem))?;
    Ok(Value::object(Counter { name, value }))
}

fn map(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let name = args.text(0)?.to_str().into_owned();
    let map = vu.worker.status.common.maps.get(&name, SharedMap::default);
    let map = map.map_err(|problem| too_many(&args.call, &problem))?;
    Ok(Value::object(MapObject { name, map }))
}

fn queue(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let name = args.text(0)?.to_str().into_owned();
    let queue = vu.worker.status.common.queues.get(&name, Queue::default);
    let queue = queue.map_err(|problem| too_many(&args.call, &problem))?;
    Ok(Value::object(QueueObject { name, queue }))
}

fn barrier(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let name = args.text(0)?.to_str().into_owned();
    let size = args.int(1)?;
    if !(1..=BARRIER_MAX).contains(&size) {
        return Err(ApiError::usage(format!(
            "{}: argument 2 (size) must be from 1 to {BARRIER_MAX}, got {size}",
            args.call
        )));
    }
    let size = size as u64;
    let barrier = vu.worker.status.common.barriers.get(&name, || Barrier::new(size));
    let barrier = barrier.map_err(|problem| too_many(&args.call, &problem))?;
    if barrier.size() != size {
        return Err(ApiError::usage(format!(
            "{}: the barrier \"{name}\" is for {} VUs already, not for {size}",
            args.call,
            barrier.size()
        )));
    }
    Ok(Value::object(BarrierObject { name, barrier }))
}

/// A whole number that all VUs count.
struct Counter {
    name: String,
    value: Arc<AtomicI64>,
}

impl Counter {
    /// Adds to it and returns what it is then: to nobody else the same, if everybody adds 1.
    fn add(&self, args: &mut Args) -> Result<i64, ApiError> {
        let number = args.optional_int(0)?.unwrap_or(1);
        let order = Ordering::AcqRel;
        let before = self.value.fetch_update(order, Ordering::Acquire, |v| v.checked_add(number));
        before.map(|before| before + number).map_err(|value| {
            ApiError::usage(format!(
                "{}: the counter \"{}\" is at {value}: {number} more have no room in 64 bits",
                args.call, self.name
            ))
        })
    }
}

impl Object for Counter {
    fn type_name(&self) -> &'static str {
        "counter"
    }

    fn methods(&self) -> &'static [Method] {
        COUNTER_METHODS
    }

    fn call(
        self: Rc<Self>,
        _: &Rc<VuContext>,
        method: &'static Method,
        mut args: Args,
    ) -> Result<Answer, ApiError> {
        let value = match method.name {
            "add" => self.add(&mut args)?,
            _ => self.value.load(Ordering::Acquire),
        };
        Ok(Answer::Now(Value::Int(value)))
    }

    fn describe(&self) -> String {
        format!("<counter \"{}\">", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{call, message, method, vu};
    use super::*;

    #[test]
    fn a_counter_is_one_whoever_asks_for_it() {
        let vu = vu(1);
        let get = |name: &str| call(&vu, &MODULE, "counter", vec![name.into()]).unwrap();
        let (one, same, other) = (get("a"), get("a"), get("b"));
        let add = |counter: &Value, values| method(&vu, counter, "add", values).unwrap();
        assert_eq!(add(&one, Vec::new()), Value::Int(1));
        assert_eq!(add(&same, vec![Value::Int(5)]), Value::Int(6));
        assert_eq!(method(&vu, &one, "get", Vec::new()).unwrap(), Value::Int(6));
        assert_eq!(method(&vu, &other, "get", Vec::new()).unwrap(), Value::Int(0));
        add(&other, vec![Value::Int(i64::MAX)]);
        assert_eq!(
            message(method(&vu, &other, "add", vec![Value::Int(1)])),
            "counter:add: the counter \"b\" is at 9223372036854775807: 1 more have no room in 64 bits"
        );
    }

    #[test]
    fn a_barrier_has_one_size() {
        let vu = vu(1);
        let get = |size| call(&vu, &MODULE, "barrier", vec!["a".into(), Value::Int(size)]);
        get(3).unwrap();
        get(3).unwrap();
        assert_eq!(
            message(get(4)),
            "shared.barrier: the barrier \"a\" is for 3 VUs already, not for 4"
        );
        assert!(message(get(0)).contains("must be from 1 to 1000000, got 0"));
    }
}

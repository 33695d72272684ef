//! The module `metrics`: a script's own counters, rates, gauges and trends.

use std::rc::Rc;

use super::{
    Answer, ApiError, Args, Function, Method, Module, Object, Phase, Run, Value, VuContext,
};
use crate::metrics::{Kind, MetricId, Unit, builtin};

/// The module.
pub(super) const MODULE: Module = Module {
    name: "metrics",
    functions: &[
        Function { name: "counter", params: PARAMS, run: Run::Now(counter) },
        Function { name: "rate", params: PARAMS, run: Run::Now(rate) },
        Function { name: "gauge", params: PARAMS, run: Run::Now(gauge) },
        Function { name: "trend", params: PARAMS, run: Run::Now(trend) },
    ],
    constants: &[],
};

const PARAMS: &[&str] = &["name", "options?"];

/// The methods of a metric.
pub(super) const METRIC_METHODS: &[Method] =
    &[Method { name: "add", params: &["value", "tags?"], waits: false }];

fn counter(vu: &Rc<VuContext>, args: Args) -> Result<Value, ApiError> {
    declare(vu, args, Kind::Counter)
}

fn rate(vu: &Rc<VuContext>, args: Args) -> Result<Value, ApiError> {
    declare(vu, args, Kind::Rate)
}

fn gauge(vu: &Rc<VuContext>, args: Args) -> Result<Value, ApiError> {
    declare(vu, args, Kind::Gauge)
}

fn trend(vu: &Rc<VuContext>, args: Args) -> Result<Value, ApiError> {
    declare(vu, args, Kind::Trend)
}

/// Declares a metric while the script is loaded for the first time; finds it later.
fn declare(vu: &Rc<VuContext>, mut args: Args, kind: Kind) -> Result<Value, ApiError> {
    let name = args.text(0)?.to_str().into_owned();
    let unit = unit(&mut args)?;
    let worker = &vu.worker;
    let id = if worker.declaring.get() {
        worker
            .registry
            .borrow_mut()
            .declare(&name, kind, unit)
            .map_err(|error| ApiError::usage(format!("{}: {error}", args.call)))?
    } else {
        let registry = worker.registry.borrow();
        // A built-in metric's name cannot be declared either: the runner alone records it.
        let own = |id: &MetricId| usize::from(id.0) >= builtin::ALL.len();
        let id = registry.find(&name).filter(own).ok_or_else(|| {
            ApiError::usage(format!(
                "metric \"{name}\" must be declared at the top of the script, not inside a function"
            ))
        })?;
        let declared = registry.definition(id).kind;
        if declared != kind {
            return Err(ApiError::usage(format!(
                "metric \"{name}\" is a {}, not a {}",
                word(declared),
                word(kind)
            )));
        }
        id
    };
    Ok(Value::object(Metric { id, kind, name }))
}

/// Reads what a metric's numbers are: `{time = true}`, `{unit = "…"}`, or k6's truth value alone.
fn unit(args: &mut Args) -> Result<Unit, ApiError> {
    let options = match args.take(1) {
        Value::Bool(true) => return Ok(Unit::Time),
        Value::Bool(false) | Value::Nil | Value::Null => return Ok(Unit::None),
        table => table,
    };
    let mut options = Args::new(args.call.clone(), &["options"], vec![options]);
    let mut fields = options.fields(0, &["time", "unit"])?;
    let (time, unit) = (fields.bool("time")?.unwrap_or(false), fields.text("unit")?);
    match (time, unit.as_ref().map(|unit| unit.to_str()).as_deref()) {
        (true, Some(_)) => Err(ApiError::usage(format!(
            "{}: `time` and `unit` exclude each other; times are in milliseconds",
            args.call
        ))),
        (true, None) => Ok(Unit::Time),
        (false, None | Some("")) => Ok(Unit::None),
        (false, Some("bytes")) => Ok(Unit::Bytes),
        (false, Some(unit)) => Ok(Unit::Named(unit.to_owned())),
    }
}

const fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Rate => "rate",
        Kind::Trend => "trend",
    }
}

/// A metric that a script adds samples to.
#[derive(Debug)]
struct Metric {
    id: MetricId,
    kind: Kind,
    name: String,
}

impl Metric {
    /// Returns a value as a sample.
    fn sample(&self, value: &Value) -> Result<f64, ApiError> {
        let wanted = match self.kind {
            Kind::Rate => "true, false or a number",
            _ => "a number",
        };
        let wrong = |got: &str| {
            ApiError::usage(format!(
                "metric \"{}\": a {} takes {wanted}, got {got}",
                self.name,
                word(self.kind)
            ))
        };
        let sample = match (self.kind, value) {
            (Kind::Rate, Value::Bool(passes)) => f64::from(u8::from(*passes)),
            _ => value.as_number().ok_or_else(|| wrong(value.type_name()))?,
        };
        if !sample.is_finite() {
            return Err(wrong(&sample.to_string()));
        }
        if self.kind == Kind::Counter && sample < 0.0 {
            return Err(ApiError::usage(format!(
                "metric \"{}\": a counter only grows, got {sample}; use a gauge for what goes down",
                self.name
            )));
        }
        Ok(sample)
    }
}

impl Object for Metric {
    fn type_name(&self) -> &'static str {
        word(self.kind)
    }

    fn get(&self, _: &Rc<VuContext>, field: &str) -> Result<Option<Value>, ApiError> {
        Ok((field == "name").then(|| self.name.as_str().into()))
    }

    fn fields(&self) -> &'static [&'static str] {
        &["name"]
    }

    fn methods(&self) -> &'static [Method] {
        METRIC_METHODS
    }

    fn call(
        self: Rc<Self>,
        vu: &Rc<VuContext>,
        _: &'static Method,
        mut args: Args,
    ) -> Result<Answer, ApiError> {
        let place = match vu.phase.get() {
            Phase::Load => Some("while the script is loaded"),
            Phase::Summary => Some("in `summary`: the test is over"),
            _ => None,
        };
        if let Some(place) = place {
            return Err(ApiError::usage(format!(
                "metric \"{}\": no samples can be added {place}",
                self.name
            )));
        }
        let sample = self.sample(&args.take(0))?;
        let tags = vu.tag_set_with(&args.tags(1)?);
        vu.worker.shard.borrow_mut().add(self.id, tags, sample);
        Ok(Answer::Now(Value::Nil))
    }

    fn describe(&self) -> String {
        format!("<{} {}>", word(self.kind), self.name)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::fixture::{call, map, message, method, vu};
    use super::*;
    use crate::metrics::Shard;

    fn metric(kind: Kind) -> Metric {
        Metric { id: MetricId(0), kind, name: "orders".into() }
    }

    fn problem(kind: Kind, value: impl Into<Value>) -> String {
        metric(kind).sample(&value.into()).unwrap_err().message
    }

    fn declared(kind: &str, options: Value) -> Result<(Rc<VuContext>, Value), ApiError> {
        let vu = vu(1);
        vu.phase.set(Phase::Load);
        vu.worker.declaring.set(true);
        let metric = call(&vu, &MODULE, kind, vec!["orders".into(), options])?;
        vu.worker.declaring.set(false);
        // As the runner does: a shard is made when all metrics are known.
        let registry = Arc::new(vu.worker.registry.borrow().clone());
        *vu.worker.shard.borrow_mut() = Shard::new(registry, 100);
        Ok((vu, metric))
    }

    #[test]
    fn samples_are_numbers_and_a_rate_s_are_truths_too() {
        assert_eq!(metric(Kind::Counter).sample(&Value::Int(2)).unwrap(), 2.0);
        assert_eq!(metric(Kind::Gauge).sample(&Value::Number(-2.5)).unwrap(), -2.5);
        assert_eq!(metric(Kind::Rate).sample(&true.into()).unwrap(), 1.0);
        assert_eq!(metric(Kind::Rate).sample(&false.into()).unwrap(), 0.0);
        assert_eq!(metric(Kind::Rate).sample(&Value::Int(3)).unwrap(), 3.0);
    }

    #[test]
    fn values_that_are_no_samples_name_the_metric() {
        assert_eq!(
            problem(Kind::Trend, "5"),
            "metric \"orders\": a trend takes a number, got a string"
        );
        assert_eq!(
            problem(Kind::Trend, f64::NAN),
            "metric \"orders\": a trend takes a number, got NaN"
        );
        assert_eq!(
            problem(Kind::Gauge, f64::INFINITY),
            "metric \"orders\": a gauge takes a number, got inf"
        );
        assert_eq!(
            problem(Kind::Gauge, true),
            "metric \"orders\": a gauge takes a number, got a boolean"
        );
        assert_eq!(
            problem(Kind::Rate, Value::Nil),
            "metric \"orders\": a rate takes true, false or a number, got nothing"
        );
        assert_eq!(
            problem(Kind::Counter, -1.0),
            "metric \"orders\": a counter only grows, got -1; use a gauge for what goes down"
        );
    }

    #[test]
    fn units_come_from_options_or_k6_s_truth_value() {
        let read =
            |options| unit(&mut Args::new("metrics.trend", PARAMS, vec!["x".into(), options]));
        assert_eq!(read(Value::Nil).unwrap(), Unit::None);
        assert_eq!(read(true.into()).unwrap(), Unit::Time);
        assert_eq!(read(map([("time", true.into())])).unwrap(), Unit::Time);
        assert_eq!(read(map([("unit", "bytes".into())])).unwrap(), Unit::Bytes);
        assert_eq!(read(map([("unit", "orders".into())])).unwrap(), Unit::Named("orders".into()));
        assert_eq!(
            read(map([("unit", "s".into()), ("time", true.into())])).unwrap_err().message,
            "metrics.trend: `time` and `unit` exclude each other; times are in milliseconds"
        );
        assert_eq!(
            read("ms".into()).unwrap_err().message,
            "metrics.trend: argument 1 (options) must be a table of named arguments, got a string"
        );
    }

    #[test]
    fn a_metric_tells_its_name() {
        let (vu, metric) = declared("counter", Value::Nil).unwrap();
        let Value::Object(metric) = metric else { panic!("no object") };
        assert_eq!(metric.get(&vu, "name").unwrap(), Some("orders".into()));
        assert_eq!(metric.get(&vu, "other").unwrap(), None);
        assert_eq!(metric.describe(), "<counter orders>");
    }

    #[test]
    fn samples_are_taken_while_the_test_runs_only() {
        let (vu, metric) = declared("counter", Value::Nil).unwrap();
        let add = || method(&vu, &metric, "add", vec![Value::Int(1), map([("kind", "x".into())])]);
        assert_eq!(
            message(add()),
            "metric \"orders\": no samples can be added while the script is loaded"
        );
        vu.phase.set(Phase::Iteration);
        assert_eq!(add().unwrap(), Value::Nil);
        vu.phase.set(Phase::Summary);
        assert_eq!(
            message(add()),
            "metric \"orders\": no samples can be added in `summary`: the test is over"
        );
        vu.phase.set(Phase::Iteration);
        assert_eq!(
            message(method(&vu, &metric, "add", vec![Value::Int(1), Value::Int(2)])),
            "counter:add: argument 2 (tags) must be a table of tags, got a number"
        );
    }

    #[test]
    fn a_metric_that_was_not_declared_is_refused() {
        for (kind, name) in [("trend", "late"), ("counter", "http_reqs")] {
            assert_eq!(
                message(call(&vu(1), &MODULE, kind, vec![name.into()])),
                format!(
                    "metric \"{name}\" must be declared at the top of the script, not inside a \
                     function"
                )
            );
        }
    }
}

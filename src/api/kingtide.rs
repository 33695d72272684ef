//! The module `kingtide`: checks, groups, waiting, ending, the environment, logs, and facts.

use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{
    ApiError, Args, Constant, ErrorKind, Event, Function, LogLevel, Map, Module, Object, Phase,
    Run, Stop, Value, VuContext, Wait,
};
use crate::clock;
use crate::metrics::builtin;

pub(super) const MODULE: Module = Module {
    name: "",
    functions: &[
        Function { name: "check", params: &["value", "predicates", "tags?"], run: Run::Script },
        Function { name: "group", params: &["name", "function"], run: Run::Script },
        Function { name: "sleep", params: &["seconds"], run: Run::Wait(sleep) },
        Function { name: "pace", params: &["period"], run: Run::Wait(pace) },
        Function { name: "fail", params: &["message?"], run: Run::Now(fail) },
        Function { name: "abort", params: &["message?"], run: Run::Now(abort) },
        Function { name: "mark_failed", params: &["message?"], run: Run::Now(mark_failed) },
        Function { name: "env", params: &["name", "default?"], run: Run::Now(env) },
        Function { name: "log.debug", params: &["..."], run: Run::Now(log_debug) },
        Function { name: "log.info", params: &["..."], run: Run::Now(log_info) },
        Function { name: "log.warn", params: &["..."], run: Run::Now(log_warn) },
        Function { name: "log.error", params: &["..."], run: Run::Now(log_error) },
        // Parts of `check` and `group` for the adapters; names with an underscore are not shown.
        Function {
            name: "_record_check",
            params: &["name", "passed", "tags?"],
            run: Run::Now(told_check),
        },
        Function { name: "_enter_group", params: &["name"], run: Run::Now(enter_group) },
        Function { name: "_leave_group", params: &["outer"], run: Run::Now(leave_group) },
    ],
    constants: &[
        Constant { name: "vu", value: || Value::object(VuFacts) },
        Constant { name: "scenario", value: || Value::object(ScenarioFacts) },
        Constant { name: "test", value: || Value::object(TestFacts) },
    ],
};

/// Refuses what needs a running test while the script loads.
pub(super) fn not_while_loading(vu: &VuContext, what: &str) -> Result<(), ApiError> {
    if vu.phase.get() == Phase::Load {
        return Err(ApiError::usage(format!(
            "{what} while the script loads: move this into setup() or iteration()"
        )));
    }
    Ok(())
}

fn sleep(vu: &Rc<VuContext>, mut args: Args) -> Result<Wait, ApiError> {
    let duration = args.duration(0)?;
    not_while_loading(vu, "the script cannot sleep")?;
    let until = clock::now() + duration;
    Ok(Box::pin(async move {
        tokio::time::sleep_until(until).await;
        Ok(Value::Nil)
    }))
}

/// Sleeps until `period` has passed since the iteration's start.
fn pace(vu: &Rc<VuContext>, mut args: Args) -> Result<Wait, ApiError> {
    let period = args.duration(0)?;
    let Some(started) = vu.iteration.started.get() else {
        return Err(ApiError::usage("kt.pace: there is no iteration to pace; use kt.sleep here"));
    };
    Ok(Box::pin(async move {
        tokio::time::sleep_until(started + period).await;
        Ok(Value::Nil)
    }))
}

fn message(args: &mut Args, otherwise: &str) -> String {
    match args.take(0) {
        Value::Nil | Value::Null => otherwise.to_owned(),
        value => shown(&value),
    }
}

fn fail(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    Err(ApiError::new(ErrorKind::Fail, message(&mut args, "fail() was called")))
}

fn abort(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let message = message(&mut args, "abort() was called");
    (vu.worker.events)(Event::Abort(message.clone()));
    vu.interrupt.stop(Stop::Abort);
    Err(ApiError::usage(message))
}

fn mark_failed(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let message = message(&mut args, "mark_failed() was called");
    (vu.worker.events)(Event::MarkFailed(message));
    Ok(Value::Nil)
}

fn env(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let name = args.text(0)?;
    Ok(match vu.env(&name.to_str()) {
        Some(value) => value.into(),
        None => args.take(1),
    })
}

/// Returns values as a log shows them: text as it is, the rest as JSON.
fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => text.to_str().into_owned(),
        Value::Nil => "nil".to_owned(),
        Value::Object(object) => object.describe(),
        other => other.to_json().to_string(),
    }
}

fn log(vu: &Rc<VuContext>, level: LogLevel, mut args: Args) -> Value {
    let parts: Vec<String> = args.rest(0).iter().map(shown).collect();
    vu.log(level, parts.join(" "));
    Value::Nil
}

fn log_debug(vu: &Rc<VuContext>, args: Args) -> Result<Value, ApiError> {
    Ok(log(vu, LogLevel::Debug, args))
}

fn log_info(vu: &Rc<VuContext>, args: Args) -> Result<Value, ApiError> {
    Ok(log(vu, LogLevel::Info, args))
}

fn log_warn(vu: &Rc<VuContext>, args: Args) -> Result<Value, ApiError> {
    Ok(log(vu, LogLevel::Warn, args))
}

fn log_error(vu: &Rc<VuContext>, args: Args) -> Result<Value, ApiError> {
    Ok(log(vu, LogLevel::Error, args))
}

fn told_check(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let name = args.text(0)?;
    let passed = args.take(1).is_truthy();
    let extra = args.tags(2)?;
    record_check(vu, &name.to_str(), passed, &extra)?;
    Ok(Value::Bool(passed))
}

/// Records what a check's predicate said, for the languages' own `kt.check`.
///
/// # Errors
/// While the script loads.
pub fn record_check(
    vu: &VuContext,
    name: &str,
    passed: bool,
    extra: &[(String, String)],
) -> Result<(), ApiError> {
    not_while_loading(vu, "nothing can be checked")?;
    let base = vu.tag_set_with(extra);
    let mut shard = vu.worker.shard.borrow_mut();
    let tags = shard.tag_set(base, &[("check", name)]);
    shard.add(builtin::CHECKS, tags, f64::from(u8::from(passed)));
    drop(shard);
    if vu.worker.live {
        (vu.worker.events)(Event::Check { name: name.to_owned(), passed });
    }
    Ok(())
}

fn enter_group(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let name = args.text(0)?;
    let name = name.to_str();
    if name.contains("::") {
        return Err(ApiError::usage(format!(
            "kt.group: the name \"{name}\" must not contain \"::\", which separates nested groups"
        )));
    }
    let outer = vu.enter_group(&name);
    // The group's start travels with the path, so that nothing is left to clean up after an error.
    let mut memo = Map::new();
    memo.push("outer", outer);
    memo.push("started", Value::object(Moment(clock::now())));
    Ok(Value::Map(memo))
}

fn leave_group(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let Value::Map(mut memo) = args.take(0) else {
        return Err(ApiError::usage("_leave_group takes what _enter_group returned"));
    };
    if let Some(Value::Object(started)) = memo.take("started")
        && let Some(Moment(started)) = started.downcast_ref()
    {
        let took = clock::now().duration_since(*started);
        vu.worker.shard.borrow_mut().add_duration(builtin::GROUP_DURATION, vu.tag_set(), took);
    }
    if let Some(Value::Text(outer)) = memo.take("outer") {
        vu.leave_group(outer.to_str().into_owned());
    }
    Ok(Value::Nil)
}

/// A moment that a script carries for the native side.
struct Moment(clock::Instant);

/// Implements what facts have in common: nothing to call, nothing to hold.
macro_rules! facts {
    ($($type:ident $name:literal),*) => {
        $(impl Object for $type {
            fn type_name(&self) -> &'static str {
                $name
            }

            fn get(&self, vu: &Rc<VuContext>, field: &str) -> Result<Option<Value>, ApiError> {
                self.field(vu, field)
            }

            fn set(&self, vu: &Rc<VuContext>, field: &str, value: Value) -> Result<(), ApiError> {
                self.set_field(vu, field, &value)
            }

            fn fields(&self) -> &'static [&'static str] {
                Self::FIELDS
            }

            fn entries(&self, vu: &Rc<VuContext>) -> Option<Vec<(String, Value)>> {
                self.all(vu)
            }
        })*
    };
}

facts!(VuFacts "vu", VuTags "vu.tags", ScenarioFacts "scenario", TestFacts "test", Moment "moment");

/// What facts answer unless they say otherwise.
trait Facts {
    const FIELDS: &'static [&'static str] = &[];

    fn field(&self, vu: &Rc<VuContext>, field: &str) -> Result<Option<Value>, ApiError>;

    fn set_field(&self, _: &Rc<VuContext>, field: &str, _: &Value) -> Result<(), ApiError> {
        Err(ApiError::usage(format!("`{field}` is a fact and cannot be set")))
    }

    fn all(&self, vu: &Rc<VuContext>) -> Option<Vec<(String, Value)>> {
        let field = |name: &&str| Some(((*name).to_owned(), self.field(vu, name).ok()??));
        Some(Self::FIELDS.iter().filter_map(field).collect())
    }
}

/// `kt.vu`: the VU that asks.
struct VuFacts;

impl Facts for VuFacts {
    const FIELDS: &'static [&'static str] = &[
        "id",
        "id_in_test",
        "id_in_instance",
        "iteration",
        "iteration_in_instance",
        "iteration_in_scenario",
        "state",
        "tags",
    ];

    fn field(&self, vu: &Rc<VuContext>, field: &str) -> Result<Option<Value>, ApiError> {
        Ok(Some(match field {
            "id" | "id_in_test" => vu.id.into(),
            "id_in_instance" => vu.id_in_worker.into(),
            "iteration" | "iteration_in_instance" => vu.iteration.in_vu.get().into(),
            "iteration_in_scenario" => vu.iteration.in_scenario.get().into(),
            "state" => super::state::object(vu)?,
            "tags" => Value::object(VuTags),
            _ => return Ok(None),
        }))
    }
}

/// `kt.vu.tags`: tags on all that the VU records.
struct VuTags;

impl Facts for VuTags {
    fn field(&self, vu: &Rc<VuContext>, field: &str) -> Result<Option<Value>, ApiError> {
        Ok(Some(vu.tag(field).into()))
    }

    fn set_field(&self, vu: &Rc<VuContext>, field: &str, value: &Value) -> Result<(), ApiError> {
        vu.set_tag(field, super::args::tag("kt.vu.tags", field, value)?);
        Ok(())
    }

    fn all(&self, vu: &Rc<VuContext>) -> Option<Vec<(String, Value)>> {
        Some(vu.tags().into_iter().map(|(name, value)| (name, value.into())).collect())
    }
}

/// `kt.scenario`: the scenario that the VU serves.
struct ScenarioFacts;

impl Facts for ScenarioFacts {
    const FIELDS: &'static [&'static str] = &[
        "name",
        "executor",
        "start_time",
        "progress",
        "stage",
        "iteration_in_instance",
        "iteration_in_test",
    ];

    fn field(&self, vu: &Rc<VuContext>, field: &str) -> Result<Option<Value>, ApiError> {
        if !Self::FIELDS.contains(&field) {
            return Ok(None);
        }
        let scenario = vu.scenario.borrow();
        let Some(scenario) = scenario.as_ref() else {
            return Err(ApiError::usage(
                "kt.scenario is known only inside a scenario: not while the script loads, in setup() \
                 or in teardown()",
            ));
        };
        let elapsed = scenario.life.started.get().map_or(Duration::ZERO, |s| clock::now() - s);
        Ok(Some(match field {
            "name" => scenario.name.as_str().into(),
            "executor" => scenario.executor.into(),
            "start_time" => scenario.life.started_ms.get().into(),
            "progress" => match scenario.iterations_planned {
                Some(planned @ 1..) => {
                    (scenario.life.iterations_ended.get() as f64 / planned as f64).min(1.0).into()
                }
                _ if scenario.duration_seconds > 0.0 => {
                    (elapsed.as_secs_f64() / scenario.duration_seconds).min(1.0).into()
                }
                _ => 0.0.into(),
            },
            "stage" => scenario.curve.as_ref().map(|c| c.stage_at(elapsed) as u64).into(),
            "iteration_in_instance" => scenario.life.iterations_ended.get().into(),
            _ => vu.iteration.in_test.get().into(),
        }))
    }
}

/// `kt.test`: the whole test.
struct TestFacts;

impl Facts for TestFacts {
    const FIELDS: &'static [&'static str] = &[
        "elapsed",
        "current_test_run_duration",
        "iterations_completed",
        "iterations_interrupted",
        "vus_active",
        "vus_initialized",
        "seed",
        "options",
    ];

    fn field(&self, vu: &Rc<VuContext>, field: &str) -> Result<Option<Value>, ApiError> {
        let status = &vu.worker.status;
        Ok(Some(match field {
            "elapsed" => status.elapsed_seconds().into(),
            "current_test_run_duration" => (status.elapsed_seconds() * 1e3).into(),
            "iterations_completed" => status.iterations_completed.load(Ordering::Relaxed).into(),
            "iterations_interrupted" => {
                status.iterations_interrupted.load(Ordering::Relaxed).into()
            }
            "vus_active" => status.vus.active.now().into(),
            "vus_initialized" => status.vus.existing.now().into(),
            "seed" => vu.worker.plan.seed.into(),
            "options" => Value::from_json(&vu.worker.revised.borrow().to_json()),
            _ => return Ok(None),
        }))
    }
}

impl Facts for Moment {
    fn field(&self, _: &Rc<VuContext>, _: &str) -> Result<Option<Value>, ApiError> {
        Ok(None)
    }
}

//! `ws::run`, and `request` with a predicate: what of WebSockets calls back into the script.

use std::rc::Rc;

use rhai::{Dynamic, EvalAltResult, FnPtr, Map, NativeCallContext};

use super::border::invoke;
use super::current::{Call, Current};
use super::failure::Failure;
use super::object::Handle;
use super::value::{from_dynamic, is_truthy, to_dynamic, type_name};
use crate::api::{ApiError, Args, Module, Object, Run, Value};

type Result<T> = std::result::Result<T, Box<EvalAltResult>>;

/// The module's native parts, and where its functions are called from.
struct Parts<'a> {
    current: &'a Current,
    call: &'a Call,
    module: &'static Module,
    context: &'a NativeCallContext<'a>,
}

impl Parts<'_> {
    #[expect(clippy::unnecessary_box_returns, reason = "Rhai hands errors on in boxes")]
    fn raise(&self, error: ApiError) -> Box<EvalAltResult> {
        Failure::raise(error, self.context.call_position())
    }

    /// Runs a part, and waits for it if it waits.
    fn run(&self, part: &'static str, label: &'static str, values: Vec<Value>) -> Result<Value> {
        let function = self.module.functions.iter().find(|function| function.name == part);
        let answer = match function.map(|function| (function.run, function.params)) {
            Some((Run::Now(run), params)) => run(&self.call.vu, Args::new(label, params, values)),
            Some((Run::Wait(run), params)) => {
                match run(&self.call.vu, Args::new(label, params, values)) {
                    Ok(operation) => self.call.wait(operation)?,
                    Err(error) => Err(error),
                }
            }
            Some((Run::Script, _)) | None => {
                Err(ApiError::usage(format!("{label} has no native part")))
            }
        };
        self.call.go_on()?;
        answer.map_err(|error| self.raise(error))
    }

    fn call_back<const N: usize>(&self, function: &FnPtr, args: [Dynamic; N]) -> Result<Dynamic> {
        let answer = invoke(self.current, self.call, self.context, function, args);
        self.call.go_on()?;
        answer
    }
}

/// What `ws::run` calls.
struct Handlers {
    by_name: Vec<(String, FnPtr)>,
    every: Vec<Value>,
    after: Vec<Value>,
    /// The functions of `every`, then those of `after`.
    ticks: Vec<FnPtr>,
}

impl Handlers {
    fn read(parts: &Parts<'_>, value: &Dynamic) -> Result<Self> {
        let Some(map) = value.read_lock::<Map>().map(|map| map.clone()) else {
            return Err(parts.raise(ApiError::usage(format!(
                "ws::run: argument 3 (handlers) must be an object map of functions, got {}",
                type_name(value)
            ))));
        };
        let names = map.keys().map(|name| name.as_str().into()).collect();
        parts.run("_check_handlers", "ws::run", vec![Value::List(names)])?;
        let (mut every, mut after, mut ticks) = (Vec::new(), Vec::new(), Vec::new());
        for (name, times) in [("every", &mut every), ("after", &mut after)] {
            if let Some(list) = map.get(name).filter(|list| !list.is_unit()) {
                timers(parts, name, list, times, &mut ticks)?;
            }
        }
        let mut by_name = Vec::new();
        for (name, handler) in map {
            if matches!(name.as_str(), "every" | "after") || handler.is_unit() {
                continue;
            }
            let kind = type_name(&handler);
            let handler = handler.try_cast::<FnPtr>().ok_or_else(|| {
                let message = format!("ws::run: `{name}` must be a function, got {kind}");
                parts.raise(ApiError::usage(message))
            })?;
            by_name.push((name.to_string(), handler));
        }
        Ok(Self { by_name, every, after, ticks })
    }

    fn get(&self, name: &str) -> Option<&FnPtr> {
        self.by_name.iter().find(|(known, _)| known == name).map(|(_, handler)| handler)
    }

    /// Calls a handler if there is one.
    fn call<const N: usize>(
        &self,
        parts: &Parts<'_>,
        name: &str,
        args: [Dynamic; N],
    ) -> Result<()> {
        self.get(name).map_or(Ok(()), |handler| parts.call_back(handler, args).map(drop))
    }
}

/// Reads a list of times and functions.
fn timers(
    parts: &Parts<'_>,
    name: &str,
    list: &Dynamic,
    times: &mut Vec<Value>,
    ticks: &mut Vec<FnPtr>,
) -> Result<()> {
    let wrong = |got: &str| {
        let message = format!("ws::run: `{name}` must be a list of [time, function]{got}");
        parts.raise(ApiError::usage(message))
    };
    let Ok(list) = list.as_array_ref().map(|list| list.clone()) else {
        return Err(wrong(&format!(", got {}", type_name(list))));
    };
    for pair in list {
        let pair = pair.try_cast::<rhai::Array>().ok_or_else(|| wrong(""))?;
        let mut pair = pair.into_iter();
        let (Some(time), Some(tick)) = (pair.next(), pair.next()) else { return Err(wrong("")) };
        times.push(from_dynamic(&time).map_err(|error| parts.raise(error))?);
        ticks.push(tick.try_cast::<FnPtr>().ok_or_else(|| wrong(""))?);
    }
    Ok(())
}

/// `ws::run(url, params, #{ open: |socket| …, message: |socket, message| …, … })`: connects, calls
/// handlers one at a time until the socket closes, and returns it.
pub(super) fn run(
    current: &Current,
    call: &Call,
    module: &'static Module,
    context: &NativeCallContext<'_>,
    args: &mut [&mut Dynamic],
) -> Result<Dynamic> {
    call.go_on()?;
    let parts = Parts { current, call, module, context };
    let handlers = Handlers::read(&parts, args[2])?;
    let value = |arg: &Dynamic| from_dynamic(arg).map_err(|error| parts.raise(error));
    let connected = parts.run("connect", "ws::connect", vec![value(args[0])?, value(args[1])?])?;
    let Value::Object(socket) = &connected else { return Ok(to_dynamic(connected)) };
    let shown = to_dynamic(connected.clone());
    let ended = serve(&parts, &handlers, socket, &shown);
    if let Err(error) = ended {
        // A handler failed: nobody is left to close the socket.
        parts.run("_leave", "ws::run", vec![connected.clone()])?;
        return Err(error);
    }
    Ok(shown)
}

/// Calls handlers until the socket closes.
fn serve(
    parts: &Parts<'_>,
    handlers: &Handlers,
    socket: &Rc<dyn Object>,
    shown: &Dynamic,
) -> Result<()> {
    let field = |name: &str| -> Result<Value> {
        let value = socket.get(&parts.call.vu, name).map_err(|error| parts.raise(error))?;
        Ok(value.unwrap_or_default())
    };
    let error = field("error")?;
    if field("status")? != Value::Int(101) || !error.is_nil() {
        return handlers.call(parts, "error", [shown.clone(), to_dynamic(error)]);
    }
    let wants = |name: &str| Value::Bool(handlers.get(name).is_some());
    let begun = vec![
        Value::Object(Rc::clone(socket)),
        Value::List(handlers.every.clone()),
        Value::List(handlers.after.clone()),
        wants("ping"),
        wants("pong"),
    ];
    let events = parts.run("_begin_events", "ws::run", begun)?;
    handlers.call(parts, "open", [shown.clone()])?;
    loop {
        let event = parts.run("_next_event", "ws::run", vec![events.clone()])?;
        let Value::Map(mut event) = event else { break };
        let data = event.take("data").unwrap_or_default();
        let kind = event.take("kind").unwrap_or_default();
        match (kind.as_text().as_deref(), data) {
            (Some("timer"), Value::Int(number)) => {
                let tick = usize::try_from(number - 1).ok().and_then(|at| handlers.ticks.get(at));
                if let Some(tick) = tick {
                    let _answer = parts.call_back(tick, [shown.clone()])?;
                }
            }
            (Some(kind @ ("message" | "ping" | "pong")), data) => {
                handlers.call(parts, kind, [shown.clone(), to_dynamic(data)])?;
            }
            _ => break,
        }
    }
    let error = field("error")?;
    if !error.is_nil() {
        handlers.call(parts, "error", [shown.clone(), to_dynamic(error)])?;
    }
    let (code, reason) = (field("close_code")?, field("close_reason")?);
    handlers.call(parts, "close", [shown.clone(), to_dynamic(code), to_dynamic(reason)])
}

/// `socket.request(message, |message| …, timeout?)`: sends a message and returns the first that
/// comes and for which the predicate holds; nothing if this is no such call.
pub(super) fn request(
    current: &Current,
    call: &Call,
    module: &'static Module,
    context: &NativeCallContext<'_>,
    args: &mut [&mut Dynamic],
) -> Option<Result<Dynamic>> {
    let predicate = args.get(2)?.read_lock::<FnPtr>()?.clone();
    let is_socket = args[0].read_lock::<Handle>()?.0.type_name() == "socket";
    is_socket.then(|| {
        call.go_on()?;
        let parts = Parts { current, call, module, context };
        let value = |arg: &Dynamic| from_dynamic(arg).map_err(|error| parts.raise(error));
        let mut values = vec![value(args[1])?, value(args[0])?];
        if let Some(timeout) = args.get(3) {
            values.push(value(timeout)?);
        }
        let pending = parts.run("_begin_request", "socket.request", values)?;
        if pending.is_nil() {
            return Ok(Dynamic::UNIT);
        }
        loop {
            let next = vec![pending.clone()];
            let candidate = parts.run("_next_reply", "socket.request", next)?;
            if candidate.is_nil() {
                return Ok(Dynamic::UNIT);
            }
            let candidate = to_dynamic(candidate);
            if is_truthy(&parts.call_back(&predicate, [candidate.clone()])?) {
                parts.run("_take_reply", "socket.request", vec![pending])?;
                return Ok(candidate);
            }
        }
    })
}

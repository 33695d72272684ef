//! What came of a call, as scripts see it. The result is built only when the script asks for it.

use std::borrow::Cow;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;

use super::document;
use crate::api::http::Carried;
use crate::api::{Answer, ApiError, Args, Map, Method, Object, Text, Value, VuContext};
use crate::protocol::rpc::{Id, Outcome, Problem};
use crate::protocol::{ErrorKind, ProtocolError};

pub(in crate::api) const METHODS: &[Method] = &[
    Method { name: "get", params: &["path?"], waits: false },
    Method { name: "raw", params: &["path?"], waits: false },
];

pub(in crate::api) const FIELDS: &[&str] =
    &["ok", "result", "error", "id", "method", "status", "duration"];

/// Bytes of what came in place of an answer that an error shows.
const SHOWN: usize = 1024;

/// What came of a call.
pub(super) struct Reply {
    pub(super) method: Rc<str>,
    /// Nothing for notifications.
    pub(super) id: Option<Id>,
    /// The result as JSON, nothing for notifications; or what went wrong.
    pub(super) outcome: Result<Option<Bytes>, Box<Failure>>,
    /// HTTP's status; 0 without an answer, nothing on a WebSocket.
    pub(super) status: Option<u16>,
    /// From the call's first byte sent to the answer's last received.
    pub(super) duration: Option<Duration>,
}

/// What went wrong with a call.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Failure {
    /// The server's code; or ours: k6's number of the error or of the status, as in `error_code`.
    code: Option<i64>,
    message: String,
    /// Whose error it is: `rpc` (the server says it), `http` (a status and no answer to the call),
    /// `network` (no answer at all), `answer` (none that could be believed).
    kind: &'static str,
    data: Data,
    /// The tag `rpc_error`.
    pub(super) tag: Cow<'static, str>,
}

/// What an error brings along.
#[derive(Debug, Clone, PartialEq)]
enum Data {
    None,
    /// The server's member `data`.
    Json(Bytes),
    /// What came in place of an answer.
    Text(Bytes),
}

impl Failure {
    /// Returns the failure of a request that got no answer to its calls from HTTP.
    pub(super) fn of_http(carried: &Carried) -> Self {
        if let Some(error) = &carried.error {
            return Self::of_network(error, carried.code, &carried.body);
        }
        let data = shown(&carried.body);
        let message = format!("http {}", carried.status);
        let tag = message.clone().into();
        // k6 has no number for a redirect that leads nowhere, and its kin.
        let code = Some(i64::from(if carried.code == 0 { 1000 } else { carried.code }));
        Self { code, message, kind: "http", data, tag }
    }

    /// Returns the failure of calls that got no answer at all, with k6's number of the reason.
    pub(super) fn of_network(error: &ProtocolError, code: u16, body: &Bytes) -> Self {
        let timed_out = error.kind == ErrorKind::Timeout;
        let tag = if timed_out { "timeout".into() } else { error.message.clone().into() };
        let (code, message) = (Some(i64::from(code)), error.message.clone());
        Self { code, message, kind: "network", data: shown(body), tag }
    }

    /// Returns the failure of a call without an answer that could be believed.
    pub(super) fn of_answer(problem: Problem, body: &Bytes) -> Self {
        Self {
            code: Some(i64::from(ErrorKind::InvalidAnswer.code())),
            message: problem.as_str().to_owned(),
            kind: "answer",
            data: shown(body),
            tag: problem.as_str().into(),
        }
    }

    fn value(&self) -> Result<Value, ApiError> {
        let mut error = Map::new();
        error.push("code", self.code);
        error.push("message", self.message.as_str());
        error.push("kind", self.kind);
        error.push(
            "data",
            match &self.data {
                Data::None => Value::Nil,
                Data::Json(json) => document::value("reply.error", text_of(json), "")?,
                Data::Text(bytes) => Value::Text(Text::from_bytes(bytes.clone())),
            },
        );
        Ok(Value::Map(error))
    }
}

fn shown(body: &Bytes) -> Data {
    if body.is_empty() {
        return Data::None;
    }
    // A copy: a failure that a script keeps does not keep a large body.
    Data::Text(Bytes::copy_from_slice(&body[..body.len().min(SHOWN)]))
}

/// Returns the text of a part of a document that was read as text.
fn text_of(json: &Bytes) -> &str {
    std::str::from_utf8(json).expect("it is a part of a text")
}

/// Returns what an outcome says about a call over HTTP: the result, or what went wrong.
pub(super) fn answered(
    outcome: Outcome<'_>,
    carried: &Carried,
) -> Result<Option<Bytes>, Box<Failure>> {
    match outcome {
        Outcome::Result(_) | Outcome::Broken(_) if !carried.is_answer() => {
            Err(Box::new(Failure::of_http(carried)))
        }
        outcome => concluded(outcome, &carried.body),
    }
}

/// Returns what an outcome says about a call, and of which body it is a part.
///
/// A part of a body is copied unless it is the greater part: it would keep the rest.
pub(super) fn concluded(outcome: Outcome<'_>, body: &Bytes) -> Result<Option<Bytes>, Box<Failure>> {
    let part = |text: &str| {
        if text.len() > body.len() / 2 {
            body.slice_ref(text.as_bytes())
        } else {
            Bytes::copy_from_slice(text.as_bytes())
        }
    };
    match outcome {
        Outcome::Result(result) => Ok(Some(part(result))),
        Outcome::Broken(problem) => Err(Box::new(Failure::of_answer(problem, body))),
        Outcome::Error(error) => Err(Box::new(Failure {
            code: error.code,
            message: error.message.into_owned(),
            kind: "rpc",
            data: error.data.map_or(Data::None, |data| Data::Json(part(data))),
            tag: error.code.map_or("no code".into(), |code| code.to_string().into()),
        })),
    }
}

impl Reply {
    /// Returns the result as JSON.
    pub(super) fn result(&self) -> Option<&str> {
        self.outcome.as_ref().ok().and_then(Option::as_ref).map(text_of)
    }
}

impl Object for Reply {
    fn type_name(&self) -> &'static str {
        "reply"
    }

    fn get(&self, _: &Rc<VuContext>, field: &str) -> Result<Option<Value>, ApiError> {
        Ok(Some(match field {
            "ok" => Value::Bool(self.outcome.is_ok()),
            "result" => match self.result() {
                Some(json) => document::value("reply.result", json, "")?,
                None => Value::Nil,
            },
            "error" => match &self.outcome {
                Ok(_) => Value::Nil,
                Err(failure) => failure.value()?,
            },
            "id" => match &self.id {
                None => Value::Nil,
                Some(Id::Number(number)) => Value::Int(*number),
                Some(Id::Text(text)) => (&**text).into(),
            },
            "method" => (&*self.method).into(),
            "status" => self.status.map(i64::from).into(),
            "duration" => self.duration.map(|duration| duration.as_secs_f64() * 1e3).into(),
            _ => return Ok(None),
        }))
    }

    fn fields(&self) -> &'static [&'static str] {
        FIELDS
    }

    fn methods(&self) -> &'static [Method] {
        METHODS
    }

    fn call(
        self: Rc<Self>,
        _: &Rc<VuContext>,
        method: &'static Method,
        mut args: Args,
    ) -> Result<Answer, ApiError> {
        let path = args.optional_text(0)?;
        let path = path.as_ref().map(Text::to_str).unwrap_or_default();
        let Some(json) = self.result() else { return Ok(Answer::Now(Value::Nil)) };
        Ok(Answer::Now(if method.name == "raw" {
            document::raw(&args.call, json, &path)?.map(Value::from).into()
        } else {
            document::value(&args.call, json, &path)?
        }))
    }

    fn held_bytes(&self) -> usize {
        let held = match &self.outcome {
            Ok(result) => result.as_ref().map_or(0, Bytes::len),
            Err(failure) => {
                let data = match &failure.data {
                    Data::None => 0,
                    Data::Json(bytes) | Data::Text(bytes) => bytes.len(),
                };
                size_of::<Failure>() + failure.message.len() + data
            }
        };
        // The body of which the result is the greater part may be twice as long.
        size_of::<Self>() + 2 * held
    }

    fn describe(&self) -> String {
        match &self.outcome {
            Ok(_) => format!("<reply to {}>", self.method),
            Err(failure) => format!("<reply to {}: {}>", self.method, failure.message),
        }
    }
}

//! The named arguments of a handshake.

use crate::api::{ApiError, Fields, Map, Value};
use crate::protocol::ws::Deflate;
use crate::protocol::{BadHeader, Headers};

/// The names of a handshake's own `params`, behind those that it shares with requests.
pub(in crate::api) const NAMES: &[&str] = &[
    "headers",
    "cookies",
    "jar",
    "tags",
    "name",
    "timeout",
    "auth",
    "tls",
    "proxy",
    "socket",
    "throw",
    "subprotocols",
    "compression",
    "max_message_size",
];

/// Headers that are the handshake's own.
const RESERVED: &[&str] = &[
    "connection",
    "upgrade",
    "sec-websocket-accept",
    "sec-websocket-extensions",
    "sec-websocket-key",
    "sec-websocket-version",
];

/// A subprotocol as k6's scripts ask for it: by header.
const BY_HEADER: &str = "sec-websocket-protocol";

/// Named arguments that only a handshake has.
#[derive(Debug, Clone, Default)]
pub(super) struct Own {
    pub(super) subprotocols: Vec<String>,
    pub(super) compression: Option<Deflate>,
    pub(super) message_bytes: Option<usize>,
}

impl Own {
    /// Reads them.
    ///
    /// # Errors
    /// If one is not what it must be.
    pub(super) fn read(fields: &mut Fields) -> Result<Self, ApiError> {
        let subprotocols = match fields.take("subprotocols") {
            Value::Nil | Value::Null => Vec::new(),
            Value::Text(text) => vec![text.to_str().into_owned()],
            Value::List(list) => {
                let text = |value: Value| match value {
                    Value::Text(text) => Ok(text.to_str().into_owned()),
                    other => Err(fields.wrong("subprotocols", "a list of strings", &other)),
                };
                list.into_iter().map(text).collect::<Result<_, _>>()?
            }
            other => return Err(fields.wrong("subprotocols", "a list of strings", &other)),
        };
        let own = Self {
            compression: compression(fields)?,
            message_bytes: fields.count("max_message_size")?.map(|size| size as usize),
            subprotocols,
        };
        own.check(&fields.place)?;
        Ok(own)
    }

    /// Takes subprotocols that were given as a header, and refuses headers that are ours.
    ///
    /// # Errors
    /// If there is such a header.
    pub(super) fn take_headers(
        &mut self,
        place: &str,
        headers: &mut Headers,
    ) -> Result<(), ApiError> {
        if let Some(name) = RESERVED.iter().find(|name| headers.contains(name)) {
            return Err(ApiError::usage(format!(
                "{place}: headers: `{name}` belongs to the handshake; see `compression` and \
                 `subprotocols`"
            )));
        }
        for value in headers.all(BY_HEADER) {
            let list = String::from_utf8_lossy(value).into_owned();
            let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
            self.subprotocols.extend(names.map(str::to_owned));
        }
        headers.remove(BY_HEADER);
        self.check(place)
    }

    fn check(&self, place: &str) -> Result<(), ApiError> {
        for (index, name) in self.subprotocols.iter().enumerate() {
            // What can name a header is a token, and so is a subprotocol.
            if Headers::new().append(name, b"") == Err(BadHeader::Name) {
                return Err(ApiError::usage(format!(
                    "{place}: `subprotocols`: \"{name}\" is none: use letters, digits and \
                     !#$%&'*+-.^_`|~"
                )));
            }
            if self.subprotocols[..index].contains(name) {
                return Err(ApiError::usage(format!(
                    "{place}: `subprotocols`: \"{name}\" stands there twice"
                )));
            }
        }
        Ok(())
    }
}

/// Reads `compression = "permessage-deflate"`, or a table of its parameters.
fn compression(fields: &mut Fields) -> Result<Option<Deflate>, ApiError> {
    let place = format!("{}: compression", fields.place);
    match fields.take("compression") {
        Value::Nil | Value::Null | Value::Bool(false) => Ok(None),
        Value::Text(text) => match &*text.to_str() {
            // k6 calls it `deflate`.
            "permessage-deflate" | "deflate" => Ok(Some(Deflate::default())),
            "" => Ok(None),
            other => Err(ApiError::usage(format!(
                "{place} must be \"permessage-deflate\" or a table of its parameters, got \
                 \"{other}\""
            ))),
        },
        Value::Map(map) => parameters(place, map).map(Some),
        Value::List(list) if list.is_empty() => Ok(Some(Deflate::default())),
        other => Err(fields.wrong(
            "compression",
            "\"permessage-deflate\" or a table of its parameters",
            &other,
        )),
    }
}

fn parameters(place: String, map: Map) -> Result<Deflate, ApiError> {
    const NAMES: &[&str] = &[
        "client_context_takeover",
        "server_context_takeover",
        "client_max_window_bits",
        "server_max_window_bits",
    ];
    let mut fields = Fields::new(place, map, NAMES)?;
    let mut bits = |name: &str| match fields.count(name)? {
        None => Ok(None),
        Some(bits @ 8..=15) => Ok(Some(bits as u8)),
        Some(bits) => Err(ApiError::usage(format!(
            "{}: `{name}` must be within 8 to 15, got {bits}",
            fields.place
        ))),
    };
    let client_window_bits = bits("client_max_window_bits")?;
    let server_window_bits = bits("server_max_window_bits")?;
    Ok(Deflate {
        client_context: fields.bool("client_context_takeover")?.unwrap_or(false),
        server_context: fields.bool("server_context_takeover")?.unwrap_or(false),
        client_window_bits,
        server_window_bits,
    })
}

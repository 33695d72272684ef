//! The handshake (RFC 6455, 4.1): what is asked, and whether the answer is consent.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{Method, StatusCode};
use rand::rngs::SysRng;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use sha1::{Digest as _, Sha1};

use super::deflate::Codec;
use super::extension::{Agreed, Deflate};
use super::session::Session;
use super::{Limits, Socket, Watcher};
use crate::protocol::http::Upgraded;
use crate::protocol::{
    Auth, CookieJar, Destination, ErrorKind, Extras, Headers, HttpClient, ProtocolError, Request,
    Response, ResponseKind, Via,
};

/// What both sides put behind the key.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What a client asks for.
#[derive(Debug)]
pub struct Handshake {
    /// With `http` for `ws` and `https` for `wss`.
    pub url: Rc<Destination>,
    /// Further headers; those of the handshake itself take the place of their namesakes.
    pub headers: Headers,
    /// Subprotocols in the order of preference, each a token (RFC 9110, 5.6.2).
    pub subprotocols: Vec<String>,
    /// What is offered about compression; nothing to offer none.
    pub compression: Option<Deflate>,
    /// Time to connect and to be answered.
    pub timeout: Duration,
    /// How it proves whose it is, where a header does not say it all.
    pub auth: Option<Auth>,
    /// How its connection leads to the server.
    pub via: Via,
}

/// What came of a handshake.
pub struct Answered {
    /// The answer with its timings: their total is the time that connecting took. An answer that is
    /// no consent has the error [`ErrorKind::BadHandshake`], and its own body.
    pub response: Response,
    /// The connection, if it was consent.
    pub opening: Option<Opening>,
}

/// A connection that is open, before anybody reads it.
pub struct Opening {
    client: Rc<crate::protocol::Network>,
    upgraded: Upgraded,
    agreed: Option<Agreed>,
    /// The subprotocol that the server chose; empty if none.
    pub protocol: String,
    /// The extensions that the server agreed to, as it says; empty if none.
    pub extensions: String,
}

impl Opening {
    /// Begins: returns the socket, and what moves its bytes, which somebody must poll to its end.
    /// Dropping that closes the connection without a word.
    pub fn start(
        self,
        limits: Limits,
        watcher: Box<dyn Watcher>,
    ) -> (Socket, impl Future<Output = ()> + use<>) {
        let session = Session::new(&limits, self.agreed.map(Codec::new));
        Socket::start(self.client, self.upgraded, session, limits, watcher)
    }
}

/// Connects and asks for a WebSocket. Never fails: what went wrong is in the answer. Cookies of the
/// jar are sent, and the answer's stored; redirects are not followed.
///
/// When `cut` resolves it ends at once with [`ErrorKind::Cut`] and the time that it had.
pub async fn connect(
    client: &HttpClient,
    handshake: Handshake,
    jar: Option<&RefCell<CookieJar>>,
    cut: impl Future<Output = ()>,
) -> Answered {
    let Handshake { url, mut headers, subprotocols, compression, timeout, auth, via } = handshake;
    let via = Rc::new(Via { leaves_http: true, ..via });
    let key = new_key();
    let offer = compression.map(Deflate::offer);
    let lines = [
        ("upgrade", Some("websocket")),
        ("connection", Some("Upgrade")),
        ("sec-websocket-version", Some("13")),
        ("sec-websocket-key", Some(&*key)),
        ("sec-websocket-extensions", offer.as_deref()),
    ];
    let protocols = subprotocols.join(", ");
    let protocols = ("sec-websocket-protocol", Some(&*protocols).filter(|list| !list.is_empty()));
    for (name, value) in lines.into_iter().chain([protocols]) {
        headers.remove(name);
        if let Some(value) = value {
            // Tokens and what we write ourselves can stand in a head; others are as good as none.
            let _left_out = headers.append(name, value.as_bytes());
        }
    }
    let request = Request {
        method: Method::GET,
        url,
        headers,
        body: Bytes::new(),
        timeout,
        redirects: 0,
        response: ResponseKind::Keep,
        extras: Some(Rc::new(Extras { auth, via: Some(via), upload: None })),
    };
    let (mut response, upgraded) = Box::pin(client.upgrade(request, jar, cut)).await;
    if response.exchange.error.is_some() {
        return Answered { response, opening: None };
    }
    let consent = consent(&response, &key, &subprotocols, compression);
    let opening = match (consent, upgraded) {
        (Ok((protocol, agreed)), Some(upgraded)) => {
            let extensions = joined(&response.headers, "sec-websocket-extensions");
            let client = Rc::clone(client.network());
            Some(Opening { client, upgraded, agreed, protocol, extensions })
        }
        (Err(error), _) => {
            response.exchange.error = Some(error);
            None
        }
        (Ok(_), None) => None,
    };
    Answered { response, opening }
}

/// Returns 16 bytes that were not used before, in base64.
fn new_key() -> String {
    let mut bytes = [0; 16];
    let random = Xoshiro256PlusPlus::try_from_rng(&mut SysRng);
    random.unwrap_or_else(|_| Xoshiro256PlusPlus::seed_from_u64(0)).fill_bytes(&mut bytes);
    BASE64_STANDARD.encode(bytes)
}

/// Returns what a server answers to a key if it speaks WebSocket.
fn accept_of(key: &str) -> String {
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    BASE64_STANDARD.encode(digest)
}

/// Returns the subprotocol and what was agreed about compression.
///
/// # Errors
///
/// The answer is no consent (RFC 6455, 4.1), or consents to what nobody asked for.
fn consent(
    response: &Response,
    key: &str,
    subprotocols: &[String],
    compression: Option<Deflate>,
) -> Result<(String, Option<Agreed>), ProtocolError> {
    let refused = |what: &str, detail: String| {
        let message = format!("bad websocket handshake: {what}");
        Err(ProtocolError::new(ErrorKind::BadHandshake, message).with_detail(detail))
    };
    let status = response.exchange.status.map_or(0, |status| status.as_u16());
    if status != StatusCode::SWITCHING_PROTOCOLS {
        return refused(&format!("status {status}"), "the answer must have status 101".to_owned());
    }
    let headers = &response.headers;
    if !joined(headers, "upgrade").eq_ignore_ascii_case("websocket") {
        return refused("upgrade", "the answer's `upgrade` must be `websocket`".to_owned());
    }
    let connection = joined(headers, "connection");
    if !connection.split(',').any(|token| token.trim().eq_ignore_ascii_case("upgrade")) {
        return refused("connection", "the answer's `connection` lacks `upgrade`".to_owned());
    }
    let accept = joined(headers, "sec-websocket-accept");
    if accept != accept_of(key) {
        let detail = format!("the answer's `sec-websocket-accept` is `{accept}`, not the key's");
        return refused("accept", detail);
    }
    let protocol = joined(headers, "sec-websocket-protocol");
    if headers.contains("sec-websocket-protocol") && !subprotocols.contains(&protocol) {
        return refused(
            "subprotocol",
            format!("the server chose `{protocol}`, which was not offered"),
        );
    }
    let extensions: Vec<&[u8]> = headers.all("sec-websocket-extensions").collect();
    Ok((protocol, Deflate::agreed(compression, &extensions)?))
}

/// Returns the values of a header, joined as one list.
fn joined(headers: &Headers, name: &str) -> String {
    let values: Vec<_> = headers.all(name).map(String::from_utf8_lossy).collect();
    values.join(", ").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_answered_as_in_the_rfc() {
        assert_eq!(accept_of("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let (one, other) = (new_key(), new_key());
        assert_eq!(BASE64_STANDARD.decode(&one).map(|bytes| bytes.len()), Ok(16));
        assert_ne!(one, other);
    }
}

//! What is offered and agreed about compression (RFC 7692, 7) in `Sec-WebSocket-Extensions`.

use crate::protocol::ErrorKind;
use crate::protocol::ProtocolError;

const NAME: &str = "permessage-deflate";
const CLIENT_NO_CONTEXT: &str = "client_no_context_takeover";
const SERVER_NO_CONTEXT: &str = "server_no_context_takeover";
const CLIENT_BITS: &str = "client_max_window_bits";
const SERVER_BITS: &str = "server_max_window_bits";

/// The largest window, which is the one without any agreement.
pub(super) const BITS_MAX: u8 = 15;
const BITS_MIN: u8 = 8;

/// What a client offers to do about compression.
///
/// By default nobody keeps a context from one message to the next, as in k6: then a worker's sockets
/// share one compressor, and a socket that waits takes no memory for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deflate {
    /// Whether what the client sends may refer to its earlier messages.
    pub client_context: bool,
    /// Whether what the server sends may refer to its earlier messages.
    pub server_context: bool,
    /// The largest window of what the client sends, from 8 to 15, if the server may make it smaller.
    pub client_window_bits: Option<u8>,
    /// The largest window of what the server sends, from 8 to 15.
    pub server_window_bits: Option<u8>,
}

/// What both sides do about compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Agreed {
    pub(super) client_context: bool,
    pub(super) server_context: bool,
    pub(super) client_window_bits: u8,
}

impl Deflate {
    /// Returns the offer as a header's value.
    pub(super) fn offer(self) -> String {
        let mut offer = NAME.to_owned();
        let mut add = |part: &str| {
            offer.push_str("; ");
            offer.push_str(part);
        };
        if !self.client_context {
            add(CLIENT_NO_CONTEXT);
        }
        if !self.server_context {
            add(SERVER_NO_CONTEXT);
        }
        if let Some(bits) = self.client_window_bits {
            add(&format!("{CLIENT_BITS}={bits}"));
        }
        if let Some(bits) = self.server_window_bits {
            add(&format!("{SERVER_BITS}={bits}"));
        }
        offer
    }

    /// Reads the answer to the offer; nothing if the server compresses nothing.
    ///
    /// # Errors
    ///
    /// The answer is none to what was offered (RFC 7692, 7.1): the connection must fail.
    pub(super) fn agreed(
        offered: Option<Self>,
        answers: &[&[u8]],
    ) -> Result<Option<Agreed>, ProtocolError> {
        let mut agreed = None;
        for answer in answers {
            let Ok(answer) = std::str::from_utf8(answer) else {
                return Err(refused("it is no text"));
            };
            for extension in answer.split(',') {
                let mut parts = extension.split(';').map(str::trim);
                let name = parts.next().unwrap_or_default();
                let (Some(offered), true) = (offered, name.eq_ignore_ascii_case(NAME)) else {
                    return Err(refused(&format!("`{name}` was not offered")));
                };
                if agreed.is_some() {
                    return Err(refused("compression is agreed on twice"));
                }
                agreed = Some(offered.accepted(parts)?);
            }
        }
        Ok(agreed)
    }

    fn accepted<'a>(self, params: impl Iterator<Item = &'a str>) -> Result<Agreed, ProtocolError> {
        let mut seen: Vec<&str> = Vec::new();
        let mut agreed = Agreed {
            // To send without a context needs nobody's leave.
            client_context: self.client_context,
            server_context: true,
            client_window_bits: BITS_MAX,
        };
        for param in params {
            let (name, value) = match param.split_once('=') {
                Some((name, value)) => (name.trim(), Some(unquoted(value.trim()))),
                None => (param, None),
            };
            if seen.contains(&name) {
                return Err(refused(&format!("`{name}` stands there twice")));
            }
            seen.push(name);
            let most = |offered: Option<u8>| bits(name, value, offered.unwrap_or(BITS_MAX));
            match (name, value) {
                (CLIENT_NO_CONTEXT, None) => agreed.client_context = false,
                (SERVER_NO_CONTEXT, None) => agreed.server_context = false,
                (CLIENT_BITS, Some(_)) if self.client_window_bits.is_some() => {
                    agreed.client_window_bits = most(self.client_window_bits)?;
                }
                // Whatever the server's window, ours holds it.
                (SERVER_BITS, Some(_)) => drop(most(self.server_window_bits)?),
                _ => return Err(refused(&format!("`{param}` is no answer to the offer"))),
            }
        }
        if self.server_window_bits.is_some() && !seen.contains(&SERVER_BITS) {
            return Err(refused("it leaves out server_max_window_bits, which was asked for"));
        }
        Ok(agreed)
    }
}

fn bits(name: &str, value: Option<&str>, most: u8) -> Result<u8, ProtocolError> {
    let value = value.unwrap_or_default();
    // Without leading zeros (RFC 7692, 7.1.2.1).
    let number = value.parse::<u8>().ok().filter(|number| number.to_string() == value);
    number
        .filter(|number| (BITS_MIN..=most).contains(number))
        .ok_or_else(|| refused(&format!("`{name}={value}` is not within 8 to {most}")))
}

fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value)
}

fn refused(why: &str) -> ProtocolError {
    ProtocolError::new(ErrorKind::BadHandshake, "bad websocket handshake: extensions")
        .with_detail(format!("the answer's sec-websocket-extensions: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreed(offer: Deflate, answer: &str) -> Result<Option<Agreed>, ErrorKind> {
        Deflate::agreed(Some(offer), &[answer.as_bytes()]).map_err(|error| error.kind)
    }

    const BOTH: Deflate = Deflate {
        client_context: true,
        server_context: true,
        client_window_bits: Some(12),
        server_window_bits: Some(10),
    };

    #[test]
    fn an_offer_says_what_is_wanted() {
        assert_eq!(
            Deflate::default().offer(),
            "permessage-deflate; client_no_context_takeover; server_no_context_takeover"
        );
        assert_eq!(
            BOTH.offer(),
            "permessage-deflate; client_max_window_bits=12; server_max_window_bits=10"
        );
    }

    #[test]
    fn an_answer_decides_within_the_offer() {
        let plain = Deflate::default();
        let kept = Agreed { client_context: false, server_context: true, client_window_bits: 15 };
        assert_eq!(agreed(plain, "permessage-deflate"), Ok(Some(kept)));
        let none = Agreed { server_context: false, ..kept };
        let answer = "Permessage-Deflate; server_no_context_takeover;client_no_context_takeover";
        assert_eq!(agreed(plain, answer), Ok(Some(none)));
        let answer = "permessage-deflate; server_max_window_bits=9; client_max_window_bits = \"8\"";
        let small = Agreed { client_context: true, server_context: true, client_window_bits: 8 };
        assert_eq!(agreed(BOTH, answer), Ok(Some(small)));
        assert_eq!(Deflate::agreed(Some(BOTH), &[]), Ok(None));
        assert_eq!(Deflate::agreed(None, &[]), Ok(None));
    }

    #[test]
    fn what_answers_no_offer_is_refused() {
        let server = "permessage-deflate; server_max_window_bits=10";
        for answer in [
            "",
            "x-other",
            "permessage-deflate, permessage-deflate",
            "permessage-deflate; server_max_window_bits=11",
            "permessage-deflate; client_max_window_bits=12",
            &format!("{server}; client_max_window_bits"),
            &format!("{server}; client_max_window_bits=13"),
            &format!("{server}; client_max_window_bits=7"),
            &format!("{server}; client_max_window_bits=09"),
            &format!("{server}; server_max_window_bits=10"),
            &format!("{server}; server_no_context_takeover=1"),
            &format!("{server}; colour=blue"),
        ] {
            assert_eq!(agreed(BOTH, answer), Err(ErrorKind::BadHandshake), "{answer}");
        }
        let unasked = "permessage-deflate; client_max_window_bits=12";
        assert_eq!(agreed(Deflate::default(), unasked), Err(ErrorKind::BadHandshake));
        let error = Deflate::agreed(None, &[b"permessage-deflate"]).expect_err("not offered");
        assert!(error.detail.expect("why").contains("was not offered"));
    }
}

//! Why a connection is closed (RFC 6455, 7.1.5 and 7.4): codes and reasons.

use super::Violation;
use super::frame::CONTROL_BYTES_MAX;

/// What it is called if the peer gave no code.
pub const NO_CODE: u16 = 1005;
/// What it is called if no close frame came.
pub const ABNORMAL: u16 = 1006;
/// The longest reason in bytes.
pub const REASON_BYTES_MAX: usize = CONTROL_BYTES_MAX - 2;

/// What a close frame says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Close {
    pub(super) code: Option<u16>,
    pub(super) reason: Box<str>,
}

impl Close {
    /// Reads a close frame's payload.
    ///
    /// # Errors
    ///
    /// It has half a code, a code that nobody may send, or a reason that is no text.
    pub(super) fn read(payload: &[u8]) -> Result<Self, Violation> {
        let Some((code, reason)) = payload.split_first_chunk() else {
            if payload.is_empty() {
                return Ok(Self { code: None, reason: "".into() });
            }
            return Err(Violation::protocol("a close frame has half a code"));
        };
        let code = u16::from_be_bytes(*code);
        if !can_be_sent(code) {
            return Err(Violation::protocol("a close frame has a code that is not to be sent"));
        }
        match std::str::from_utf8(reason) {
            Ok(reason) => Ok(Self { code: Some(code), reason: reason.into() }),
            Err(_) => Err(Violation::text("the reason in a close frame is not UTF-8")),
        }
    }

    /// Returns the payload that says it. The reason has at most [`REASON_BYTES_MAX`] bytes.
    pub(super) fn payload(code: Option<u16>, reason: &str) -> Vec<u8> {
        let mut payload = Vec::new();
        if let Some(code) = code {
            payload.extend_from_slice(&code.to_be_bytes());
            payload.extend_from_slice(reason.as_bytes());
        }
        payload
    }
}

/// Returns whether a code may stand in a close frame: those of the RFC and of IANA's registry, and
/// those left to libraries and applications.
pub fn can_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_rfc_and_the_registry() {
        for code in [1000, 1001, 1002, 1003, 1007, 1008, 1011, 1012, 1014, 3000, 3999, 4000, 4999] {
            assert!(Close::read(&Close::payload(Some(code), "x")).is_ok(), "{code}");
        }
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
            let violation = Close::read(&Close::payload(Some(code), "x")).expect_err("invalid");
            assert_eq!(violation.code, 1002, "{code}");
        }
    }

    #[test]
    fn a_payload_is_nothing_or_a_code_with_text() {
        assert_eq!(Close::read(b""), Ok(Close { code: None, reason: "".into() }));
        assert_eq!(Close::read(b"\x03").expect_err("half").code, 1002);
        assert_eq!(Close::read(b"\x03\xe8\xff").expect_err("no text").code, 1007);
        let close = Close::read(b"\x03\xe8bye").expect("valid");
        assert_eq!((close.code, &*close.reason), (Some(1000), "bye"));
        assert!(Close::payload(None, "lost").is_empty());
    }
}

//! Writes calls as JSON.

use serde::{Serialize, Serializer};

use super::Id;

/// A call as it goes out.
#[derive(Debug, Clone, Serialize)]
pub struct Outgoing<'a, P> {
    jsonrpc: &'static str,
    method: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<P>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a Id>,
}

impl<'a, P: Serialize> Outgoing<'a, P> {
    /// Returns a call; without an id it is a notification, which servers do not answer (section 4.1).
    ///
    /// `params` must be written as an array or an object (section 4.2).
    pub fn new(method: &'a str, params: Option<P>, id: Option<&'a Id>) -> Self {
        Self { jsonrpc: "2.0", method, params, id }
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

/// Writes one call.
///
/// # Errors
/// If the params have no form in JSON.
pub fn encode<P: Serialize>(call: &Outgoing<'_, P>) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(call)
}

/// Writes a batch (section 6): in the order of the calls, of which there must be one at least.
///
/// # Errors
/// If params have no form in JSON.
pub fn encode_batch<P: Serialize>(calls: &[Outgoing<'_, P>]) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(calls)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(method: &str, params: Option<&[i32]>, id: Option<&Id>) -> String {
        String::from_utf8(encode(&Outgoing::new(method, params, id)).unwrap()).unwrap()
    }

    #[test]
    fn members_stand_in_the_order_of_the_specification() {
        assert_eq!(
            written("subtract", Some(&[42, 23]), Some(&Id::Number(1))),
            r#"{"jsonrpc":"2.0","method":"subtract","params":[42,23],"id":1}"#
        );
        assert_eq!(
            written("a\"b", None, Some(&Id::Text("1".into()))),
            r#"{"jsonrpc":"2.0","method":"a\"b","id":"1"}"#
        );
    }

    #[test]
    fn a_call_without_an_id_is_a_notification() {
        assert_eq!(
            written("update", Some(&[]), None),
            r#"{"jsonrpc":"2.0","method":"update","params":[]}"#
        );
    }

    #[test]
    fn a_batch_is_an_array_even_of_one() {
        let (one, two) = (Id::Number(1), Id::Text("b".into()));
        let calls = [
            Outgoing::new("a", Some([1]), Some(&one)),
            Outgoing::new("b", None, Some(&two)),
            Outgoing::new("c", None, None),
        ];
        assert_eq!(
            String::from_utf8(encode_batch(&calls).unwrap()).unwrap(),
            concat!(
                r#"[{"jsonrpc":"2.0","method":"a","params":[1],"id":1},"#,
                r#"{"jsonrpc":"2.0","method":"b","id":"b"},"#,
                r#"{"jsonrpc":"2.0","method":"c"}]"#
            )
        );
        assert!(encode_batch(&calls[..1]).unwrap().starts_with(b"[{"));
    }
}

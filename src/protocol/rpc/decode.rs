//! Takes what a server sent apart: the members of each message, without building what they hold.

use std::borrow::Cow;
use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

use super::{Id, Problem, RpcError};

/// What a server sent.
#[derive(Debug, PartialEq)]
pub enum Document<'a> {
    /// Nothing, as is right after notifications alone.
    Nothing,
    /// One message.
    One(Message<'a>),
    /// An array: the messages among its elements, others than objects left out.
    Many(Vec<Message<'a>>),
}

/// An object that a server sent: an answer, a notification, or nothing of the kind.
#[derive(Debug, Default, PartialEq)]
pub struct Message<'a> {
    /// The call that it answers.
    pub id: AnswerId,
    /// The name of a notification, or of a call of the server's.
    pub method: Option<Cow<'a, str>>,
    /// The members `params`, `result` and `error`, as JSON; `null` is not nothing.
    pub params: Option<&'a str>,
    /// See `params`.
    pub result: Option<&'a str>,
    /// See `params`.
    pub error: Option<&'a str>,
    /// Whether one of these members stands there twice, so that two readers could see two answers.
    pub ambiguous: bool,
}

/// The id of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum AnswerId {
    /// There is none: a notification.
    #[default]
    Missing,
    /// `null`: the server could not read the id of what it answers (section 5).
    Null,
    /// One that a call can have.
    Known(Id),
    /// One that no call has: a fraction, an array, a number beyond 64 bits.
    Foreign,
}

/// Reads what a server sent.
///
/// # Errors
/// [`Problem::NotJson`] if it is no JSON, [`Problem::Invalid`] if it is neither an object nor an
/// array.
pub fn read(bytes: &[u8]) -> Result<Document<'_>, Problem> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Document::Nothing);
    }
    // The parts of a document are texts: what is no UTF-8 is no JSON (RFC 8259, 8.1).
    let text = std::str::from_utf8(bytes).map_err(|_| Problem::NotJson)?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let element = Element::deserialize(&mut reader).map_err(|_| Problem::NotJson)?;
    reader.end().map_err(|_| Problem::NotJson)?;
    match element {
        Element::Message(message) => Ok(Document::One(message)),
        Element::Array(messages) => Ok(Document::Many(messages)),
        Element::Other => Err(Problem::Invalid),
    }
}

impl<'a> Message<'a> {
    /// Returns the error that the message holds, if it is one: anything but `null` counts.
    pub(super) fn failure(&self) -> Option<RpcError<'a>> {
        let error = self.error.filter(|error| *error != "null")?;
        if !error.starts_with('{') {
            // What is no object is the message, as Bitcoin's kin of JSON-RPC 1.0 do it.
            let message = text_of(error).unwrap_or(Cow::Borrowed(error));
            return Some(RpcError { code: None, message, data: None });
        }
        let members = serde_json::from_str::<ErrorMembers<'_>>(error).unwrap_or_default();
        Some(RpcError {
            code: members.code.and_then(|code| whole(code.get())),
            message: members.message.map_or(Cow::Borrowed(error), |raw| {
                text_of(raw.get()).unwrap_or(Cow::Borrowed(raw.get()))
            }),
            data: members.data.map(RawValue::get),
        })
    }
}

/// The members of an error, of whatever type.
#[derive(Default, serde::Deserialize)]
struct ErrorMembers<'a> {
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// Returns a JSON string's text; nothing if it is no string.
fn text_of(raw: &str) -> Option<Cow<'_, str>> {
    /// A string that borrows where nothing is escaped.
    #[derive(serde::Deserialize)]
    struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str::<Borrowed<'_>>(raw).ok().map(|text| text.0)
}

/// Returns a whole number, however it is written; nothing if it is none of 64 bits.
fn whole(raw: &str) -> Option<i64> {
    /// Up to here floats hold every whole number.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    raw.parse().ok().or_else(|| {
        let number: f64 = serde_json::from_str(raw).ok()?;
        (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
    })
}

fn id_of(raw: &str) -> AnswerId {
    if raw == "null" {
        return AnswerId::Null;
    }
    match (text_of(raw), whole(raw)) {
        (Some(text), _) => AnswerId::Known(Id::Text(text.into())),
        (None, Some(number)) => AnswerId::Known(Id::Number(number)),
        (None, None) => AnswerId::Foreign,
    }
}

/// Returns whose a notification is, by the member `subscription` of its params, and their member
/// `result`, as JSON. Ethereum's nodes, Solana's and Substrate's all write it so.
pub fn subscribed(params: &str) -> Option<(Id, Option<&str>)> {
    #[derive(serde::Deserialize)]
    struct Members<'a> {
        #[serde(borrow)]
        subscription: &'a RawValue,
        #[serde(borrow)]
        result: Option<&'a RawValue>,
    }
    let members: Members<'_> = serde_json::from_str(params).ok()?;
    Some((Id::read(members.subscription.get())?, members.result.map(RawValue::get)))
}

impl Id {
    /// Reads an id from JSON; nothing if no call can have it.
    pub fn read(raw: &str) -> Option<Self> {
        match id_of(raw) {
            AnswerId::Known(id) => Some(id),
            AnswerId::Missing | AnswerId::Null | AnswerId::Foreign => None,
        }
    }
}

/// A value at the top of a document, or in the array there.
enum Element<'a> {
    Message(Message<'a>),
    Array(Vec<Message<'a>>),
    Other,
}

impl<'de> Deserialize<'de> for Element<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ElementVisitor { top: true })
    }
}

/// Reads an element; within another array an array is nothing of ours.
struct ElementVisitor {
    top: bool,
}

impl<'de> DeserializeSeed<'de> for ElementVisitor {
    type Value = Element<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ElementVisitor {
    type Value = Element<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut message = Message::default();
        let mut id = None;
        while let Some(name) = members.next_key::<Name>()? {
            let place = match name {
                Name::Id => &mut id,
                Name::Params => &mut message.params,
                Name::Result => &mut message.result,
                Name::Error => &mut message.error,
                Name::Method => {
                    let raw = members.next_value::<&RawValue>()?.get();
                    message.ambiguous |= message.method.is_some();
                    message.method = text_of(raw);
                    continue;
                }
                Name::Other => {
                    members.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            let before = place.replace(members.next_value::<&RawValue>()?.get());
            message.ambiguous |= before.is_some();
        }
        message.id = id.map_or(AnswerId::Missing, id_of);
        Ok(Element::Message(message))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let mut messages = Vec::new();
        if !self.top {
            while sequence.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Element::Other);
        }
        while let Some(element) = sequence.next_element_seed(Self { top: false })? {
            if let Element::Message(message) = element {
                messages.push(message);
            }
        }
        Ok(Element::Array(messages))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Element::Other)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Element::Other)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Element::Other)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Element::Other)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Element::Other)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Element::Other)
    }
}

/// A member's name, told without building it.
enum Name {
    Id,
    Method,
    Params,
    Result,
    Error,
    Other,
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;

        impl Visitor<'_> for NameVisitor {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Name, E> {
                Ok(match name {
                    "id" => Name::Id,
                    "method" => Name::Method,
                    "params" => Name::Params,
                    "result" => Name::Result,
                    "error" => Name::Error,
                    _ => Name::Other,
                })
            }
        }

        deserializer.deserialize_str(NameVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notifications_name_their_subscription() {
        let of = |params| subscribed(params).map(|(id, result)| (id, result.unwrap_or("-")));
        let text = |text: &str| Id::Text(text.into());
        assert_eq!(
            of(r#"{"subscription": "0x1", "result": {"a": [1.50]}}"#),
            Some((text("0x1"), r#"{"a": [1.50]}"#))
        );
        assert_eq!(of(r#"{"result":null,"subscription":7}"#), Some((Id::Number(7), "-")));
        assert_eq!(of(r#"{"subscription":"7"}"#), Some((text("7"), "-")));
        for none in [r#"{"result":1}"#, r#"{"subscription":null}"#, r#"["0x1"]"#, "7", "{"] {
            assert_eq!(of(none), None, "{none}");
        }
    }

    fn one(text: &str) -> Message<'_> {
        match read(text.as_bytes()) {
            Ok(Document::One(message)) => message,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn members_are_texts_as_they_stood_there() {
        let message = one(r#"{"jsonrpc" : "2.0", "result": {"n": 1.50, "s":"\u00e9"} ,"id":7}"#);
        assert_eq!(message.result, Some(r#"{"n": 1.50, "s":"\u00e9"}"#));
        assert_eq!(message.id, AnswerId::Known(Id::Number(7)));
        assert_eq!((message.error, message.ambiguous), (None, false));
        assert_eq!(one(r#"{"result":null,"id":1}"#).result, Some("null"));
        assert_eq!(one(r#"{"result":1,"r\u0065sult":2,"id":1}"#).result, Some("2"));
    }

    #[test]
    fn numbers_of_any_length_keep_their_digits() {
        let digits =
            "115792089237316195423570985008687907853269984665640564039457584007913129639935";
        assert_eq!(one(&format!(r#"{{"result":{digits},"id":1}}"#)).result, Some(digits));
        let nested = format!(r#"[{{"v":[-{digits},{digits}.5e-3]}}]"#);
        assert_eq!(one(&format!(r#"{{"result":{nested}}}"#)).result, Some(nested.as_str()));
    }

    #[test]
    fn ids_are_numbers_texts_null_or_foreign() {
        let number = |number| AnswerId::Known(Id::Number(number));
        let text = |text: &str| AnswerId::Known(Id::Text(text.into()));
        for (id, wanted) in [
            ("1", number(1)),
            ("1.0", number(1)),
            ("1e2", number(100)),
            ("-9223372036854775808", number(i64::MIN)),
            (r#""1""#, text("1")),
            (r#""\u0061\"""#, text("a\"")),
            (r#""""#, text("")),
            ("null", AnswerId::Null),
            ("1.5", AnswerId::Foreign),
            ("1e300", AnswerId::Foreign),
            ("9223372036854775808", AnswerId::Foreign),
            ("true", AnswerId::Foreign),
            ("[1]", AnswerId::Foreign),
        ] {
            assert_eq!(one(&format!(r#"{{"id":{id},"result":1}}"#)).id, wanted, "{id}");
        }
        assert_eq!(one(r#"{"result":1}"#).id, AnswerId::Missing);
    }

    #[test]
    fn errors_of_every_form_are_read() {
        let error = |text: &str| {
            let document = format!(r#"{{"id":1,"error":{text}}}"#);
            let error = one(&document).failure();
            error.map(|e| (e.code, e.message.into_owned(), e.data.map(str::to_owned)))
        };
        let says = |code, message: &str, data: Option<&str>| {
            Some((code, message.to_owned(), data.map(str::to_owned)))
        };
        assert_eq!(
            error(r#"{"code":-32601,"message":"no such \u006dethod","data":{"a":[1, 2]}}"#),
            says(Some(-32601), "no such method", Some(r#"{"a":[1, 2]}"#))
        );
        assert_eq!(error(r#"{"code":3.0,"message":"x"}"#), says(Some(3), "x", None));
        assert_eq!(error(r#"{"code":"3","message":"x"}"#), says(None, "x", None));
        assert_eq!(error(r#"{"code":1,"message":[7]}"#), says(Some(1), "[7]", None));
        assert_eq!(error(r#"{"code":1}"#), says(Some(1), r#"{"code":1}"#, None));
        assert_eq!(error(r#""it broke""#), says(None, "it broke", None));
        assert_eq!(error("17"), says(None, "17", None));
        assert_eq!(error("{}"), says(None, "{}", None));
        assert_eq!(error("null"), None);
    }

    #[test]
    fn a_member_that_stands_twice_is_noticed() {
        for text in [
            r#"{"result":1,"result":1}"#,
            r#"{"error":1,"result":2,"error":null}"#,
            r#"{"id":1,"id":2}"#,
            r#"{"method":"a","method":"b"}"#,
        ] {
            assert!(one(text).ambiguous, "{text}");
        }
        assert!(!one(r#"{"other":1,"other":2,"result":{"id":1,"id":2}}"#).ambiguous);
    }

    #[test]
    fn notifications_have_a_method_and_params() {
        let text =
            r#"{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0x1"}}"#;
        let message = one(text);
        assert_eq!(message.method.as_deref(), Some("eth_subscription"));
        assert_eq!(message.params, Some(r#"{"subscription":"0x1"}"#));
        assert_eq!(message.id, AnswerId::Missing);
    }

    #[test]
    fn arrays_hold_messages_and_leave_out_what_is_none() {
        let text = r#" [{"id":1,"result":1}, 7, null, "x", [{"id":9}], 1.5, true, {"id":2}] "#;
        let Ok(Document::Many(messages)) = read(text.as_bytes()) else { panic!("no array") };
        let ids: Vec<_> = messages.into_iter().map(|message| message.id).collect();
        assert_eq!(ids, [1, 2].map(|id| AnswerId::Known(Id::Number(id))));
    }

    #[test]
    fn what_is_no_answer_says_what_it_is() {
        for text in ["", " \r\n\t", "\u{feff}"] {
            assert_eq!(read(text.as_bytes()), Ok(Document::Nothing), "{text:?}");
        }
        for text in ["<html>", "{", r#"{"id":1"#, r#"{"id":1} x"#, "[1,]", r#"{"result":01}"#] {
            assert_eq!(read(text.as_bytes()), Err(Problem::NotJson), "{text}");
        }
        for text in ["1", "null", "true", r#""x""#, "1.5", "-1"] {
            assert_eq!(read(text.as_bytes()), Err(Problem::Invalid), "{text}");
        }
        assert_eq!(read(b"{\"result\":\"\xff\"}"), Err(Problem::NotJson));
        assert!(matches!(read("\u{feff}{}".as_bytes()), Ok(Document::One(_))));
    }

    #[test]
    fn a_result_may_be_nested_deeply_but_a_document_not_endlessly() {
        let deep = format!(r#"{{"id":1,"result":{}1{}}}"#, "[".repeat(5_000), "]".repeat(5_000));
        assert_eq!(one(&deep).result.map(str::len), Some(10_001));
        // Whatever comes of it, the stack holds.
        let _ = read("[".repeat(1_000_000).as_bytes());
        let _ = read(format!("{{\"result\":{}", "[".repeat(1_000_000)).as_bytes());
    }
}

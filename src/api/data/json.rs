//! JSON files: where the rows of an array, or of a file with a value per line, are.
//!
//! All is parsed once when it is read, so that handing out a row cannot fail.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::Mistake;
use crate::api::Value;

/// Finds the elements of a text that is one array, of less than 4 GiB; nothing if it is another value.
///
/// # Errors
/// If it is no JSON, or nested too deep to be handed out.
pub(super) fn elements(text: &str) -> Result<Option<Vec<u32>>, Mistake> {
    if !text.trim_start().starts_with('[') {
        check(text, text, 0)?;
        return Ok(None);
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let elements = reader.deserialize_seq(Elements);
    let elements = elements.and_then(|elements| reader.end().map(|()| elements));
    let elements = elements.map_err(|error| broken(text, 0, &error))?;
    let mut starts = Vec::with_capacity(elements.len());
    for element in elements {
        let start = element.get().as_ptr().addr() - text.as_ptr().addr();
        check(text, element.get(), start)?;
        starts.push(start as u32);
    }
    Ok(Some(starts))
}

/// Finds the values of a text that has one per line, of less than 4 GiB. Empty lines do not count.
///
/// # Errors
/// If a line is no JSON, or nested too deep to be handed out.
pub(super) fn lines(text: &str) -> Result<Vec<u32>, Mistake> {
    let mut starts = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if !line.trim().is_empty() {
            check(text, line.trim_end(), start)?;
            starts.push(start as u32);
        }
        start += line.len();
    }
    starts.shrink_to_fit();
    Ok(starts)
}

/// Returns the value that begins at a place, which was checked.
pub(super) fn value(text: &str, start: u32) -> Value {
    let mut reader = serde_json::Deserializer::from_str(&text[start as usize..]);
    Value::deserialize(&mut reader).expect("it was parsed when it was read")
}

/// Parses a part of a text as it will be parsed when it is handed out.
fn check(text: &str, part: &str, start: usize) -> Result<(), Mistake> {
    serde_json::from_str::<Walked>(part).map(|_| ()).map_err(|error| broken(text, start, &error))
}

/// Returns a mistake of a part of a text, at its place in the whole.
fn broken(text: &str, start: usize, error: &serde_json::Error) -> Mistake {
    let full = error.to_string();
    let problem = full.split(" at line ").next().unwrap_or(&full).to_owned();
    let begin = Mistake::at(text, start, String::new());
    // serde_json counts columns in bytes, from 1 to the character that is wrong.
    let line = text.split('\n').nth(begin.line + error.line() - 2).unwrap_or_default();
    let before = if error.line() == 1 { line_offset(text, start) } else { 0 };
    let bytes = (before + error.column().saturating_sub(1)).min(line.len());
    let column = 1 + String::from_utf8_lossy(&line.as_bytes()[..bytes]).chars().count();
    Mistake { line: begin.line + error.line() - 1, column, problem }
}

/// Returns how far behind the beginning of its line a place is, in bytes.
fn line_offset(text: &str, at: usize) -> usize {
    at - text[..at].rfind('\n').map_or(0, |end| end + 1)
}

/// Takes the texts of an array's elements.
struct Elements;

impl<'de> Visitor<'de> for Elements {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = sequence.next_element()? {
            elements.push(element);
        }
        Ok(elements)
    }
}

/// A value that is parsed like any other, with the limit of its depth, and not kept.
struct Walked;

impl<'de> Deserialize<'de> for Walked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Walked {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self, A::Error> {
        while sequence.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        while members.next_entry::<IgnoredAny, Self>()?.is_some() {}
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(text: &str, starts: &[u32]) -> Vec<String> {
        starts.iter().map(|start| value(text, *start).to_json().to_string()).collect()
    }

    fn told(mistake: &Mistake) -> String {
        format!("{}:{}: {}", mistake.line, mistake.column, mistake.problem)
    }

    #[test]
    fn the_elements_of_an_array_are_found_where_they_stand() {
        let text = " [ {\"a\": 1}, \"é]\",\n  [2, [3]] ,null,-4.5e3 ] \n";
        let starts = elements(text).unwrap().unwrap();
        assert_eq!(values(text, &starts), ["{\"a\":1}", "\"é]\"", "[2,[3]]", "null", "-4500.0"]);
        assert!(elements("[]").unwrap().unwrap().is_empty());
        assert_eq!(elements("{\"a\": []}").unwrap(), None);
    }

    #[test]
    fn a_value_stands_on_each_line_that_is_not_empty() {
        let text = "{\"a\":1}\r\n\n  [2]  \n\"x\"";
        assert_eq!(values(text, &lines(text).unwrap()), ["{\"a\":1}", "[2]", "\"x\""]);
        assert!(lines("").unwrap().is_empty());
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let deep = format!("[1,\n {}1{}]", "[".repeat(128), "]".repeat(128));
        let cases = [
            (elements("").map(drop), "1:1: EOF while parsing a value"),
            (elements("[1,\n é]").map(drop), "2:2: expected value"),
            (elements("[1] 2").map(drop), "1:5: trailing characters"),
            (elements("[1, 1e999]").map(drop), "1:9: number out of range"),
            (elements("[{},\n {\"é\": 1e999}]").map(drop), "2:12: number out of range"),
            (elements(&deep).map(drop), "2:129: recursion limit exceeded"),
            (lines("1\n\n{\"é\": x}\n").map(drop), "3:7: expected value"),
            (lines("1 2\n").map(drop), "1:3: trailing characters"),
            (lines("{}\n[1,\n2]\n").map(drop), "2:3: EOF while parsing a value"),
        ];
        for (result, wanted) in cases {
            assert_eq!(told(&result.unwrap_err()), wanted);
        }
    }

    proptest! {
        #[test]
        fn what_was_checked_can_be_handed_out(text in "[\\[\\]{}\",:0-9e\\-tnulrfa \n\\\\]{0,30}") {
            if let Ok(Some(starts)) = elements(&text) {
                let whole = values(&text, &starts);
                let known: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
                prop_assert_eq!(whole.len(), known.len());
            }
            if let Ok(starts) = lines(&text) {
                prop_assert_eq!(values(&text, &starts).len(), starts.len());
            }
        }
    }
}

//! RLP, the form of Ethereum's transactions: byte strings and lists of them (Yellow Paper, appendix B).

use std::rc::Rc;

use crate::api::{ApiError, Args, Value, VuContext};

/// Deepest nesting of lists that is written or read.
const DEPTH_MAX: usize = 127;

/// First byte of an empty string, and of an empty list. Up to 55 bytes are told by what is added.
const STRING: u8 = 0x80;
const LIST: u8 = 0xc0;
const SHORT: usize = 55;

pub(super) fn rlp_encode(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let mut out = Vec::new();
    let value = args.take(0);
    write(&value, &mut out, 0)
        .map_err(|problem| ApiError::usage(format!("{}: {problem}", args.call)))?;
    Ok(Value::Bytes(out.into()))
}

pub(super) fn rlp_decode(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let data = args.bytes(0)?;
    let mut reader = Reader { data: &data, at: 0 };
    let read = reader.item(0).and_then(|value| match data.len() - reader.at {
        0 => Ok(value),
        left => Err(format!("{left} bytes follow the end of the item")),
    });
    read.map_err(|problem| ApiError::usage(format!("{}: {problem}", args.call)))
}

fn write(value: &Value, out: &mut Vec<u8>, depth: usize) -> Result<(), String> {
    match value {
        Value::Text(text) => string(text.as_bytes(), out),
        Value::Bytes(bytes) => string(bytes, out),
        // Numbers are byte strings, most significant byte first, without zeros before it.
        Value::Int(number) if *number >= 0 => {
            let bytes = number.to_be_bytes();
            let zeros = number.leading_zeros() as usize / 8;
            string(&bytes[zeros..], out);
        }
        Value::List(_) | Value::Map(_) if depth == DEPTH_MAX => {
            return Err(format!("lists are nested more than {DEPTH_MAX} deep"));
        }
        Value::List(items) => {
            let mut payload = Vec::new();
            for item in items {
                write(item, &mut payload, depth + 1)?;
            }
            head(LIST, payload.len(), out);
            out.extend(payload);
        }
        // An empty table may arrive as either.
        Value::Map(map) if map.is_empty() => head(LIST, 0, out),
        Value::Int(number) => return Err(format!("RLP has no form for {number}")),
        other => {
            return Err(format!(
                "RLP takes strings, bytes, whole numbers of at least 0 and arrays of these, got {}",
                other.type_name()
            ));
        }
    }
    Ok(())
}

fn string(bytes: &[u8], out: &mut Vec<u8>) {
    match bytes {
        [byte] if *byte < STRING => out.push(*byte),
        _ => {
            head(STRING, bytes.len(), out);
            out.extend(bytes);
        }
    }
}

/// Writes what stands before a payload.
fn head(kind: u8, length: usize, out: &mut Vec<u8>) {
    if length <= SHORT {
        out.push(kind + length as u8);
        return;
    }
    let bytes = length.to_be_bytes();
    let bytes = &bytes[length.leading_zeros() as usize / 8..];
    out.push(kind + SHORT as u8 + bytes.len() as u8);
    out.extend(bytes);
}

/// Reads items; what is not the only form of a value is an error, as it is in Ethereum.
struct Reader<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn item(&mut self, depth: usize) -> Result<Value, String> {
        let place = self.at + 1;
        let first = self.take(1, place)?[0];
        if first < STRING {
            return Ok(Value::Bytes(vec![first].into()));
        }
        let kind = if first < LIST { STRING } else { LIST };
        let length = self.length(usize::from(first - kind), place)?;
        let payload = self.take(length, place)?;
        if kind == STRING {
            if length == 1 && payload[0] < STRING {
                return Err(format!("the byte at {place} needs no length before it"));
            }
            return Ok(Value::Bytes(payload.to_vec().into()));
        }
        if depth == DEPTH_MAX {
            return Err(format!("lists are nested more than {DEPTH_MAX} deep"));
        }
        let end = self.at;
        // Only what is in the list may be read: the data ends with it.
        let mut inner = Reader { data: &self.data[..end], at: end - length };
        let mut items = Vec::new();
        while inner.at < end {
            items.push(inner.item(depth + 1)?);
        }
        Ok(Value::List(items))
    }

    /// Reads a payload's length; `told` is what its first byte says beyond the kind.
    fn length(&mut self, told: usize, place: usize) -> Result<usize, String> {
        if told <= SHORT {
            return Ok(told);
        }
        let bytes = self.take(told - SHORT, place)?;
        let length = bytes.iter().try_fold(0_usize, |sum, byte| {
            sum.checked_mul(256).map(|sum| sum + usize::from(*byte))
        });
        let length = length.ok_or_else(|| format!("the item at {place} is too long"))?;
        if bytes[0] == 0 || length <= SHORT {
            return Err(format!("the length at {place} is not written in its shortest form"));
        }
        Ok(length)
    }

    fn take(&mut self, count: usize, place: usize) -> Result<&'a [u8], String> {
        let taken = self.data[self.at..].get(..count);
        let taken = taken.ok_or_else(|| format!("the item at {place} has no end"))?;
        self.at += count;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::super::fixture::{digits, run};
    use super::super::unhex;
    use super::*;
    use crate::api::fixture::{map, message};

    fn decode(data: &str) -> Result<Value, ApiError> {
        run("rlp_decode", vec![Value::Bytes(unhex(data.as_bytes()).unwrap().into())])
    }

    fn bytes(text: &'static str) -> Value {
        Value::Bytes(Bytes::from_static(text.as_bytes()))
    }

    /// The examples of ethereum.org's page on RLP, and of the tests of Ethereum (rlptest.json).
    #[test]
    fn rlp_has_ethereum_s_answers() {
        let list = Value::List;
        let lorem = "Lorem ipsum dolor sit amet, consectetur adipisicing elit";
        let lorem_coded = format!("b838{}", super::super::hex(lorem.as_bytes()));
        let nested = list(vec![
            list(vec![]),
            list(vec![list(vec![])]),
            list(vec![list(vec![]), list(vec![list(vec![])])]),
        ]);
        for (value, coded) in [
            ("dog".into(), "83646f67"),
            (list(vec!["cat".into(), "dog".into()]), "c88363617483646f67"),
            ("".into(), "80"),
            (list(vec![]), "c0"),
            (map([]), "c0"),
            (Value::Int(0), "80"),
            ("\0".into(), "00"),
            (Value::Int(15), "0f"),
            (Value::Int(127), "7f"),
            (Value::Int(128), "8180"),
            (Value::Int(1024), "820400"),
            (Value::Int(100_000), "830186a0"),
            (nested, "c7c0c1c0c3c0c1c0"),
            (lorem.into(), &*lorem_coded),
        ] {
            assert_eq!(digits("rlp_encode", vec![value]), coded);
        }
        assert_eq!(decode("c88363617483646f67").unwrap(), list(vec![bytes("cat"), bytes("dog")]));
        assert_eq!(decode(&lorem_coded).unwrap(), bytes(lorem));
        assert_eq!(decode("c0").unwrap(), list(vec![]));
    }

    #[test]
    fn only_the_one_form_of_a_value_is_read() {
        for (data, problem) in [
            ("", "the item at 1 has no end"),
            ("83646f", "the item at 1 has no end"),
            ("c283", "the item at 1 has no end"),
            ("c283646f67", "the item at 2 has no end"),
            ("8100", "the byte at 1 needs no length before it"),
            ("b800", "the length at 1 is not written in its shortest form"),
            ("b80161", "the length at 1 is not written in its shortest form"),
            ("bfffffffffffffffff", "the item at 1 has no end"),
            ("8080", "1 bytes follow the end of the item"),
        ] {
            assert_eq!(message(decode(data)), format!("encoding.rlp_decode: {problem}"), "{data}");
        }
        // 200 lists in each other.
        let mut deep = vec![LIST];
        for _ in 0..200 {
            let mut outer = Vec::new();
            head(LIST, deep.len(), &mut outer);
            outer.extend(&deep);
            deep = outer;
        }
        assert_eq!(
            message(run("rlp_decode", vec![Value::Bytes(deep.into())])),
            "encoding.rlp_decode: lists are nested more than 127 deep"
        );
    }

    #[test]
    fn what_has_no_form_is_named() {
        for (value, problem) in [
            (Value::Int(-1), "RLP has no form for -1"),
            (
                Value::List(vec![Value::Number(1.5)]),
                "RLP takes strings, bytes, whole numbers of at least 0 and arrays of these, got a \
                 number",
            ),
            (
                map([("a", 1_i64.into())]),
                "RLP takes strings, bytes, whole numbers of at least 0 and arrays of these, got a \
                 table",
            ),
        ] {
            let said = message(run("rlp_encode", vec![value]));
            assert_eq!(said, format!("encoding.rlp_encode: {problem}"));
        }
    }

    fn trees() -> impl Strategy<Value = Value> {
        let leaf = proptest::collection::vec(any::<u8>(), 0..70)
            .prop_map(|bytes| Value::Bytes(bytes.into()));
        leaf.prop_recursive(4, 40, 6, |inner| {
            proptest::collection::vec(inner, 0..6).prop_map(Value::List)
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(value in trees()) {
            let coded = run("rlp_encode", vec![value.clone()]).unwrap();
            prop_assert_eq!(run("rlp_decode", vec![coded]).unwrap(), value);
        }

        #[test]
        fn no_bytes_are_read_as_what_is_written_otherwise(
            data in proptest::collection::vec(any::<u8>(), 0..60),
        ) {
            let data = Value::Bytes(data.into());
            if let Ok(value) = run("rlp_decode", vec![data.clone()]) {
                prop_assert_eq!(run("rlp_encode", vec![value]).unwrap(), data);
            }
        }
    }
}

//! Whole numbers of any size as bytes: amounts in wei, words of an ABI, fields of a transaction.
//!
//! Scripts write numbers beyond what their language holds as text, in decimal or `0x` digits.

use std::rc::Rc;

use super::hex::digit;
use crate::api::{ApiError, Args, Value, VuContext};

/// The most bytes of a number: twice those of Ethereum's largest.
const LENGTH_MAX: usize = 64;

/// The most digits of a number: 64 bytes have 155 decimal ones.
const DIGITS_MAX: usize = 155;

pub(super) fn encode(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let wrong = |call: &str, problem: String| ApiError::usage(format!("{call}: {problem}"));
    let value = args.take(0);
    let (negative, mut bytes) = magnitude(&value)
        .ok_or_else(|| args.wrong(0, WANTED, &value))?
        .map_err(|problem| wrong(&args.call, problem))?;
    let mut fields = args.fields(1, &["length", "endian"])?;
    let length = fields.count("length")?;
    let little = little(&mut fields)?;
    if let Some(length) = length {
        let length = usize::try_from(length).ok().filter(|length| *length <= LENGTH_MAX);
        let length = length
            .ok_or_else(|| wrong(&args.call, format!("a number has up to {LENGTH_MAX} bytes")))?;
        bytes = padded(negative, &bytes, length).map_err(|problem| wrong(&args.call, problem))?;
    } else if negative {
        let problem = "a number below 0 needs `length`, the bytes that it takes";
        return Err(wrong(&args.call, problem.to_owned()));
    }
    if little {
        bytes.reverse();
    }
    Ok(Value::Bytes(bytes.into()))
}

pub(super) fn decode(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let mut bytes = args.bytes(0)?.to_vec();
    let mut fields = args.fields(1, &["endian", "signed"])?;
    let little = little(&mut fields)?;
    let signed = fields.bool("signed")?.unwrap_or(false);
    if bytes.len() > LENGTH_MAX {
        return Err(ApiError::usage(format!(
            "{}: a number has up to {LENGTH_MAX} bytes, got {}",
            args.call,
            bytes.len()
        )));
    }
    if little {
        bytes.reverse();
    }
    let negative = signed && bytes.first().is_some_and(|first| *first >= 0x80);
    if negative {
        negate(&mut bytes);
    }
    let digits = decimal(bytes);
    Ok(if negative { format!("-{digits}") } else { digits }.into())
}

const WANTED: &str = "a whole number, or one as text in decimal or 0x digits";

/// Reads whether the least significant byte comes first.
fn little(fields: &mut crate::api::Fields) -> Result<bool, ApiError> {
    let endian = fields.text("endian")?;
    match endian.as_ref().map(|name| name.to_str()).as_deref() {
        None | Some("big") => Ok(false),
        Some("little") => Ok(true),
        Some(other) => Err(ApiError::usage(format!(
            "{}: `endian` must be \"big\" or \"little\", got \"{other}\"",
            fields.place
        ))),
    }
}

/// A sign, and bytes from the most significant on, without zeros before them.
type Magnitude = (bool, Vec<u8>);

/// Returns a number's sign and bytes; `None` if the value is neither a number nor text.
fn magnitude(value: &Value) -> Option<Result<Magnitude, String>> {
    match value {
        Value::Int(number) => {
            let bytes = number.unsigned_abs().to_be_bytes();
            Some(Ok((*number < 0, trimmed(&bytes))))
        }
        Value::Number(number) if number.trunc() == *number => Some(Err(format!(
            "{number} is beyond 2^53, where numbers are not exact: write it as text"
        ))),
        Value::Number(number) => Some(Err(format!("{number} is no whole number"))),
        Value::Text(text) => Some(written(&text.to_str())),
        _ => None,
    }
}

/// Reads decimal or `0x` digits, with `-` before them or not.
fn written(text: &str) -> Result<Magnitude, String> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (radix, digits) = match digits.strip_prefix("0x") {
        Some(digits) => (16, digits),
        None => (10, digits),
    };
    let worth = |byte: u8| digit(byte).filter(|worth| *worth < radix);
    let shown: String = text.chars().take(40).collect();
    if digits.is_empty() || !digits.bytes().all(|byte| worth(byte).is_some()) {
        return Err(format!("\"{shown}\" is no whole number in decimal or 0x digits"));
    }
    let mut bytes = Vec::new();
    let digits = digits.trim_start_matches('0');
    for worth in digits.bytes().take(DIGITS_MAX).filter_map(worth) {
        add(&mut bytes, radix, worth);
    }
    if digits.len() > DIGITS_MAX || bytes.len() > LENGTH_MAX {
        return Err(format!("\"{shown}…\" is too large: a number has up to {LENGTH_MAX} bytes"));
    }
    bytes.reverse();
    let negative = negative && !bytes.is_empty();
    Ok((negative, bytes))
}

/// Multiplies a number, least significant byte first, and adds a digit.
fn add(bytes: &mut Vec<u8>, radix: u8, digit: u8) {
    let mut carry = u16::from(digit);
    for byte in &mut *bytes {
        let sum = u16::from(*byte) * u16::from(radix) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    if carry > 0 {
        bytes.push(carry as u8);
    }
}

fn trimmed(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().skip_while(|byte| *byte == 0).collect()
}

/// Returns a number in so many bytes, as two's complement below 0.
fn padded(negative: bool, bytes: &[u8], length: usize) -> Result<Vec<u8>, String> {
    let too_large = || format!("the number does not fit into {length} bytes");
    let zeros = length.checked_sub(bytes.len()).ok_or_else(too_large)?;
    let mut padded = vec![0; zeros];
    padded.extend(bytes);
    if negative {
        negate(&mut padded);
        // What is less than the least number would look like one above 0.
        if padded.first().is_none_or(|first| *first < 0x80) {
            return Err(too_large());
        }
    }
    Ok(padded)
}

/// Turns a number into its two's complement.
fn negate(bytes: &mut [u8]) {
    let mut carry = true;
    for byte in bytes.iter_mut().rev() {
        (*byte, carry) = (!*byte).overflowing_add(u8::from(carry));
    }
}

/// Returns a number's decimal digits.
fn decimal(mut bytes: Vec<u8>) -> String {
    let mut digits = Vec::new();
    while bytes.iter().any(|byte| *byte > 0) {
        let mut rest = 0_u16;
        for byte in &mut bytes {
            let part = rest << 8 | u16::from(*byte);
            *byte = (part / 10) as u8;
            rest = part % 10;
        }
        digits.push(char::from(b'0' + rest as u8));
    }
    if digits.is_empty() {
        digits.push('0');
    }
    digits.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixture::{digits, run, text};
    use super::super::unhex;
    use super::*;
    use crate::api::fixture::{map, message};

    fn bytes(digits: &str) -> Value {
        Value::Bytes(unhex(digits.as_bytes()).unwrap().into())
    }

    const LARGEST: &str =
        "115792089237316195423570985008687907853269984665640564039457584007913129639935";

    #[test]
    fn numbers_become_bytes_and_digits() {
        for (value, coded) in [
            (Value::Int(0), ""),
            (Value::Int(1), "01"),
            (Value::Int(256), "0100"),
            (Value::Int(i64::MAX), "7fffffffffffffff"),
            ("0".into(), ""),
            ("000".into(), ""),
            ("1000000000000000000".into(), "0de0b6b3a7640000"),
            ("0x00fF".into(), "ff"),
            (LARGEST.into(), &"ff".repeat(32)),
        ] {
            assert_eq!(digits("int_encode", vec![value.clone()]), coded, "{value:?}");
        }
        assert_eq!(text("int_decode", vec![bytes(&"ff".repeat(32))]), LARGEST);
        assert_eq!(text("int_decode", vec![bytes("")]), "0");
        assert_eq!(text("int_decode", vec![bytes("0000")]), "0");
    }

    #[test]
    fn length_order_and_sign_are_as_told() {
        let length = |length: i64| map([("length", length.into())]);
        assert_eq!(digits("int_encode", vec![Value::Int(69), length(4)]), "00000045");
        assert_eq!(digits("int_encode", vec![Value::Int(-1), length(2)]), "ffff");
        assert_eq!(digits("int_encode", vec!["-128".into(), length(1)]), "80");
        assert_eq!(digits("int_encode", vec!["-0".into()]), "");
        let little = map([("length", 8_i64.into()), ("endian", "little".into())]);
        assert_eq!(digits("int_encode", vec![Value::Int(49), little]), "3100000000000000");
        let little = map([("endian", "little".into())]);
        assert_eq!(text("int_decode", vec![bytes("3101000000000000"), little]), "305");
        let signed = || map([("signed", true.into())]);
        assert_eq!(text("int_decode", vec![bytes("80"), signed()]), "-128");
        assert_eq!(text("int_decode", vec![bytes("7f"), signed()]), "127");
        assert_eq!(text("int_decode", vec![bytes("")]), "0");
    }

    #[test]
    fn what_is_no_number_or_does_not_fit_is_named() {
        let length = |length: i64| map([("length", length.into())]);
        for (values, problem) in [
            (vec![Value::Int(256), length(1)], "the number does not fit into 1 bytes"),
            (vec![Value::Int(-129), length(1)], "the number does not fit into 1 bytes"),
            (vec![Value::Int(-1), length(0)], "the number does not fit into 0 bytes"),
            (vec![Value::Int(1), length(65)], "a number has up to 64 bytes"),
            (vec![Value::Int(-1)], "a number below 0 needs `length`, the bytes that it takes"),
            (vec![Value::Number(1.5)], "1.5 is no whole number"),
            (
                vec![Value::Number(1e18)],
                "1000000000000000000 is beyond 2^53, where numbers are not exact: write it as text",
            ),
            (vec!["1e18".into()], "\"1e18\" is no whole number in decimal or 0x digits"),
            (vec!["".into()], "\"\" is no whole number in decimal or 0x digits"),
            (vec!["0x".into()], "\"0x\" is no whole number in decimal or 0x digits"),
            (
                vec![true.into()],
                "argument 1 (value) must be a whole number, or one as text in decimal or 0x digits, \
                 got a boolean",
            ),
            (
                vec![Value::Int(1), map([("endian", "middle".into())])],
                "options: `endian` must be \"big\" or \"little\", got \"middle\"",
            ),
        ] {
            let said = message(run("int_encode", values));
            assert_eq!(said, format!("encoding.int_encode: {problem}"));
        }
        for long in ["9".repeat(10_000), format!("0x{}", "f".repeat(129)), "9".repeat(155)] {
            let said = message(run("int_encode", vec![long.into()]));
            assert!(said.ends_with("…\" is too large: a number has up to 64 bytes"), "{said}");
        }
    }

    proptest! {
        #[test]
        fn numbers_survive_the_way_there_and_back(number: i128, little: bool) {
            let endian = || if little { "little" } else { "big" };
            let options = map([("length", 16_i64.into()), ("endian", endian().into())]);
            let coded = run("int_encode", vec![number.to_string().into(), options]).unwrap();
            let plain = if little { number.to_le_bytes() } else { number.to_be_bytes() };
            prop_assert_eq!(&coded, &Value::Bytes(plain.to_vec().into()));
            let options = map([("signed", true.into()), ("endian", endian().into())]);
            prop_assert_eq!(text("int_decode", vec![coded, options]), number.to_string());
        }
    }
}

//! UTF-8: text as bytes and back.

use std::rc::Rc;

use crate::api::{ApiError, Args, Text, Value, VuContext};

pub(super) fn utf8_encode(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    Ok(Value::Bytes(args.text(0)?.into_bytes()))
}

pub(super) fn utf8_decode(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let bytes = args.bytes(0)?;
    let lossy = args.fields(1, &["lossy"])?.bool("lossy")?.unwrap_or(false);
    match std::str::from_utf8(&bytes) {
        Ok(_) => Ok(Value::Text(Text::from_bytes(bytes))),
        Err(_) if lossy => Ok(String::from_utf8_lossy(&bytes).into_owned().into()),
        Err(error) => Err(ApiError::usage(format!(
            "{}: the bytes are no UTF-8 from byte {} on; `lossy = true` replaces what is none",
            args.call,
            error.valid_up_to() + 1
        ))),
    }
}

pub(super) fn utf8_valid(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    Ok(std::str::from_utf8(&args.bytes(0)?).is_ok().into())
}

pub(super) fn utf8_length(_: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let bytes = args.bytes(0)?;
    Ok(String::from_utf8_lossy(&bytes).chars().count().try_into().map_or(Value::Nil, Value::Int))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::fixture::{digits, run};
    use crate::api::Value;
    use crate::api::fixture::{map, message};

    #[test]
    fn utf8_counts_characters() {
        assert_eq!(run("utf8_length", vec!["aé😀".into()]).unwrap(), Value::Int(3));
        assert_eq!(run("utf8_valid", vec!["é".into()]).unwrap(), true.into());
        let broken = Value::Bytes(Bytes::from_static(b"a\xff"));
        assert_eq!(run("utf8_valid", vec![broken.clone()]).unwrap(), false.into());
        assert_eq!(run("utf8_length", vec![broken]).unwrap(), Value::Int(2));
    }

    #[test]
    fn text_is_bytes_and_bytes_are_text_if_they_are_utf8() {
        assert_eq!(digits("utf8_encode", vec!["é€".into()]), "c3a9e282ac");
        let bytes = Value::Bytes(Bytes::from_static("é€".as_bytes()));
        assert_eq!(run("utf8_decode", vec![bytes]).unwrap(), "é€".into());
        let broken = Value::Bytes(Bytes::from_static(b"ab\xffc"));
        assert_eq!(
            message(run("utf8_decode", vec![broken.clone()])),
            "encoding.utf8_decode: the bytes are no UTF-8 from byte 3 on; `lossy = true` replaces \
             what is none"
        );
        let lossy = map([("lossy", true.into())]);
        assert_eq!(run("utf8_decode", vec![broken, lossy]).unwrap(), "ab\u{fffd}c".into());
    }
}

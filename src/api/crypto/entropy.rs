//! Bytes and UUIDs from the operating system's random source.

use std::rc::Rc;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use rand::TryRng;
use rand::rngs::SysRng;
use uuid::Builder;

use crate::api::{ApiError, Args, ErrorKind, Value, VuContext};
use crate::clock;

pub(super) fn random_bytes(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let count = count(vu, &mut args, 0)?;
    let mut bytes = vec![0; count];
    fill(&args, &mut bytes)?;
    Ok(Value::Bytes(Bytes::from(bytes)))
}

/// Takes a number of bytes or characters that one text may have.
pub(in crate::api) fn count(
    vu: &VuContext,
    args: &mut Args,
    index: usize,
) -> Result<usize, ApiError> {
    let count = args.int(index)?;
    let most = vu.worker.plan.limits.string_bytes;
    match usize::try_from(count) {
        Ok(count) if count <= most => Ok(count),
        Ok(count) => Err(ApiError::new(
            ErrorKind::Size,
            format!("{}: {count} is more than the {most} bytes that a string may have", args.call),
        )),
        Err(_) => {
            let name = args.params.get(index).map_or("", |name| name.trim_end_matches('?'));
            Err(ApiError::usage(format!(
                "{}: argument {} ({name}) must be at least 0, got {count}",
                args.call,
                index + 1
            )))
        }
    }
}

/// Fills bytes from the operating system's random source.
pub(super) fn fill(args: &Args, bytes: &mut [u8]) -> Result<(), ApiError> {
    SysRng.try_fill_bytes(bytes).map_err(|error| {
        ApiError::usage(format!("{}: the system gives no random bytes: {error}", args.call))
    })
}

pub(super) fn uuid_v4(args: &Args) -> Result<Value, ApiError> {
    let mut bytes = [0; 16];
    fill(args, &mut bytes)?;
    Ok(Builder::from_random_bytes(bytes).into_uuid().to_string().into())
}

pub(super) fn uuid_v7(args: &Args) -> Result<Value, ApiError> {
    let mut bytes = [0; 10];
    fill(args, &mut bytes)?;
    let since = clock::wall().duration_since(UNIX_EPOCH).unwrap_or_default();
    let uuid = Builder::from_unix_timestamp_millis(since.as_millis() as u64, &bytes).into_uuid();
    Ok(uuid.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{run, text};
    use super::*;
    use crate::api::fixture::message;

    #[test]
    fn random_bytes_have_the_length_asked_for_within_limits() {
        let get = |count| run("random_bytes", vec![Value::Int(count)]);
        let (a, b) = (get(32).unwrap(), get(32).unwrap());
        assert!(matches!(&a, Value::Bytes(bytes) if bytes.len() == 32));
        assert_ne!(a, b);
        assert_eq!(
            message(get(-1)),
            "crypto.random_bytes: argument 1 (count) must be at least 0, got -1"
        );
        let error = get((1 << 20) + 1).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Size);
        assert_eq!(
            error.message,
            "crypto.random_bytes: 1048577 is more than the 1048576 bytes that a string may have"
        );
    }

    #[test]
    fn uuids_carry_version_and_variant() {
        for (name, version) in [("uuid", 4), ("uuid_v4", 4), ("uuid_v7", 7)] {
            let (a, b) = (text(name, vec![]), text(name, vec![]));
            assert_ne!(a, b);
            let uuid = uuid::Uuid::parse_str(&a).unwrap();
            assert_eq!(uuid.get_version_num(), version);
            assert_eq!(uuid.get_variant(), uuid::Variant::RFC4122);
        }
        let stamp = uuid::Uuid::parse_str(&text("uuid_v7", vec![])).unwrap().get_timestamp();
        let now = clock::wall().duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert!(now.abs_diff(stamp.unwrap().to_unix().0) < 60);
    }
}

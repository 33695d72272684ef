//! What one call asks for several times: in an array, or in a table with names.

use super::{ApiError, Args, Name, Value};

/// The names of a batch's items, if the author gave them.
pub(super) struct Names(Option<Vec<Name>>);

/// Reads the first argument: an array or a table of what is `one` in messages. A function reads each
/// item, and is told its place for messages.
///
/// # Errors
/// If it is neither, or an item cannot be read.
pub(super) fn read<T>(
    args: &mut Args,
    one: &str,
    mut item: impl FnMut(String, Value) -> Result<T, ApiError>,
) -> Result<(Names, Vec<T>), ApiError> {
    let (names, values): (Option<Vec<Name>>, Vec<Value>) = match args.take(0) {
        Value::List(list) => (None, list),
        Value::Map(map) => {
            let (names, values) = map.into_iter().unzip();
            (Some(names), values)
        }
        other => return Err(args.wrong(0, &format!("an array or a table of {one}s"), &other)),
    };
    let mut items = Vec::with_capacity(values.len());
    for (index, value) in values.into_iter().enumerate() {
        let place = match &names {
            Some(names) => format!("{}: {one} `{}`", args.call, names[index]),
            None => format!("{}: {one} {}", args.call, index + 1),
        };
        items.push(item(place, value)?);
    }
    Ok((Names(names), items))
}

impl Names {
    /// Returns answers in the shape in which they were asked for.
    pub(super) fn answer(self, answers: Vec<Value>) -> Value {
        match self.0 {
            None => Value::List(answers),
            Some(names) => Value::Map(names.into_iter().zip(answers).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::map;
    use super::*;

    fn read_as_text(value: Value) -> Result<Value, String> {
        let mut args = Args::new("x.batch", &["items"], vec![value]);
        let text = |place: String, value: Value| match value.as_text() {
            Some(text) => Ok(format!("{place} {text}").into()),
            None => Err(ApiError::usage(format!("{place} is no text"))),
        };
        let (names, items) = read(&mut args, "item", text).map_err(|error| error.message)?;
        Ok(names.answer(items))
    }

    #[test]
    fn answers_have_the_shape_in_which_they_were_asked_for() {
        let list = Value::List(vec!["a".into(), "b".into()]);
        let answers = ["x.batch: item 1 a", "x.batch: item 2 b"].map(Value::from);
        assert_eq!(read_as_text(list), Ok(Value::List(answers.to_vec())));
        let named = map([("one", "a".into()), ("two", "b".into())]);
        let answers =
            map([("one", "x.batch: item `one` a".into()), ("two", "x.batch: item `two` b".into())]);
        assert_eq!(read_as_text(named), Ok(answers));
    }

    #[test]
    fn what_cannot_be_read_has_its_place() {
        let second = Value::List(vec!["a".into(), Value::Int(1)]);
        assert_eq!(read_as_text(second).unwrap_err(), "x.batch: item 2 is no text");
        let named = map([("one", Value::Int(1))]);
        assert_eq!(read_as_text(named).unwrap_err(), "x.batch: item `one` is no text");
        assert_eq!(
            read_as_text(Value::Int(1)).unwrap_err(),
            "x.batch: argument 1 (items) must be an array or a table of items, got a number"
        );
    }
}

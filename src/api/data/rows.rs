//! Rows: a text and where each of its rows begins, one for all VUs and workers.

use super::csv::{self, Header, Table};
use super::{Mistake, json};
use crate::api::{Map, Name, Value};

/// Rows that lie natively: their bytes as they were read, and four bytes per row. A row becomes a
/// script's value when it is asked for.
#[derive(Debug)]
pub(super) struct Rows {
    /// What tells them from others in a test: the file and how it was read, or the array's name.
    id: String,
    /// What messages call them.
    name: String,
    form: Form,
    text: String,
    /// Where each row begins in the text.
    starts: Vec<u32>,
}

/// How a row is read.
#[derive(Debug)]
enum Form {
    /// Fields; with names, if the columns have any.
    Csv { columns: Option<Vec<Name>>, delimiter: u8 },
    /// A JSON value.
    Json,
    /// A line of text.
    Lines,
}

/// What a JSON file holds.
pub(super) enum Document {
    /// An array: its elements are rows.
    Rows(Rows),
    /// Another value: its text.
    Value(String),
}

impl Rows {
    /// Reads CSV.
    ///
    /// # Errors
    /// If it is malformed.
    pub(super) fn csv(name: Naming, text: String, options: CsvOptions) -> Result<Self, Mistake> {
        let delimiter = options.delimiter;
        let Table { columns, starts } = csv::index(&text, delimiter, options.header)?;
        Ok(Self::new(name, Form::Csv { columns, delimiter }, text, starts))
    }

    /// Reads a JSON document.
    ///
    /// # Errors
    /// If it is malformed.
    pub(super) fn json(name: Naming, text: String) -> Result<Document, Mistake> {
        Ok(match json::elements(&text)? {
            Some(starts) => Document::Rows(Self::new(name, Form::Json, text, starts)),
            None => Document::Value(text),
        })
    }

    /// Reads a JSON value per line.
    ///
    /// # Errors
    /// If one is malformed.
    pub(super) fn jsonl(name: Naming, text: String) -> Result<Self, Mistake> {
        let starts = json::lines(&text)?;
        Ok(Self::new(name, Form::Json, text, starts))
    }

    /// Takes lines as they are, empty ones too.
    pub(super) fn lines(name: Naming, text: String) -> Self {
        let mut starts = Vec::new();
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            starts.push(start as u32);
            start += line.len();
        }
        starts.shrink_to_fit();
        Self::new(name, Form::Lines, text, starts)
    }

    /// Keeps values that a script made, each as JSON; `writable` has checked them.
    ///
    /// # Errors
    /// If they are too large.
    pub(super) fn values(name: Naming, values: &[Value]) -> Result<Self, String> {
        let mut text = Vec::new();
        let mut starts = Vec::with_capacity(values.len());
        for value in values {
            let Ok(start) = u32::try_from(text.len()) else {
                return Err("an array may have 4 GiB as JSON".to_owned());
            };
            starts.push(start);
            serde_json::to_writer(&mut text, value).expect("it was found to be writable");
            text.push(b'\n');
        }
        text.shrink_to_fit();
        let text = String::from_utf8(text).expect("serde_json writes UTF-8");
        Ok(Self::new(name, Form::Json, text, starts))
    }

    fn new(name: Naming, form: Form, text: String, starts: Vec<u32>) -> Self {
        Self { id: name.id, name: name.name, form, text, starts }
    }

    /// Returns what tells them from others in a test.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Returns what messages call them.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns how many there are.
    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    /// Returns the bytes that they take.
    pub(super) fn bytes(&self) -> u64 {
        self.text.capacity() as u64 + 4 * self.starts.capacity() as u64
    }

    /// Returns the columns' names, if they have any.
    pub(super) fn columns(&self) -> Option<&[Name]> {
        match &self.form {
            Form::Csv { columns, .. } => columns.as_deref(),
            Form::Json | Form::Lines => None,
        }
    }

    /// Returns a row by its place from 0; nothing if there is none.
    pub(super) fn get(&self, place: usize) -> Value {
        let Some(start) = self.starts.get(place).copied() else { return Value::Nil };
        match &self.form {
            Form::Json => json::value(&self.text, start),
            Form::Lines => {
                let line = self.text[start as usize..].lines().next();
                line.unwrap_or_default().into()
            }
            Form::Csv { columns: None, delimiter } => {
                let mut fields = Vec::new();
                csv::fields(&self.text, *delimiter, start, |field| {
                    fields.push(Value::text(&*field.text()));
                });
                Value::List(fields)
            }
            Form::Csv { columns: Some(columns), delimiter } => {
                let mut row = Map::with_capacity(columns.len());
                let mut names = columns.iter();
                csv::fields(&self.text, *delimiter, start, |field| {
                    let name = names.next().cloned().unwrap_or_default();
                    row.push(name, Value::text(&*field.text()));
                });
                Value::Map(row)
            }
        }
    }
}

/// What rows are called.
pub(super) struct Naming {
    /// What tells them from others in a test.
    pub(super) id: String,
    /// What messages call them.
    pub(super) name: String,
}

/// How CSV is written.
pub(super) struct CsvOptions {
    /// What the first line is.
    pub(super) header: Header,
    /// What separates fields.
    pub(super) delimiter: u8,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naming() -> Naming {
        Naming { id: "a".to_owned(), name: "a".to_owned() }
    }

    fn shown(rows: &Rows) -> Vec<String> {
        (0..rows.len()).map(|place| rows.get(place).to_json().to_string()).collect()
    }

    #[test]
    fn rows_become_values_when_they_are_asked_for() {
        let options = |header| CsvOptions { header, delimiter: b',' };
        let text = "id,name\r\n1,\"Ada \"\"A\"\"\"\r\n2,Bob\r\n";
        let rows = Rows::csv(naming(), text.to_owned(), options(Header::First)).unwrap();
        let wanted =
            ["{\"id\":\"1\",\"name\":\"Ada \\\"A\\\"\"}", "{\"id\":\"2\",\"name\":\"Bob\"}"];
        assert_eq!(shown(&rows), wanted);
        assert_eq!(rows.columns().unwrap(), ["id", "name"]);
        assert_eq!(rows.get(2), Value::Nil);
        let rows = Rows::csv(naming(), text.to_owned(), options(Header::None)).unwrap();
        assert_eq!(shown(&rows)[0], "[\"id\",\"name\"]");
        assert_eq!((rows.len(), rows.columns()), (3, None));
    }

    #[test]
    fn lines_are_what_stands_between_their_ends() {
        let rows = Rows::lines(naming(), "a\r\n\n b \nlast".to_owned());
        assert_eq!(shown(&rows), ["\"a\"", "\"\"", "\" b \"", "\"last\""]);
        assert_eq!(Rows::lines(naming(), String::new()).len(), 0);
        assert_eq!(shown(&Rows::lines(naming(), "\n".to_owned())), ["\"\""]);
    }

    #[test]
    fn what_a_script_made_is_kept_as_json() {
        let mut map = Map::new();
        map.push("text", "a\nb");
        let values = [Value::Int(1), Value::Map(map), Value::Null, Value::List(Vec::new())];
        let rows = Rows::values(naming(), &values).unwrap();
        assert_eq!(shown(&rows), ["1", "{\"text\":\"a\\nb\"}", "null", "[]"]);
    }

    #[test]
    fn many_rows_take_their_bytes_and_four_each() {
        let text = "17,Ada\n".repeat(10_000);
        let size = text.len() as u64;
        let options = CsvOptions { header: Header::None, delimiter: b',' };
        let rows = Rows::csv(naming(), text, options).unwrap();
        assert_eq!(rows.bytes(), size + 4 * 10_000);
    }
}

//! CSV as RFC 4180 has it, with the places of mistakes.
//!
//! Ends of lines are CRLF, LF or CR. A quoted field may hold delimiters, ends of lines, and quotes as
//! `""`. Empty lines do not count. What the RFC does not allow and would shift fields unseen, such as
//! a quoted field that is never closed, is a mistake; a quote inside an unquoted field is itself.

use std::borrow::Cow;

use super::Mistake;
use crate::api::Name;

/// What the first line of a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Header {
    /// The names of the columns.
    First,
    /// A row like the others; rows have no names.
    None,
    /// A row like the others; these are the names.
    Names(Vec<Name>),
}

/// Where a file's rows are, and what their fields are called.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Table {
    /// The names of the columns, if they have any.
    pub(super) columns: Option<Vec<Name>>,
    /// Where each row begins, in bytes.
    pub(super) starts: Vec<u32>,
}

/// A field as it stands in the text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'a> {
    raw: &'a str,
    /// Whether it holds quotes that are written twice.
    doubled: bool,
}

impl<'a> Field<'a> {
    /// Returns what it means.
    pub(super) fn text(self) -> Cow<'a, str> {
        if self.doubled {
            Cow::Owned(self.raw.replace("\"\"", "\""))
        } else {
            Cow::Borrowed(self.raw)
        }
    }
}

/// Finds the rows of a text of less than 4 GiB.
///
/// # Errors
/// If it is not what RFC 4180 describes, a row has more or fewer fields than there are columns, or
/// two columns have one name.
pub(super) fn index(text: &str, delimiter: u8, header: Header) -> Result<Table, Mistake> {
    let mut reader = Reader::new(text, delimiter, 0);
    let mut width = None;
    let columns = match header {
        Header::None => None,
        Header::Names(names) => Some(names),
        Header::First => {
            let mut names = Vec::new();
            reader.row(|field| names.push(Name::from(field.text())))?;
            Some(names)
        }
    };
    if let Some(names) = &columns {
        check_names(text, names)?;
        width = Some(names.len());
    }
    let mut starts = Vec::new();
    loop {
        let mut fields = 0;
        let Some(start) = reader.row(|_| fields += 1)? else { break };
        let wanted = *width.get_or_insert(fields);
        if fields != wanted {
            let than = if columns.is_some() { "there are" } else { "the first row has" };
            let problem = format!(
                "the row has {}, but {than} {wanted}{}; put fields that hold the delimiter in quotes",
                count(fields, "field"),
                if columns.is_some() { " columns" } else { "" },
            );
            return Err(Mistake::at(text, start, problem));
        }
        starts.push(start as u32);
    }
    starts.shrink_to_fit();
    Ok(Table { columns, starts })
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn check_names(text: &str, names: &[Name]) -> Result<(), Mistake> {
    for (index, name) in names.iter().enumerate() {
        if let Some(first) = names[..index].iter().position(|known| known == name) {
            let problem =
                format!("columns {} and {} are both called \"{name}\"", first + 1, index + 1);
            return Err(Mistake::at(text, 0, problem));
        }
    }
    Ok(())
}

/// Hands out the fields of the row that begins at a place, which [`index`] found.
pub(super) fn fields<'a>(text: &'a str, delimiter: u8, start: u32, take: impl FnMut(Field<'a>)) {
    let mut reader = Reader::new(text, delimiter, start as usize);
    let row = reader.row(take);
    debug_assert!(row.is_ok(), "the row was read before");
}

/// Reads a text row by row.
struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    delimiter: u8,
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, delimiter: u8, at: usize) -> Self {
        Self { text, bytes: text.as_bytes(), delimiter, at }
    }

    /// Hands out the fields of the next row and returns where it begins; nothing at the end.
    fn row(&mut self, mut take: impl FnMut(Field<'a>)) -> Result<Option<usize>, Mistake> {
        while matches!(self.peek(), Some(b'\r' | b'\n')) {
            self.at += 1;
        }
        if self.peek().is_none() {
            return Ok(None);
        }
        let start = self.at;
        loop {
            let field = if self.peek() == Some(b'"') { self.quoted()? } else { self.plain() };
            take(field);
            if self.peek() != Some(self.delimiter) {
                // The rest of the line's end is an empty line to the next row.
                return Ok(Some(start));
            }
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Reads up to the delimiter or the line's end.
    fn plain(&mut self) -> Field<'a> {
        let rest = &self.bytes[self.at..];
        let is_end = |byte: &u8| *byte == self.delimiter || matches!(byte, b'\r' | b'\n');
        let end = self.at + rest.iter().position(is_end).unwrap_or(rest.len());
        let raw = &self.text[self.at..end];
        self.at = end;
        Field { raw, doubled: false }
    }

    /// Reads a field in quotes, which begins here.
    fn quoted(&mut self) -> Result<Field<'a>, Mistake> {
        let open = self.at;
        let mut doubled = false;
        let mut at = open + 1;
        loop {
            let rest = &self.bytes[at..];
            let Some(quote) = rest.iter().position(|byte| *byte == b'"') else {
                let problem = "the quoted field that begins here is never closed";
                return Err(Mistake::at(self.text, open, problem));
            };
            at += quote + 1;
            if self.bytes.get(at) != Some(&b'"') {
                break;
            }
            doubled = true;
            at += 1;
        }
        self.at = at;
        match self.peek() {
            None | Some(b'\r' | b'\n') => {}
            Some(byte) if byte == self.delimiter => {}
            Some(_) => {
                let problem = "the field goes on after its closing quote; write a quote inside \
                               quotes as \"\"";
                return Err(Mistake::at(self.text, at, problem));
            }
        }
        Ok(Field { raw: &self.text[open + 1..at - 1], doubled })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns all rows as texts.
    fn rows(text: &str, delimiter: u8) -> Result<Vec<Vec<String>>, Mistake> {
        let table = index(text, delimiter, Header::None)?;
        let row = |start: &u32| {
            let mut row = Vec::new();
            fields(text, delimiter, *start, |field| row.push(field.text().into_owned()));
            row
        };
        Ok(table.starts.iter().map(row).collect())
    }

    fn mistake(text: &str, header: Header) -> String {
        let Mistake { line, column, problem } = index(text, b',', header).unwrap_err();
        format!("{line}:{column}: {problem}")
    }

    #[test]
    fn fields_are_what_rfc_4180_says() {
        let cases: &[(&str, &[&[&str]])] = &[
            ("", &[]),
            ("\r\n\n", &[]),
            ("a,b\r\nc,d\r\n", &[&["a", "b"], &["c", "d"]]),
            ("a,b\n\n\r\nc,d", &[&["a", "b"], &["c", "d"]]),
            ("a,b\rc,d\r", &[&["a", "b"], &["c", "d"]]),
            ("a,\n,b\n,\n", &[&["a", ""], &["", "b"], &["", ""]]),
            ("\"a,b\",\"c\nd\"\ne,f", &[&["a,b", "c\nd"], &["e", "f"]]),
            ("\"say \"\"hi\"\"\",\"\"\n\"\"\"\",x", &[&["say \"hi\"", ""], &["\"", "x"]]),
            ("5\" pipe, a \"b\"\n", &[&["5\" pipe", " a \"b\""]]),
            ("\"\"\n x \n", &[&[""], &[" x "]]),
            ("é,日本\n\u{1f600},ü", &[&["é", "日本"], &["\u{1f600}", "ü"]]),
        ];
        for (text, wanted) in cases {
            assert_eq!(rows(text, b',').unwrap(), *wanted, "{text:?}");
        }
        assert_eq!(rows("a;b,c\n", b';').unwrap(), [["a", "b,c"]]);
        assert_eq!(rows("a\tb\n", b'\t').unwrap(), [["a", "b"]]);
    }

    #[test]
    fn names_come_from_the_first_line_or_from_the_author() {
        let table = index("\n\"id\",name\n1,ada\n", b',', Header::First).unwrap();
        assert_eq!(table.columns.unwrap(), ["id", "name"]);
        assert_eq!(table.starts, [11]);
        let names = Header::Names(vec!["id".into(), "name".into()]);
        let table = index("1,ada\n2,bob\n", b',', names).unwrap();
        assert_eq!((table.columns.unwrap().len(), table.starts), (2, vec![0, 6]));
        let table = index("", b',', Header::First).unwrap();
        assert_eq!((table.columns.unwrap().len(), table.starts.len()), (0, 0));
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let ragged = "2:1: the row has 1 field, but there are 2 columns; put fields that hold the \
                      delimiter in quotes";
        assert_eq!(mistake("a,b\n1\n", Header::First), ragged);
        let wide = mistake("a,b\n\n\n1,2\n1,2,3\n", Header::First);
        assert!(wide.starts_with("5:1: the row has 3 fields, but there are 2 columns"), "{wide}");
        let ragged = mistake("a,b\nc\n", Header::None);
        assert!(
            ragged.starts_with("2:1: the row has 1 field, but the first row has 2"),
            "{ragged}"
        );
        assert_eq!(
            mistake("a,b\né,\"x\n1,2\n", Header::First),
            "2:3: the quoted field that begins here is never closed"
        );
        assert_eq!(
            mistake("a,b\n1,\"x\"y\n", Header::First),
            "2:6: the field goes on after its closing quote; write a quote inside quotes as \"\""
        );
        assert_eq!(
            mistake("id,name,id\n", Header::First),
            "1:1: columns 1 and 3 are both called \"id\""
        );
    }

    proptest! {
        /// The crate `csv` says what a text means, where it is as RFC 4180 has it.
        #[test]
        fn texts_mean_what_they_mean_to_others(
            records in prop::collection::vec(prop::collection::vec("[a\",;\r\n é]{0,4}", 3), 0..6),
            end in prop::sample::select(&["\n", "\r\n", "\r"][..]),
        ) {
            let quote = |field: &String| format!("\"{}\"", field.replace('"', "\"\""));
            let plain = |field: &String| !field.contains(['"', ',', '\r', '\n']);
            let line = |record: &Vec<String>| {
                let fields = record.iter();
                fields.map(|f| if plain(f) { f.clone() } else { quote(f) }).collect::<Vec<_>>()
                    .join(",") + end
            };
            let text: String = records.iter().map(line).collect();
            let mut oracle = csv::ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .from_reader(text.as_bytes());
            let known: Vec<Vec<String>> = oracle
                .records()
                .map(|record| record.unwrap().iter().map(str::to_owned).collect())
                .collect();
            prop_assert_eq!(&known, &records);
            prop_assert_eq!(rows(&text, b',').unwrap(), records);
        }

        #[test]
        fn no_text_is_too_odd(text in "[a\",\r\n é]{0,24}") {
            if let Ok(found) = rows(&text, b',') {
                prop_assert!(found.iter().all(|row| row.len() == found[0].len()));
            }
        }
    }
}

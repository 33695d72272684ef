//! The module `data`: rows from files, held once for all VUs, and feeds that hand them out.
//!
//! Files are read while the script is loaded for the first time, as metrics are declared. All later
//! loads, in whatever VU, find what was read.

use std::rc::Rc;
use std::sync::Arc;

use self::csv::Header;
use self::rows::{CsvOptions, Document, Naming, Rows};
use self::sets::Content;
pub use self::sets::DataSets;
use super::{
    Answer, ApiError, Args, Fields, Function, Method, Module, Name, Object, Phase, Run, Value,
    VuContext,
};
use crate::clock;

mod csv;
mod feed;
mod json;
mod rows;
mod sets;

pub(super) use self::feed::METHODS as FEED_METHODS;

/// The module.
pub(super) const MODULE: Module = Module {
    name: "data",
    functions: &[
        Function { name: "csv", params: &["path", "options?"], run: Run::Now(csv) },
        Function { name: "json", params: &["path"], run: Run::Now(json) },
        Function { name: "jsonl", params: &["path"], run: Run::Now(jsonl) },
        Function { name: "lines", params: &["path"], run: Run::Now(lines) },
        Function { name: "array", params: &["name", "function"], run: Run::Script },
        Function { name: "feed", params: &["rows", "way", "options?"], run: Run::Now(feed::feed) },
        // Parts of `array` for the adapters.
        Function { name: "_find_array", params: &["name"], run: Run::Now(find_array) },
        Function { name: "_keep_array", params: &["name", "items"], run: Run::Now(keep_array) },
    ],
    constants: &[],
};

/// The methods of rows.
pub(super) const ROWS_METHODS: &[Method] =
    &[Method { name: "item", params: &["place"], waits: false }];

/// A mistake in a file.
#[derive(Debug, PartialEq, Eq)]
struct Mistake {
    /// From 1.
    line: usize,
    /// In characters, from 1.
    column: usize,
    problem: String,
}

impl Mistake {
    /// Returns a mistake at a place, in bytes.
    fn at(text: &str, at: usize, problem: impl Into<String>) -> Self {
        let before = &text[..at];
        let line = 1 + before.matches('\n').count();
        let begin = before.rfind('\n').map_or(0, |end| end + 1);
        let column = 1 + before[begin..].chars().count();
        Self { line, column, problem: problem.into() }
    }

    /// Returns it as a message about a file.
    fn told(&self, path: &str) -> String {
        format!("{path}:{}:{}: {}", self.line, self.column, self.problem)
    }
}

/// Finds what a call declared when the script was loaded first, or declares it now.
fn declared(
    vu: &VuContext,
    call: &str,
    key: String,
    what: &str,
    declare: impl FnOnce(&DataSets) -> Result<Content, String>,
) -> Result<Value, ApiError> {
    let sets = Arc::clone(&vu.worker.data.borrow());
    if let Some(content) = sets.find(&key) {
        return handed_out(content);
    }
    let problem = |problem: String| ApiError::usage(format!("{call}: {problem}"));
    if vu.phase.get() != Phase::Load {
        return Err(problem(
            "data is read while the script loads: move this to the script's top level".to_owned(),
        ));
    }
    if !vu.worker.declaring.get() {
        return Err(problem(format!(
            "{what} was not there when the script was loaded first: what it reads must not depend on \
             the VU"
        )));
    }
    let began = clock::now();
    let content = declare(&sets)
        .unwrap_or_else(|problem| Content::Failed(format!("{call}: {problem}").into()));
    // Reading is not the script's time.
    vu.excused.set(vu.excused.get() + began.elapsed());
    sets.keep(key, content.clone()).map_err(problem)?;
    handed_out(&content)
}

fn handed_out(content: &Content) -> Result<Value, ApiError> {
    match content {
        Content::Rows(rows) => Ok(Value::object(RowsObject(Arc::clone(rows)))),
        Content::Document(text) => Ok(json::value(text, 0)),
        Content::Failed(problem) => Err(ApiError::usage(&**problem)),
    }
}

/// Reads a file's rows, unless they were read under another path.
fn file(
    vu: &VuContext,
    call: &str,
    path: &str,
    options: &str,
    read: impl FnOnce(Naming, String) -> Result<Document, Mistake> + Send,
) -> Result<Value, ApiError> {
    let key = format!("{call} {path} {options}");
    declared(vu, call, key, path, |sets| {
        let id = |place: &std::path::Path| format!("{call} {} {options}", place.display());
        if let Some(rows) = vu.worker.files.find(path).ok().and_then(|place| sets.same(&id(&place)))
        {
            return Ok(Content::Rows(rows));
        }
        sets.read(&vu.worker.files, path, |text, place| {
            let naming = Naming { id: id(place), name: path.to_owned() };
            let document = read(naming, text).map_err(|mistake| mistake.told(path))?;
            Ok(match document {
                Document::Rows(rows) => Content::Rows(Arc::new(rows)),
                Document::Value(text) => Content::Document(text.into()),
            })
        })
    })
}

/// `data.csv(path, { header = ..., delimiter = ... })`
fn csv(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let path = args.text(0)?;
    let mut fields = args.fields(1, &["header", "delimiter"])?;
    let header = header(&mut fields)?;
    let delimiter = delimiter(&mut fields)?;
    let shown = format!("{header:?} {delimiter}");
    file(vu, &args.call, &path.to_str(), &shown, move |naming, text| {
        Rows::csv(naming, text, CsvOptions { header, delimiter }).map(Document::Rows)
    })
}

fn header(fields: &mut Fields) -> Result<Header, ApiError> {
    const WANTED: &str = "true, false or an array of names";
    match fields.take("header") {
        Value::Nil | Value::Null | Value::Bool(true) => Ok(Header::First),
        Value::Bool(false) => Ok(Header::None),
        Value::List(names) => {
            let mut known = Vec::<Name>::with_capacity(names.len());
            for name in names {
                let Value::Text(name) = name else {
                    return Err(fields.wrong("header", WANTED, &name));
                };
                let name = Name::from(name.to_str());
                if known.contains(&name) {
                    let problem =
                        format!("{}: `header` has the name \"{name}\" twice", fields.place);
                    return Err(ApiError::usage(problem));
                }
                known.push(name);
            }
            Ok(Header::Names(known))
        }
        other => Err(fields.wrong("header", WANTED, &other)),
    }
}

fn delimiter(fields: &mut Fields) -> Result<u8, ApiError> {
    let Some(text) = fields.text("delimiter")? else { return Ok(b',') };
    match text.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n') => Ok(*byte),
        _ => Err(ApiError::usage(format!(
            "{}: `delimiter` must be one ASCII character other than a quote, such as \";\" or \"\\t\"",
            fields.place
        ))),
    }
}

/// `data.json(path)`
fn json(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let path = args.text(0)?;
    file(vu, &args.call, &path.to_str(), "", Rows::json)
}

/// `data.jsonl(path)`
fn jsonl(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let path = args.text(0)?;
    file(vu, &args.call, &path.to_str(), "", |naming, text| {
        Rows::jsonl(naming, text).map(Document::Rows)
    })
}

/// `data.lines(path)`
fn lines(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let path = args.text(0)?;
    file(vu, &args.call, &path.to_str(), "", |naming, text| {
        Ok(Document::Rows(Rows::lines(naming, text)))
    })
}

fn array_key(name: &str) -> String {
    format!("data.array {name}")
}

/// Returns the rows of an array that was made before.
fn find_array(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let name = args.text(0)?;
    let name = name.to_str();
    let sets = Arc::clone(&vu.worker.data.borrow());
    let is_new = sets.find(&array_key(&name)).is_none();
    if is_new && vu.phase.get() == Phase::Load && vu.worker.declaring.get() {
        return Ok(Value::Nil);
    }
    declared(vu, "data.array", array_key(&name), &format!("\"{name}\""), |_| {
        Err("it cannot be made now".to_owned())
    })
}

/// Keeps what the function of an array returned.
fn keep_array(vu: &Rc<VuContext>, mut args: Args) -> Result<Value, ApiError> {
    let name = args.text(0)?;
    let name = name.to_str();
    let items = args.take(1);
    declared(vu, "data.array", array_key(&name), &format!("\"{name}\""), |_| {
        let items = match items {
            Value::List(items) => items,
            Value::Map(map) if map.is_empty() => Vec::new(),
            other => {
                let got = other.type_name();
                return Err(format!("the function of \"{name}\" must return an array, got {got}"));
            }
        };
        for (place, item) in items.iter().enumerate() {
            super::json::writable(item)
                .map_err(|problem| format!("item {place} of \"{name}\": {problem}"))?;
        }
        let naming = Naming { id: array_key(&name), name: format!("\"{name}\"") };
        let rows = Rows::values(naming, &items)?;
        vu.lend(rows.bytes() as isize);
        Ok(Content::Rows(Arc::new(rows)))
    })
}

/// Rows as a script holds them.
struct RowsObject(Arc<Rows>);

impl RowsObject {
    /// Returns a row by its place from 0; below 0 from the end.
    fn at(&self, args: &mut Args) -> Result<Value, ApiError> {
        let place = args.int(0)?;
        let length = self.0.len() as i64;
        let from_start = if place < 0 { place.saturating_add(length) } else { place };
        if (0..length).contains(&from_start) {
            return Ok(self.0.get(from_start as usize));
        }
        let name = self.0.name();
        Err(ApiError::usage(match length {
            0 => format!("{}: {name} has no rows", args.call),
            _ => format!(
                "{}: {name} has the rows 0 to {}, and -1 to -{length} from the end; got {place}",
                args.call,
                length - 1
            ),
        }))
    }
}

impl Object for RowsObject {
    fn type_name(&self) -> &'static str {
        "rows"
    }

    fn get(&self, _: &Rc<VuContext>, field: &str) -> Result<Option<Value>, ApiError> {
        Ok(match field {
            "length" => Some((self.0.len() as u64).into()),
            "columns" => Some(self.0.columns().map_or(Value::Nil, |names| {
                Value::List(names.iter().cloned().map(Value::from).collect())
            })),
            _ => None,
        })
    }

    fn fields(&self) -> &'static [&'static str] {
        &["length", "columns"]
    }

    fn methods(&self) -> &'static [Method] {
        ROWS_METHODS
    }

    fn call(
        self: Rc<Self>,
        _: &Rc<VuContext>,
        _: &'static Method,
        mut args: Args,
    ) -> Result<Answer, ApiError> {
        self.at(&mut args).map(Answer::Now)
    }

    fn length(&self) -> Option<usize> {
        Some(self.0.len())
    }

    fn item(&self, place: usize) -> Value {
        self.0.get(place)
    }

    fn describe(&self) -> String {
        format!("<rows of {}>", self.0.name())
    }
}

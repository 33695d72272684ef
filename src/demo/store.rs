//! The notes in SQLite. Every statement is prepared once and short, so it runs on the runtime's
//! thread.

#![expect(clippy::disallowed_types, reason = "the target is not a worker")]

use std::path::Path;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use rusqlite::types::ToSql;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::clock;

/// How many notes a new database starts with.
const SEEDS: u32 = 50;

/// How many notes a database holds: a test that only writes must not exhaust the machine.
pub(super) const NOTES_MAX: u64 = 1_000_000;

/// The version of [`SCHEMA`], kept in the file.
const SCHEMA_VERSION: i64 = 1;

const SCHEMA: &str = "
    CREATE TABLE notes (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        title TEXT NOT NULL,
        body TEXT NOT NULL,
        tags TEXT NOT NULL,
        author TEXT NOT NULL,
        version INTEGER NOT NULL,
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL
    );
    CREATE TABLE note_tags (
        tag TEXT NOT NULL,
        note_id INTEGER NOT NULL REFERENCES notes (id) ON DELETE CASCADE,
        PRIMARY KEY (tag, note_id)
    ) WITHOUT ROWID;
    CREATE INDEX note_tags_by_note ON note_tags (note_id);
    PRAGMA user_version = 1;
";

/// A note as it is kept and answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Note {
    pub(super) id: i64,
    pub(super) title: String,
    pub(super) body: String,
    pub(super) tags: Vec<String>,
    pub(super) author: String,
    /// Counts the changes from 1; also the note's entity tag.
    pub(super) version: i64,
    pub(super) created_at: String,
    pub(super) updated_at: String,
}

/// What a new note says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) title: String,
    pub(super) body: String,
    pub(super) tags: Vec<String>,
}

/// What to change in a note; `None` leaves a part as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Change {
    pub(super) title: Option<String>,
    pub(super) body: Option<String>,
    pub(super) tags: Option<Vec<String>>,
}

/// Which notes to list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Filter {
    /// Occurs in the title or the body, in any ASCII case.
    pub(super) text: Option<String>,
    /// Is one of the tags.
    pub(super) tag: Option<String>,
}

/// What became of a write to one note.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Written<T> {
    Done(T),
    /// There is no such note.
    Unknown,
    /// The note has another version than the one expected.
    Conflict {
        version: i64,
    },
}

/// The database, owned by one process at a time.
pub(super) struct Store {
    inner: Mutex<Inner>,
}

struct Inner {
    connection: Connection,
    /// Kept beside the table, because SQLite counts by walking it.
    count: u64,
}

impl Store {
    /// Opens or makes the database; a new one holds [`SEEDS`] notes.
    pub(super) fn open(path: Option<&Path>) -> rusqlite::Result<Self> {
        let mut connection = match path {
            Some(path) => Connection::open(path)?,
            None => Connection::open_in_memory()?,
        };
        connection.busy_timeout(Duration::from_millis(200))?;
        connection.set_prepared_statement_cache_capacity(32);
        if path.is_some() {
            // The exclusive lock spares the shared-memory index of the log, and makes `count`
            // right: nobody else writes.
            connection.execute_batch(
                "PRAGMA locking_mode = EXCLUSIVE;
                 PRAGMA journal_mode = WAL;
                 PRAGMA synchronous = NORMAL;",
            )?;
        }
        connection.execute_batch("PRAGMA foreign_keys = ON;")?;
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if version != SCHEMA_VERSION {
            let transaction = connection.transaction()?;
            transaction.execute_batch(SCHEMA)?;
            seed(&transaction)?;
            transaction.commit()?;
        }
        let count = connection.query_row("SELECT count(*) FROM notes", [], counted)?;
        Ok(Self { inner: Mutex::new(Inner { connection, count }) })
    }

    /// Returns how many notes there are.
    pub(super) fn count(&self) -> u64 {
        self.lock().count
    }

    /// Returns a page of the matching notes, newest first, and how many match in all.
    pub(super) fn list(
        &self,
        filter: &Filter,
        page: u32,
        per_page: u32,
    ) -> rusqlite::Result<(Vec<Note>, u64)> {
        let inner = self.lock();
        let (from, order) = filter.clauses();
        let mut values: Vec<&dyn ToSql> = Vec::with_capacity(4);
        values.extend(filter.tag.as_ref().map(|tag| tag as &dyn ToSql));
        values.extend(filter.text.as_ref().map(|text| text as &dyn ToSql));
        let total = if values.is_empty() {
            inner.count
        } else {
            let sql = format!("SELECT count(*) FROM {from}");
            inner.connection.prepare_cached(&sql)?.query_row(&*values, counted)?
        };
        let offset = (i64::from(page) - 1) * i64::from(per_page);
        values.push(&per_page);
        values.push(&offset);
        let sql = format!("SELECT n.* FROM {from} ORDER BY {order} DESC LIMIT ? OFFSET ?");
        let mut statement = inner.connection.prepare_cached(&sql)?;
        let notes = statement.query_map(&*values, note)?.collect::<rusqlite::Result<_>>()?;
        Ok((notes, total))
    }

    /// Returns a note, if it exists.
    pub(super) fn get(&self, id: i64) -> rusqlite::Result<Option<Note>> {
        get(&self.lock().connection, id)
    }

    /// Keeps a new note; `None` when the database holds [`NOTES_MAX`] already.
    pub(super) fn create(&self, draft: Draft, author: String) -> rusqlite::Result<Option<Note>> {
        let mut inner = self.lock();
        if inner.count >= NOTES_MAX {
            return Ok(None);
        }
        let transaction = inner.connection.transaction()?;
        let note = insert(&transaction, draft, author, stamp())?;
        transaction.commit()?;
        inner.count += 1;
        Ok(Some(note))
    }

    /// Changes a note, if its version is the expected one.
    pub(super) fn change(
        &self,
        id: i64,
        expected: Option<i64>,
        change: Change,
    ) -> rusqlite::Result<Written<Note>> {
        let mut inner = self.lock();
        let transaction = inner.connection.transaction()?;
        let Some(mut note) = get(&transaction, id)? else {
            return Ok(Written::Unknown);
        };
        if expected.is_some_and(|version| version != note.version) {
            return Ok(Written::Conflict { version: note.version });
        }
        note.title = change.title.unwrap_or(note.title);
        note.body = change.body.unwrap_or(note.body);
        note.version += 1;
        note.updated_at = stamp();
        if let Some(tags) = change.tags.filter(|tags| *tags != note.tags) {
            transaction.prepare_cached("DELETE FROM note_tags WHERE note_id = ?")?.execute([id])?;
            insert_tags(&transaction, id, &tags)?;
            note.tags = tags;
        }
        transaction
            .prepare_cached(
                "UPDATE notes SET title = ?, body = ?, tags = ?, version = ?, updated_at = ? \
                 WHERE id = ?",
            )?
            .execute(params![
                note.title,
                note.body,
                to_json(&note.tags),
                note.version,
                note.updated_at,
                id
            ])?;
        transaction.commit()?;
        Ok(Written::Done(note))
    }

    /// Deletes a note, if its version is the expected one.
    pub(super) fn delete(&self, id: i64, expected: Option<i64>) -> rusqlite::Result<Written<()>> {
        let mut inner = self.lock();
        if let Some(expected) = expected {
            match get(&inner.connection, id)? {
                None => return Ok(Written::Unknown),
                Some(note) if note.version != expected => {
                    return Ok(Written::Conflict { version: note.version });
                }
                Some(_) => {}
            }
        }
        let deleted =
            inner.connection.prepare_cached("DELETE FROM notes WHERE id = ?")?.execute([id])?;
        if deleted == 0 {
            return Ok(Written::Unknown);
        }
        inner.count -= 1;
        Ok(Written::Done(()))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no holder panics")
    }
}

impl Filter {
    /// Returns what stands after `FROM`, with a `?` for the tag and then for the text, and the
    /// column to order by: the one that the index in use is sorted by.
    fn clauses(&self) -> (&'static str, &'static str) {
        // The text is bound once and used twice, hence its number.
        match (&self.tag, &self.text) {
            (None, None) => ("notes n", "n.id"),
            (None, Some(_)) => (
                "notes n WHERE (instr(lower(n.title), lower(?1)) OR instr(lower(n.body), lower(?1)))",
                "n.id",
            ),
            (Some(_), None) => {
                ("note_tags t JOIN notes n ON n.id = t.note_id WHERE t.tag = ?", "t.note_id")
            }
            (Some(_), Some(_)) => (
                "note_tags t JOIN notes n ON n.id = t.note_id WHERE t.tag = ?1 \
                 AND (instr(lower(n.title), lower(?2)) OR instr(lower(n.body), lower(?2)))",
                "t.note_id",
            ),
        }
    }
}

fn get(connection: &Connection, id: i64) -> rusqlite::Result<Option<Note>> {
    connection.prepare_cached("SELECT * FROM notes WHERE id = ?")?.query_row([id], note).optional()
}

/// Reads what `count(*)` gives, which SQLite's integers hold with a sign.
fn counted(row: &Row<'_>) -> rusqlite::Result<u64> {
    row.get::<_, i64>(0).map(i64::cast_unsigned)
}

/// Reads a row in the order of the table's columns.
fn note(row: &Row<'_>) -> rusqlite::Result<Note> {
    let tags = row.get_ref(3)?.as_str()?;
    Ok(Note {
        id: row.get(0)?,
        title: row.get(1)?,
        body: row.get(2)?,
        tags: serde_json::from_str(tags).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(
                3,
                rusqlite::types::Type::Text,
                Box::new(error),
            )
        })?,
        author: row.get(4)?,
        version: row.get(5)?,
        created_at: row.get(6)?,
        updated_at: row.get(7)?,
    })
}

fn insert(
    transaction: &Transaction<'_>,
    draft: Draft,
    author: String,
    at: String,
) -> rusqlite::Result<Note> {
    transaction
        .prepare_cached(
            "INSERT INTO notes (title, body, tags, author, version, created_at, updated_at) \
             VALUES (?1, ?2, ?3, ?4, 1, ?5, ?5)",
        )?
        .execute(params![draft.title, draft.body, to_json(&draft.tags), author, at])?;
    let id = transaction.last_insert_rowid();
    insert_tags(transaction, id, &draft.tags)?;
    let Draft { title, body, tags } = draft;
    Ok(Note { id, title, body, tags, author, version: 1, created_at: at.clone(), updated_at: at })
}

fn insert_tags(transaction: &Transaction<'_>, id: i64, tags: &[String]) -> rusqlite::Result<()> {
    if tags.is_empty() {
        return Ok(());
    }
    let mut statement =
        transaction.prepare_cached("INSERT INTO note_tags (tag, note_id) VALUES (?, ?)")?;
    for tag in tags {
        statement.execute(params![tag, id])?;
    }
    Ok(())
}

fn to_json(tags: &[String]) -> String {
    serde_json::to_string(tags).expect("texts are JSON")
}

/// Returns the time of a write, to the millisecond.
fn stamp() -> String {
    let now = OffsetDateTime::from(clock::wall());
    now.replace_millisecond(now.millisecond())
        .expect("it was in range")
        .format(&Rfc3339)
        .expect("the year has four digits")
}

/// Fills a new database with notes of different lengths, authors and tags.
fn seed(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    const AUTHORS: [&str; 4] = ["ada", "grace", "edsger", "barbara"];
    const TOPICS: [&str; 5] = ["tides", "harbours", "currents", "charts", "weather"];
    const TAGS: [&str; 3] = ["work", "idea", "later"];
    let at = stamp();
    for number in 1..=SEEDS {
        let index = number as usize;
        let topic = TOPICS[index % TOPICS.len()];
        let draft = Draft {
            title: format!("Note {number} on {topic}"),
            body: format!("What there is to know about {topic}. ").repeat(1 + index % 7),
            tags: vec![topic.to_owned(), TAGS[index % TAGS.len()].to_owned()],
        };
        insert(transaction, draft, AUTHORS[index % AUTHORS.len()].to_owned(), at.clone())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(title: &str, tags: &[&str]) -> Draft {
        Draft {
            title: title.to_owned(),
            body: "50 % off_".to_owned(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        }
    }

    fn titles(store: &Store, text: Option<&str>, tag: Option<&str>) -> Vec<String> {
        let filter = Filter { text: text.map(str::to_owned), tag: tag.map(str::to_owned) };
        let (notes, total) = store.list(&filter, 1, 100).expect("listed");
        assert_eq!(notes.len() as u64, total);
        notes.into_iter().map(|note| note.title).collect()
    }

    #[test]
    fn pages_cover_all_notes_once_from_the_newest() {
        let store = Store::open(None).expect("opened");
        let mut ids = Vec::new();
        for page in 1..=5 {
            let (notes, total) = store.list(&Filter::default(), page, 13).expect("listed");
            assert_eq!(total, 50);
            ids.extend(notes.into_iter().map(|note| note.id));
        }
        assert_eq!(ids, (1..=50).rev().collect::<Vec<_>>());
    }

    #[test]
    fn a_filter_takes_its_text_literally() {
        let store = Store::open(None).expect("opened");
        store.create(draft("Alpha", &["x", "y"]), "ada".to_owned()).expect("created");
        store.create(draft("Beta", &["y"]), "ada".to_owned()).expect("created");
        assert_eq!(titles(&store, Some("% OFF_"), None), ["Beta", "Alpha"]);
        assert_eq!(titles(&store, Some("alpha"), Some("y")), ["Alpha"]);
        assert_eq!(titles(&store, None, Some("y")), ["Beta", "Alpha"]);
        assert_eq!(titles(&store, Some("beta"), Some("x")), [""; 0]);
        assert_eq!(titles(&store, Some("?1"), None), [""; 0]);
    }

    #[test]
    fn a_change_counts_the_version_and_moves_the_tags() {
        let store = Store::open(None).expect("opened");
        let note = store.create(draft("Alpha", &["x"]), "ada".to_owned()).expect("created");
        let note = note.expect("there is room");
        let change = Change { tags: Some(vec!["z".to_owned()]), ..Change::default() };
        let Written::Done(changed) = store.change(note.id, Some(1), change).expect("changed")
        else {
            panic!("the version is right");
        };
        assert_eq!((changed.version, changed.title.as_str()), (2, "Alpha"));
        assert_eq!(store.get(note.id).expect("read"), Some(changed));
        assert!(titles(&store, None, Some("x")).is_empty());
        assert_eq!(titles(&store, None, Some("z")), ["Alpha"]);
        let stale = store.change(note.id, Some(1), Change::default()).expect("refused");
        assert_eq!(stale, Written::Conflict { version: 2 });
        let unknown = store.change(999, None, Change::default()).expect("refused");
        assert_eq!(unknown, Written::Unknown);
    }

    #[test]
    fn a_deleted_note_takes_its_tags_along() {
        let store = Store::open(None).expect("opened");
        let note = store.create(draft("Alpha", &["x"]), "ada".to_owned()).expect("created");
        let id = note.expect("there is room").id;
        assert_eq!(store.count(), 51);
        assert_eq!(store.delete(id, Some(9)).expect("refused"), Written::Conflict { version: 1 });
        assert_eq!(store.delete(id, None).expect("deleted"), Written::Done(()));
        assert_eq!(store.delete(id, None).expect("refused"), Written::Unknown);
        assert_eq!(store.count(), 50);
        assert!(titles(&store, None, Some("x")).is_empty());
    }

    #[test]
    fn a_file_serves_one_target_at_a_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notes.db");
        let first = Store::open(Some(&path)).expect("opened");
        assert!(Store::open(Some(&path)).is_err());
        drop(first);
        assert_eq!(Store::open(Some(&path)).expect("opened again").count(), 50);
    }
}

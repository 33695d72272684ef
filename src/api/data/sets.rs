//! The data that a script declared: read once, when it is loaded for the first time, and found by all
//! VUs of all workers after that.
//!
//! Nothing is ever taken out or changed, so finding takes no lock.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::rows::Rows;
use crate::api::Files;

/// The most bytes of a file: places in it are numbers of 32 bits.
const FILE_BYTES_MAX: u64 = u32::MAX as u64;

/// The most that a script may declare: looking for one passes the others.
const SETS_MAX: usize = 1_000;

/// The data that a script declared.
#[derive(Debug, Default)]
pub struct DataSets {
    sets: Chain<Set>,
    files: Chain<PathBuf>,
}

/// A set of data as a script declared it.
#[derive(Debug)]
struct Set {
    /// The call that declares it.
    key: String,
    content: Content,
}

/// What was declared.
#[derive(Debug, Clone)]
pub(super) enum Content {
    /// Rows.
    Rows(Arc<Rows>),
    /// A JSON document that is no array: its text.
    Document(Arc<str>),
    /// Nothing, for this reason: a script that catches the error sees the same in all VUs.
    Failed(Arc<str>),
}

impl DataSets {
    /// Returns the files that were opened, those with mistakes too, in order.
    pub fn files(&self) -> Vec<&Path> {
        self.files.iter().map(PathBuf::as_path).collect()
    }

    /// Returns whether all that was declared could be read.
    pub fn are_whole(&self) -> bool {
        !self.sets.iter().any(|set| matches!(set.content, Content::Failed(_)))
    }

    /// Returns the bytes of all data.
    pub fn bytes(&self) -> u64 {
        self.sets.iter().map(|set| set.content.bytes()).sum()
    }

    /// Returns what a call declared.
    pub(super) fn find(&self, key: &str) -> Option<&Content> {
        self.sets.iter().find(|set| set.key == key).map(|set| &set.content)
    }

    /// Returns rows that were read under another key: a path may be written in several ways.
    pub(super) fn same(&self, id: &str) -> Option<Arc<Rows>> {
        self.sets.iter().find_map(|set| match &set.content {
            Content::Rows(rows) if rows.id() == id => Some(Arc::clone(rows)),
            _ => None,
        })
    }

    /// Keeps what a call declares.
    ///
    /// # Errors
    /// If there is too much.
    pub(super) fn keep(&self, key: String, content: Content) -> Result<(), String> {
        if self.sets.iter().count() >= SETS_MAX {
            return Err(format!("a script may declare {SETS_MAX} sets of data"));
        }
        self.sets.add(Set { key, content });
        Ok(())
    }

    /// Reads a file as text, without a byte order mark, on a thread of its own: what it allocates is
    /// not the script's.
    ///
    /// # Errors
    /// If it cannot be read, is too large or is not UTF-8.
    pub(super) fn read<T: Send>(
        &self,
        files: &Files,
        path: &str,
        take: impl FnOnce(String, &Path) -> Result<T, String> + Send,
    ) -> Result<T, String> {
        let place = files.find(path)?;
        if !self.files.iter().any(|known| *known == place) {
            self.files.add(place.clone());
        }
        let file = files.open(path)?;
        let room = room().saturating_sub(self.bytes());
        let work = || take(text(file, path, room)?, &place);
        std::thread::scope(|scope| {
            let reader = std::thread::Builder::new().name("reader".to_owned());
            let reader = reader.spawn_scoped(scope, work);
            let reader = reader.map_err(|error| format!("cannot read {path}: {error}"))?;
            reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

impl Content {
    fn bytes(&self) -> u64 {
        match self {
            Self::Rows(rows) => rows.bytes(),
            Self::Document(text) => text.len() as u64,
            Self::Failed(_) => 0,
        }
    }
}

/// Returns how many bytes of data a test may hold: half of the machine's memory.
fn room() -> u64 {
    let memory = rustix::system::sysinfo();
    memory.totalram * u64::from(memory.mem_unit) / 2
}

/// Reads a file whole. It is not mapped: a file that is cut short meanwhile would end the process.
fn text(file: std::fs::File, path: &str, room: u64) -> Result<String, String> {
    let cannot = |error: std::io::Error| format!("cannot read {path}: {error}");
    let most = FILE_BYTES_MAX.min(room);
    let length = file.metadata().map_err(cannot)?.len();
    let too_large = |length: u64| {
        let limit = if most == FILE_BYTES_MAX {
            "a file may have 4 GiB; split it".to_owned()
        } else {
            format!("there is room for {most}: half of the memory, less other data")
        };
        format!("cannot read {path}: it has {length} bytes, and {limit}")
    };
    if length > most {
        return Err(too_large(length));
    }
    let mut bytes = Vec::with_capacity(length as usize + 1);
    let read = file.take(most + 1).read_to_end(&mut bytes).map_err(cannot)? as u64;
    if read > most {
        return Err(too_large(read));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(format!("cannot read {path}: it is UTF-16; save it as UTF-8"));
    }
    if bytes.starts_with(&[0xef, 0xbb, 0xbf]) {
        bytes.drain(..3);
    }
    bytes.shrink_to_fit();
    String::from_utf8(bytes).map_err(|error| {
        let known = error.as_bytes();
        let good = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(&known[..good]);
        let super::Mistake { line, column, .. } = super::Mistake::at(&before, before.len(), "");
        format!("{path}:{line}:{column}: the byte 0x{:02x} is not UTF-8", known[good])
    })
}

/// A list that grows while others read it.
#[derive(Debug)]
struct Chain<T>(OnceLock<Box<Link<T>>>);

#[derive(Debug)]
struct Link<T> {
    value: T,
    next: Chain<T>,
}

impl<T> Default for Chain<T> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

impl<T> Chain<T> {
    fn iter(&self) -> impl Iterator<Item = &T> {
        let first = self.0.get();
        std::iter::successors(first, |link| link.next.0.get()).map(|link| &link.value)
    }

    /// Adds a value at the end.
    fn add(&self, value: T) {
        let mut link = Box::new(Link { value, next: Self::default() });
        let mut last = self;
        loop {
            if let Some(known) = last.0.get() {
                last = &known.next;
                continue;
            }
            match last.0.set(link) {
                Ok(()) => return,
                // Another thread was faster.
                Err(back) => link = back,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], room: u64) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.csv"), bytes).unwrap();
        text(std::fs::File::open(folder.path().join("a.csv")).unwrap(), "a.csv", room)
    }

    #[test]
    fn text_is_read_without_its_mark() {
        assert_eq!(read("\u{feff}é\r\n".as_bytes(), 100).unwrap(), "é\r\n");
        assert_eq!(read(b"", 100).unwrap(), "");
    }

    #[test]
    fn what_is_no_text_or_too_large_is_refused() {
        let problem = read(b"a,b\n\xc3\xa9,\xff\n", 100).unwrap_err();
        assert_eq!(problem, "a.csv:2:3: the byte 0xff is not UTF-8");
        let problem = read(b"\xff\xfea\0", 100).unwrap_err();
        assert_eq!(problem, "cannot read a.csv: it is UTF-16; save it as UTF-8");
        let problem = read(b"12345", 4).unwrap_err();
        let wanted = "cannot read a.csv: it has 5 bytes, and there is room for 4: half of the \
                      memory, less other data";
        assert_eq!(problem, wanted);
    }

    #[test]
    fn a_file_of_holes_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = std::fs::File::create(folder.path().join("a.csv")).unwrap();
        file.set_len(1 << 40).unwrap();
        let file = std::fs::File::open(folder.path().join("a.csv")).unwrap();
        let problem = text(file, "a.csv", u64::MAX).unwrap_err();
        let wanted =
            "cannot read a.csv: it has 1099511627776 bytes, and a file may have 4 GiB; split it";
        assert_eq!(problem, wanted);
    }

    #[test]
    fn a_chain_keeps_what_several_threads_add() {
        let chain = Chain::default();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let chain = &chain;
                scope.spawn(move || (0..100).for_each(|n| chain.add((thread, n))));
            }
        });
        let mut all: Vec<_> = chain.iter().copied().collect();
        assert!(all.iter().filter(|(thread, _)| *thread == 2).is_sorted());
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 400);
    }
}

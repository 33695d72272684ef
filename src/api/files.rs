//! The files that a script may read: those in its own folder, and in the folders of `--include`.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The largest file that is read as a whole: certificates and keys are far smaller.
const TEXT_BYTES_MAX: u64 = 16 << 20;

/// The folders that files may be read from.
#[derive(Debug, Clone, Default)]
pub struct Files {
    /// Resolved, the script's own first.
    folders: Vec<PathBuf>,
}

impl Files {
    /// Returns the files of some folders, which are resolved: without symbolic links.
    pub fn new(folders: Vec<PathBuf>) -> Self {
        Self { folders }
    }

    /// Opens a file by its path relative to one of the folders, by whatever links. Only regular
    /// files: reading from others could wait for ever.
    ///
    /// # Errors
    ///
    /// There is none, it lies elsewhere, or it cannot be read; the text says which and what to do.
    pub fn open(&self, path: &str) -> Result<File, String> {
        let found = self.find(path)?;
        if !found.is_file() {
            return Err(format!("cannot read {path}: it is no regular file"));
        }
        File::open(&found).map_err(|error| format!("cannot read {path}: {error}"))
    }

    /// Reads a file as text.
    ///
    /// # Errors
    ///
    /// It cannot be opened, is no text or larger than any certificate.
    pub fn read_text(&self, path: &str) -> Result<String, String> {
        let file = self.open(path)?;
        let mut text = String::new();
        let read = file.take(TEXT_BYTES_MAX + 1).read_to_string(&mut text);
        let read = read.map_err(|error| format!("cannot read {path}: {error}"))?;
        if read as u64 > TEXT_BYTES_MAX {
            return Err(format!("cannot read {path}: it has more than {TEXT_BYTES_MAX} bytes"));
        }
        Ok(text)
    }

    /// Returns where something lies, or would lie, that need not be there yet: its folder must be.
    ///
    /// # Errors
    ///
    /// There is no such folder, or it may not be touched.
    pub fn place(&self, path: &str) -> Result<PathBuf, String> {
        let whole = Path::new(path);
        let (Some(name), Err(problem)) = (whole.file_name(), self.find(path)) else {
            return self.find(path);
        };
        let folder = whole.parent().filter(|folder| *folder != Path::new(""));
        let folder = folder.map_or(".".into(), |folder| folder.to_string_lossy().into_owned());
        match self.find(&folder) {
            // A name that leads elsewhere is not absent.
            Ok(folder) if folder.join(name).symlink_metadata().is_err() => Ok(folder.join(name)),
            _ => Err(problem),
        }
    }

    /// Returns where something with a path lies, if it may be touched.
    ///
    /// # Errors
    ///
    /// There is none, or it lies elsewhere.
    pub fn find(&self, path: &str) -> Result<PathBuf, String> {
        for folder in &self.folders {
            let Ok(found) = folder.join(Path::new(path)).canonicalize() else { continue };
            if self.folders.iter().any(|folder| found.starts_with(folder)) {
                return Ok(found);
            }
            return Err(format!(
                "cannot open {path}: it lies outside the script's folder; allow its folder with \
                 --include DIR"
            ));
        }
        Err(format!(
            "cannot find {path}: paths are relative to the script's folder or one of --include DIR"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_in_the_folders_is_opened() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let (own, more) = (root.join("own"), root.join("more"));
        for folder in [&own, &more] {
            std::fs::create_dir(folder).unwrap();
        }
        std::fs::write(root.join("secret"), "s").unwrap();
        std::fs::write(own.join("a"), "own").unwrap();
        std::fs::write(more.join("b"), "more").unwrap();
        std::os::unix::fs::symlink(root.join("secret"), own.join("link")).unwrap();
        let files = Files::new(vec![own.clone(), more.clone()]);
        assert_eq!(files.read_text("a").unwrap(), "own");
        assert_eq!(files.read_text("./b").unwrap(), "more");
        assert_eq!(files.read_text("../more/b").unwrap(), "more");
        assert_eq!(files.read_text(more.join("b").to_str().unwrap()).unwrap(), "more");
        for outside in ["../secret", "link", "/etc/passwd", root.join("secret").to_str().unwrap()] {
            let problem = files.read_text(outside).unwrap_err();
            assert!(problem.contains("outside the script's folder"), "{problem}");
        }
        assert!(files.read_text("none").unwrap_err().starts_with("cannot find none"));
        assert!(files.read_text(".").unwrap_err().ends_with("no regular file"));
        assert!(Files::default().open("a").is_err());
        assert_eq!(files.place("a").unwrap(), own.join("a"));
        assert_eq!(files.place("new").unwrap(), own.join("new"));
        assert_eq!(files.place("../more/new").unwrap(), more.join("new"));
        std::os::unix::fs::symlink(root.join("none"), own.join("dangling")).unwrap();
        for outside in ["../secret", "../new", "link", "dangling", "/new", "none/new", ".."] {
            assert!(files.place(outside).is_err(), "{outside}");
        }
    }

    #[test]
    fn a_file_that_never_ends_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let large = File::create(folder.join("large")).unwrap();
        large.set_len(TEXT_BYTES_MAX + 1).unwrap();
        let problem = Files::new(vec![folder]).read_text("large").unwrap_err();
        assert!(problem.contains("more than"), "{problem}");
    }
}

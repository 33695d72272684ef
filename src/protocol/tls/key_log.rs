//! TLS secrets in a file, in the format that tools which look into traffic read (NSS key log).

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

/// Adds secrets to a file.
#[derive(Debug)]
pub(super) struct KeyLog {
    file: File,
}

impl KeyLog {
    /// Opens the file, which is made if there is none; others cannot read it then.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Self { file: options.open(path)? })
    }
}

impl rustls::KeyLog for KeyLog {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let mut line = format!("{label} ");
        let mut hex = |bytes: &[u8], end: char| {
            for byte in bytes {
                let _infallible = write!(line, "{byte:02x}");
            }
            line.push(end);
        };
        hex(client_random, ' ');
        hex(secret, '\n');
        // One write per line: several workers add to the file. A log that cannot be written must
        // not end the connection.
        let _lost = (&self.file).write_all(line.as_bytes());
    }
}

//! A server on the loopback that counts how often each path was asked for.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

/// A server that lives as long as the process.
pub(crate) struct Tally {
    pub(crate) address: SocketAddr,
    asked: Receiver<String>,
}

impl Tally {
    /// Starts one.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, asked) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, sender) = (stream.unwrap(), sender.clone());
                // A client that goes away ends its own thread alone.
                std::thread::spawn(move || serve(stream, &sender));
            }
        });
        Self { address, asked }
    }

    /// Returns how often each path was asked for since the last time.
    pub(crate) fn take(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for path in self.asked.try_iter() {
            *counts.entry(path).or_insert(0) += 1;
        }
        counts
    }
}

/// Answers requests without a body until the client closes.
fn serve(stream: TcpStream, sender: &Sender<String>) -> std::io::Result<()> {
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        if let Some(path) = line.strip_prefix("GET ").and_then(|rest| rest.split(' ').next()) {
            // Counted before the client knows, so that nothing comes after its end.
            let _ended = sender.send(path.to_owned());
        } else if line == "\r\n" {
            writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
        }
        line.clear();
    }
    Ok(())
}

//! The limits of `http.batch` against servers that count what is under way at once.

#![expect(clippy::unwrap_used, reason = "what cannot be had ends the test")]

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use binary::run;
use serde_json::json;

#[path = "support/binary.rs"]
mod binary;

/// Counts what is under way, and the most of it.
#[derive(Debug, Default)]
struct Count {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Count {
    fn begin(&self) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
    }

    fn end(&self) {
        self.now.fetch_sub(1, Ordering::SeqCst);
    }

    fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

/// Starts a server that answers each request with its path, after a while.
fn serve(total: &Arc<Count>) -> (SocketAddr, Arc<Count>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let own = Arc::new(Count::default());
    let counts = [Arc::clone(total), Arc::clone(&own)];
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let counts = counts.clone();
            std::thread::spawn(move || answer(&stream.unwrap(), &counts));
        }
    });
    (address, own)
}

fn answer(mut stream: &TcpStream, counts: &[Arc<Count>]) {
    let mut lines = BufReader::new(stream).lines();
    while let Some(Ok(line)) = lines.next() {
        for count in counts {
            count.begin();
        }
        let path = line.split(' ').nth(1).unwrap().to_owned();
        while lines.next().unwrap().unwrap() != "" {}
        std::thread::sleep(Duration::from_millis(20));
        for count in counts {
            count.end();
        }
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", path.len());
        stream.write_all((head + &path).as_bytes()).unwrap();
    }
}

#[test]
fn a_batch_keeps_its_limits_in_all_and_per_host() {
    for language in ["luau", "rhai"] {
        let total = Arc::new(Count::default());
        let hosts = [serve(&total), serve(&total), serve(&total)];
        let names: Vec<String> = hosts
            .iter()
            .enumerate()
            .map(|(index, (address, _))| format!("HOST_{}=http://{address}", index + 1))
            .collect();
        let arguments: Vec<&str> = names.iter().flat_map(|name| ["-e", name]).collect();
        let ran = run(&format!("batch/limits.{language}"), &arguments);
        assert_eq!(ran.code, 0, "{language}: {}", ran.text);
        assert_eq!(ran.number("/metrics/http_reqs/values/count"), 36.0, "{language}");
        assert_eq!(ran.at("/checks/0/fails"), &json!(0), "{language}: {}", ran.text);
        assert_eq!(ran.at("/checks/0/passes"), &json!(1), "{language}: {}", ran.text);
        // As many as may be, and no more.
        assert_eq!(total.most(), 5, "{language}");
        assert_eq!(hosts[0].1.most(), 3, "{language}");
        for (_, host) in &hosts[1..] {
            assert!((1..=3).contains(&host.most()), "{language}: {host:?}");
        }
    }
}

//! A real nginx of a test's own.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kingtide::clock;

/// A server that runs; ends with its value.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _status = self.0.wait();
    }
}

/// Says that nothing was tested, unless a variable says that it must be.
pub(crate) fn missing(what: &str, variable: &str) {
    let required = std::env::var(variable).is_ok_and(|value| value == "required");
    assert!(!required, "{what} is required, but is not there");
    #[expect(clippy::print_stderr, reason = "a test that tests nothing must say so")]
    {
        eprintln!("{what} is not installed; nothing was tested");
    }
}

/// Finds nginx; nothing if it is not installed.
pub(crate) fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let found = folders.map(|folder| folder.join("nginx")).find(|file| file.is_file());
    if found.is_none() {
        missing("nginx", "TEST_NGINX");
    }
    found
}

/// Writes `cert.pem` and `key.pem`, which nobody trusts.
pub(crate) fn self_signed(folder: &Path) {
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    fs::write(folder.join("cert.pem"), certified.cert.pem()).unwrap();
    fs::write(folder.join("key.pem"), certified.signing_key.serialize_pem()).unwrap();
}

/// Starts nginx on free ports: one process without files beside the folder's, which may run as
/// anybody. A function returns what its block `http` holds.
pub(crate) fn start<const N: usize>(
    program: &Path,
    folder: &Path,
    http: impl Fn([u16; N]) -> String,
) -> (Running, [u16; N]) {
    // Between finding a port and listening on it, it may be taken: then others are tried.
    for _ in 0..5 {
        let ports = [(); N].map(|()| free_port());
        let config = format!(
            "daemon off; master_process off; worker_processes 1; pid nginx.pid; error_log error.log;
            events {{ worker_connections 512; }}
            http {{
                client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
                uwsgi_temp_path uwsgi; scgi_temp_path scgi;
                {}
            }}",
            http(ports)
        );
        fs::write(folder.join("nginx.conf"), config).unwrap();
        let child = Command::new(program)
            .arg("-p")
            .arg(folder)
            .args(["-c", "nginx.conf", "-e", "error.log"])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut running = Running(child);
        let limit = clock::now() + Duration::from_secs(10);
        while clock::now() < limit && running.0.try_wait().unwrap().is_none() {
            if ports.iter().all(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok()) {
                return (running, ports);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    let log = fs::read_to_string(folder.join("error.log")).unwrap_or_default();
    panic!("nginx does not start:\n{log}");
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

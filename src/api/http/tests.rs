//! What a request costs in allocations, from a script's call to its sample.

use std::cell::Cell;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;

use super::MODULE;
use crate::api::{Args, Run, Value, VuContext, fixture};
use crate::script::rhai::allocated_blocks;

/// Starts a server that answers every read alike, for one connection.
fn server(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        while socket.read(&mut request).is_ok_and(|size| size > 0) {
            socket.write_all(answer.as_bytes()).unwrap();
        }
    });
    address
}

/// Calls a function of the module and returns the status and how often memory was asked for: from
/// the call to when the answer is dropped.
async fn blocks(vu: &Rc<VuContext>, name: &str, values: Vec<Value>) -> (Value, usize) {
    let function = MODULE.functions.iter().find(|function| function.name == name).unwrap();
    let Run::Wait(run) = function.run else { panic!("{name} does not wait") };
    let args = Args::new("http.call", function.params, values);
    let before = allocated_blocks();
    let Value::Object(answer) = run(vu, args).unwrap().await.unwrap() else { panic!("no object") };
    let status = answer.get(vu, "status").unwrap().unwrap();
    drop(answer);
    (status, allocated_blocks() - before)
}

/// Returns the fewest allocations of some calls on a kept connection.
fn fewest(name: &str, rest: &[Value]) -> usize {
    let answer =
        "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok";
    let url = format!("http://{}/path?query", server(answer));
    let vu = fixture::vu(1);
    let least = Cell::new(usize::MAX);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        // The first ones connect, make a series, and grow what is then kept. A series' records are
        // put into a histogram now and then, which is not the request's.
        for _ in 0..40 {
            let mut values = vec![Value::text(url.as_str())];
            values.extend_from_slice(rest);
            let (status, blocks) = blocks(&vu, name, values).await;
            assert_eq!(status, Value::Int(200));
            least.set(least.get().min(blocks));
        }
    });
    least.get()
}

#[test]
fn a_get_on_a_kept_connection_allocates_its_future_its_answer_and_its_body() {
    assert_eq!(fewest("get", &[]), 3);
}

#[test]
fn a_post_allocates_its_head_besides() {
    let blocks = fewest("post", &["body".into()]);
    assert!(blocks <= 12, "{blocks} allocations");
}

#[test]
fn what_a_request_waits_in_stays_small_since_it_is_moved_as_a_whole() {
    let vu = fixture::vu(1);
    let values = vec![Value::text("http://127.0.0.1:9/")];
    let mut args = Args::new("http.get", &["url", "params?"], values);
    let call = super::Call::read(&vu, &mut args, 0, http::Method::GET, false, None).unwrap();
    let size = size_of_val(&super::send::send(vu, call));
    assert!(size <= 1_700, "it takes {size} bytes");
}

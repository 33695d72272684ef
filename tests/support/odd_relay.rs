//! A JSON-RPC server on the loopback that misbehaves as the path of the request says.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use serde_json::{Value, json};

/// Starts a server for as long as the process lives.
pub(crate) fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            // A client that goes away in the middle ends its own thread alone.
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

/// A request as it came.
struct Request {
    path: String,
    /// As they stood there, names and values.
    headers: Vec<(String, String)>,
    body: String,
}

/// Answers requests until the client closes, or the path says to.
fn serve(stream: TcpStream) -> std::io::Result<()> {
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader)? {
        let (status, body) = answer(&request);
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
        writer.write_all(head.as_bytes())?;
        if request.path == "/close" {
            writer.write_all(&body.as_bytes()[..body.len() / 2])?;
            return Ok(());
        }
        writer.write_all(body.as_bytes())?;
    }
    Ok(())
}

fn read(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<Request>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let path = lines[0].split(' ').nth(1).unwrap().to_owned();
    let headers = lines[1..].iter().map(|line| line.split_once(": ").unwrap());
    let headers: Vec<_> =
        headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let mut body = vec![0; length.unwrap().1.parse().unwrap()];
    reader.read_exact(&mut body)?;
    Ok(Some(Request { path, headers, body: String::from_utf8(body).unwrap() }))
}

/// Returns the right answer to a call: its params, by its id.
fn right(call: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": call["id"], "result": call["params"] })
}

fn error(id: &Value, code: i64) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": "odd" } })
}

/// Returns status and body.
fn answer(request: &Request) -> (&'static str, String) {
    let document: Value = serde_json::from_str(&request.body).unwrap();
    let single = !document.is_array();
    let calls = document.as_array().cloned().unwrap_or_else(|| vec![document.clone()]);
    let mut answers: Vec<Value> =
        calls.iter().filter(|call| call.get("id").is_some()).map(right).collect();
    let first_id = calls[0]["id"].clone();
    match request.path.as_str() {
        "/echo" => {
            // What was sent, as text, and with which headers.
            let headers: serde_json::Map<_, _> = request
                .headers
                .iter()
                .map(|(name, value)| (name.to_lowercase(), value.clone().into()))
                .collect();
            for answer in &mut answers {
                answer["result"] = json!({ "body": request.body, "headers": headers });
            }
        }
        "/reversed" => answers.reverse(),
        "/missing" => drop(answers.remove(0)),
        "/duplicate" => answers.push(answers[0].clone()),
        "/foreign" => answers.insert(0, json!({ "jsonrpc": "2.0", "id": 777, "result": 1 })),
        "/odd-elements" => answers.extend([json!(7), Value::Null, json!([])]),
        "/wrong-id" => answers[0]["id"] = json!(777),
        "/text-ids" => {
            for answer in &mut answers {
                answer["id"] = answer["id"].to_string().into();
            }
        }
        "/null-id" => answers[0] = error(&Value::Null, -32700),
        "/both" => {
            answers[0] = error(&first_id, 17);
            answers[0]["result"] = json!(1);
        }
        "/neither" => drop(answers[0].as_object_mut().unwrap().remove("result")),
        "/version-1" => {
            for answer in &mut answers {
                answer.as_object_mut().unwrap().remove("jsonrpc");
                answer["error"] = Value::Null;
            }
        }
        "/text-error" => answers[0] = json!({ "id": first_id, "error": "it broke" }),
        "/twice" => {
            return ("200 OK", format!(r#"{{"id":{first_id},"result":1,"result":2}}"#));
        }
        "/empty" => return ("200 OK", String::new()),
        "/garbage" => return ("200 OK", format!("<html>{}", "x".repeat(2_000))),
        "/one-for-all" => return ("200 OK", error(&Value::Null, -32005).to_string()),
        "/one-result" => return ("200 OK", answers[0].to_string()),
        "/array" => return ("200 OK", Value::from(answers).to_string()),
        "/500-error" => return ("500 Oops", error(&first_id, -32603).to_string()),
        "/500-result" => return ("500 Oops", answers[0].to_string()),
        "/502" => return ("502 Bad Gateway", "<html>bad gateway</html>".to_owned()),
        "/304" => return ("304 Not Modified", String::new()),
        "/close" => {}
        other => panic!("there is no {other}"),
    }
    let body = if single {
        answers.first().map(Value::to_string).unwrap_or_default()
    } else {
        Value::from(answers).to_string()
    };
    ("200 OK", body)
}

//! Names and addresses: what is blocked, and where connections come from.

use std::cell::Cell;
use std::rc::Rc;

use kingtide::protocol::{ErrorKind, HttpClient, Network};
use serde_json::json;

use crate::loopback::{Peer, Server};
use crate::requests::{OK, assert_ok, client, get, kind, plan, run};

#[test]
fn a_blocked_name_is_not_even_looked_up() {
    run(async || {
        let server = Server::answering(OK).await;
        let address = server.address.to_string();
        let plan = plan(json!({
            "block_hostnames": ["blocked.test", "*.blocked.test"],
            "hosts": { "blocked.test": address, "a.blocked.test": address, "ok.test": address },
        }));
        let client = client(plan);
        for host in ["blocked.test", "a.blocked.test", "A.B.Blocked.test"] {
            let response = get(&client, &format!("http://{host}/")).await;
            assert_eq!(kind(&response), ErrorKind::BlockedHost, "{host}");
            assert_eq!(kind(&response).code(), 1111);
            let error = response.exchange.error.expect("an error");
            assert_eq!(error.message, "host is blocked");
            assert_eq!(error.detail.expect("the host"), host.to_ascii_lowercase());
        }
        assert_ok(&get(&client, "http://ok.test/").await);
        assert_eq!(server.connections.get(), 1);
    });
}

#[test]
fn a_redirect_does_not_lead_to_what_is_blocked() {
    run(async || {
        let server = Server::start(async |mut peer: Peer| {
            let port = peer.local_port();
            peer.request().await;
            let head = "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: ";
            peer.write(format!("{head}http://localhost:{port}/\r\n\r\n")).await;
        })
        .await;
        let client = client(plan(json!({ "block_hostnames": ["localhost"] })));
        assert_eq!(kind(&get(&client, &server.url("/")).await), ErrorKind::BlockedHost);
        assert_eq!(server.connections.get(), 1);
    });
}

#[test]
fn a_blocked_address_is_blocked_however_it_is_found() {
    run(async || {
        let server = Server::answering(OK).await;
        let port = server.address.port();
        let client = client(plan(json!({
            "blacklist_ips": ["127.0.0.0/8", "::1"],
            "hosts": { "pinned.test": format!("127.0.0.1:{port}") },
        })));
        for host in
            ["127.0.0.1", "127.0.0.2", "localhost", "pinned.test", "[::1]", "[::ffff:127.0.0.1]"]
        {
            let response = get(&client, &format!("http://{host}:{port}/")).await;
            assert_eq!(kind(&response), ErrorKind::BlockedAddress, "{host}");
            assert_eq!(kind(&response).code(), 1110);
        }
        assert_eq!(server.connections.get(), 0);
    });
}

#[test]
fn vus_come_from_addresses_of_their_own() {
    run(async || {
        let came_from = Rc::new(Cell::new(None));
        let heard = Rc::clone(&came_from);
        let server = Server::start(async move |mut peer: Peer| {
            heard.set(Some(peer.remote_ip()));
            while peer.request().await.is_some() {
                peer.write(OK).await;
            }
        })
        .await;
        let plan = Rc::new(plan(json!({ "local_ips": "127.1.0.1-127.1.0.2,127.1.1.0/30" })));
        let network = Network::new(&plan).expect("network");
        for (number, expected) in
            ["127.1.0.1", "127.1.0.2", "127.1.1.1", "127.1.1.2", "127.1.0.1"].iter().enumerate()
        {
            let client = HttpClient::new(Rc::clone(&network), Rc::clone(&plan));
            client.set_number(number as u64);
            assert_ok(&get(&client, &server.url("/")).await);
            assert_eq!(came_from.take().expect("a connection").to_string(), *expected);
        }
    });
}

#[test]
fn an_address_that_is_not_ours_or_of_another_family_cannot_be_come_from() {
    run(async || {
        let server = Server::answering(OK).await;
        for (local, message) in
            [("192.0.2.77", "no such local address"), ("::1", "local address of another family")]
        {
            let client = client(plan(json!({ "local_ips": [local] })));
            client.set_number(0);
            let response = get(&client, &server.url("/")).await;
            assert_eq!((kind(&response), kind(&response).code()), (ErrorKind::Dial, 1210));
            assert_eq!(response.exchange.error.expect("an error").message, message);
        }
        assert_eq!(server.connections.get(), 0);
    });
}

#[test]
fn a_loopback_address_cannot_reach_the_world() {
    run(async || {
        let client = client(plan(json!({ "local_ips": ["127.0.0.1"] })));
        client.set_number(0);
        // TEST-NET-1 (RFC 5737); the system refuses before anything is sent.
        let response = get(&client, "http://192.0.2.1:9/").await;
        assert_eq!(kind(&response), ErrorKind::UnknownDialError);
        assert_eq!(kind(&response).code(), 1213);
    });
}

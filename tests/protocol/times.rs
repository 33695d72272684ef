//! Where a request's time went, when it is over, and when it is cut off.

use std::future::pending;
use std::time::Duration;

use http::Method;
use kingtide::protocol::ErrorKind;

use super::{MS, client};
use crate::loopback::{Peer, Server};
use crate::requests::{OK, assert_ok, get, kind, request, run, send};

#[test]
fn a_timeout_shows_where_the_time_went() {
    run(async || {
        let limited = async |server: &Server| {
            let mut slow = request(Method::GET, &server.url("/"));
            slow.timeout = 60 * MS;
            let response = send(&client(), slow).await;
            let error = response.exchange.error.clone().expect("error");
            assert_eq!((error.kind.code(), error.message.as_str()), (1050, "request timeout"));
            response.exchange
        };
        let never = Server::start(Peer::hold).await;
        let exchange = limited(&never).await;
        assert!(exchange.timings.waiting > 50 * MS, "{:?}", exchange.timings);
        assert_eq!((exchange.status, exchange.timings.receiving), (None, Duration::ZERO));

        let slow_head = Server::start(async |mut peer: Peer| {
            peer.request().await;
            peer.write("HTTP/1.1 2").await;
            peer.hold().await;
        })
        .await;
        let exchange = limited(&slow_head).await;
        assert!(exchange.timings.receiving > 50 * MS, "{:?}", exchange.timings);
        assert_eq!(exchange.status, None);

        let slow_body = Server::start(async |mut peer: Peer| {
            peer.request().await;
            peer.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel").await;
            peer.hold().await;
        })
        .await;
        let exchange = limited(&slow_body).await;
        assert!(exchange.timings.receiving > 50 * MS, "{:?}", exchange.timings);
        assert_eq!(exchange.status.expect("status"), 200);
    });
}

#[test]
fn a_request_that_nobody_reads_times_out_while_sending() {
    run(async || {
        let server = Server::start(async |peer: Peer| {
            let _unread = peer;
            pending::<()>().await;
        })
        .await;
        let mut large = request(Method::POST, &server.url("/"));
        large.body = vec![0; 32 << 20].into();
        large.timeout = 300 * MS;
        let response = send(&client(), large).await;
        assert_eq!(kind(&response), ErrorKind::Timeout);
        let timings = response.exchange.timings;
        assert!(timings.sending > 150 * MS && timings.waiting == Duration::ZERO, "{timings:?}");
    });
}

#[test]
fn a_connect_that_is_never_answered_shows_in_connecting_and_blocked() {
    run(async || {
        let socket = tokio::net::TcpSocket::new_v4().expect("socket");
        socket.bind(([127, 0, 0, 1], 0).into()).expect("bind");
        let listener = socket.listen(1).expect("listen");
        let address = listener.local_addr().expect("address");
        let mut kept = Vec::new();
        let short = 100 * MS;
        while let Ok(connected) =
            tokio::time::timeout(short, tokio::net::TcpStream::connect(address)).await
        {
            kept.push(connected.expect("backlog"));
            assert!(kept.len() < 64, "the backlog never fills");
        }
        let mut lost = request(Method::GET, &format!("http://{address}/"));
        lost.timeout = short;
        let response = send(&client(), lost).await;
        assert_eq!(kind(&response), ErrorKind::Timeout);
        let timings = response.exchange.timings;
        assert!(timings.connecting > 80 * MS && timings.blocked >= timings.connecting);
        assert_eq!(timings.duration(), Duration::ZERO);
    });
}

#[test]
fn timings_are_those_of_the_server() {
    run(async || {
        let server = Server::start(async |mut peer: Peer| {
            while peer.request().await.is_some() {
                tokio::time::sleep(60 * MS).await;
                peer.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no").await;
                tokio::time::sleep(40 * MS).await;
                peer.write("k").await;
            }
        })
        .await;
        let response = get(&client(), &server.url("/")).await;
        assert_ok(&response);
        let timings = response.exchange.timings;
        let near = |got: Duration, want: u32| got >= (want - 2) * MS && got < (want + 200) * MS;
        assert!(near(timings.waiting, 60), "{timings:?}");
        assert!(near(timings.receiving, 40), "{timings:?}");
        assert!(timings.connecting > Duration::ZERO && timings.blocked >= timings.connecting);
        assert!(timings.sending > Duration::ZERO && timings.sending < 50 * MS);
        assert_eq!(timings.tls_handshaking, Duration::ZERO);
    });
}

#[test]
fn a_cut_ends_the_exchange_at_once_with_the_time_that_it_had() {
    run(async || {
        let server = Server::start(Peer::hold).await;
        let mut observed = None;
        let asked = request(Method::GET, &server.url("/"));
        let client = client();
        let cut = tokio::time::sleep(50 * MS);
        let response = client.send(asked, None, cut, |e| observed = Some(e.timings)).await;
        assert_eq!(kind(&response), ErrorKind::Cut);
        assert_eq!(observed, Some(response.exchange.timings));
        let waiting = response.exchange.timings.waiting;
        assert!(waiting > 40 * MS && waiting < 5000 * MS);
    });
}

#[test]
fn what_is_cut_before_it_begins_connects_nowhere_and_shows_no_password() {
    run(async || {
        let server = Server::answering(OK).await;
        let url = format!("http://user:secret@{}/", server.address);
        let asked = request(Method::GET, &url);
        let response = client().send(asked, None, std::future::ready(()), |_| {}).await;
        assert_eq!(kind(&response), ErrorKind::Cut);
        assert_eq!(response.exchange.url.as_str(), server.url("/"));
        assert_eq!(server.connections.get(), 0);
    });
}

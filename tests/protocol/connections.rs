//! Which connections are kept and used again, and where they lead.

use std::cell::Cell;
use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use http::Method;
use kingtide::plan::HttpPlan;
use kingtide::protocol::ErrorKind;

use super::{MS, client, client_with, plan};
use crate::loopback::{Peer, Server};
use crate::requests::{OK, assert_ok, get, kind, request, run, send};

#[test]
fn connections_are_kept_unless_either_side_says_otherwise() {
    run(async || {
        let server = Server::answering(OK).await;
        let kept = client();
        for _ in 0..5 {
            let response = get(&kept, &server.url("/")).await;
            assert_ok(&response);
        }
        assert_eq!(server.connections.get(), 1);
        let again = get(&kept, &server.url("/")).await.exchange.timings;
        assert_eq!((again.connecting, again.looking_up, again.blocked), Default::default());
        kept.close_idle();
        get(&kept, &server.url("/")).await;
        assert_eq!(server.connections.get(), 2);

        let never = client_with(HttpPlan { no_connection_reuse: true, ..plan() });
        for _ in 0..3 {
            assert_ok(&get(&never, &server.url("/")).await);
        }
        assert_eq!(server.connections.get(), 5);
        let last = server.seen.borrow().last().cloned().expect("request");
        assert_eq!(last.header("connection"), Some("close"));

        let server = Server::answering(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        )
        .await;
        for _ in 0..3 {
            assert_ok(&get(&kept, &server.url("/")).await);
        }
        assert_eq!(server.connections.get(), 3);
    });
}

#[test]
fn a_kept_connection_that_the_server_closed_is_replaced() {
    run(async || {
        let server = Server::start(async |mut peer: Peer| {
            peer.request().await;
            peer.write(OK).await;
        })
        .await;
        let client = client();
        for method in [Method::GET, Method::POST, Method::POST] {
            let response = send(&client, request(method, &server.url("/"))).await;
            assert_ok(&response);
            // The worker sees the end of the connection while the VU thinks.
            tokio::time::sleep(5 * MS).await;
        }
        assert_eq!(server.connections.get(), 3);
        assert_eq!(server.seen.borrow().len(), 3);
    });
}

#[test]
fn only_what_may_be_repeated_is_sent_again_when_a_kept_connection_dies_under_it() {
    run(async || {
        // The first connection answers once and drops the second request unanswered.
        let server = Server::start(async |mut peer: Peer| {
            peer.request().await;
            peer.write(OK).await;
            if peer.number > 0 {
                peer.hold().await;
            } else {
                peer.request().await;
            }
        })
        .await;
        let other = client();
        assert_ok(&get(&other, &server.url("/first")).await);
        let mut hops = 0;
        let again = request(Method::GET, &server.url("/again"));
        assert_ok(&other.send(again, None, pending(), |_| hops += 1).await);
        assert_eq!((hops, server.connections.get()), (1, 2));
        let came_on: Vec<usize> = server.seen.borrow().iter().map(|s| s.connection).collect();
        assert_eq!(came_on, [0, 0, 1]);
    });
    run(async || {
        let server = Server::start(async |mut peer: Peer| {
            peer.request().await;
            peer.write(OK).await;
            peer.request().await;
        })
        .await;
        let client = client();
        assert_ok(&get(&client, &server.url("/")).await);
        let post = send(&client, request(Method::POST, &server.url("/"))).await;
        assert_eq!(kind(&post), ErrorKind::ClosedEarly);
        assert_eq!(server.connections.get(), 1);
    });
}

#[test]
fn parallel_requests_have_connections_of_their_own_up_to_the_limit() {
    run(async || {
        let (now, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let (busy, peak) = (Rc::clone(&now), Rc::clone(&most));
        let server = Server::start(async move |mut peer: Peer| {
            while peer.request().await.is_some() {
                busy.set(busy.get() + 1);
                peak.set(peak.get().max(busy.get()));
                tokio::time::sleep(30 * MS).await;
                busy.set(busy.get() - 1);
                peer.write(OK).await;
            }
        })
        .await;
        let client = client_with(HttpPlan { connections_max: 2, ..plan() });
        let url = server.url("/");
        let all = (0..4).map(|_| get(&client, &url));
        let answers = futures_util::future::join_all(all).await;
        answers.iter().for_each(assert_ok);
        assert_eq!((most.get(), server.connections.get()), (2, 2));
        let waited = answers.iter().filter(|r| r.exchange.timings.blocked > 20 * MS).count();
        assert_eq!(waited, 2);
    });
}

#[test]
fn kept_connections_to_many_servers_stay_within_the_limit() {
    run(async || {
        let client = client_with(HttpPlan { connections_max: 2, ..plan() });
        let mut servers = Vec::new();
        for _ in 0..3 {
            servers.push(Server::answering(OK).await);
        }
        for server in servers.iter().chain(servers.iter().rev()) {
            assert_ok(&get(&client, &server.url("/")).await);
        }
        // The third pushed the first one out; the second was still there.
        let opened: Vec<usize> = servers.iter().map(|s| s.connections.get()).collect();
        assert_eq!(opened, [2, 1, 1]);
    });
}

#[test]
fn a_failed_exchange_leaves_the_other_connections_alone() {
    run(async || {
        let server = Server::start(async |mut peer: Peer| {
            while let Some(seen) = peer.request().await {
                if seen.target() == "/never" {
                    return peer.hold().await;
                }
                peer.write(OK).await;
            }
        })
        .await;
        let client = client();
        let mut never = request(Method::GET, &server.url("/never"));
        never.timeout = 50 * MS;
        let (good, bad) = tokio::join!(
            async {
                assert_ok(&get(&client, &server.url("/")).await);
                tokio::time::sleep(80 * MS).await;
                get(&client, &server.url("/")).await
            },
            send(&client, never),
        );
        assert_ok(&good);
        assert_eq!(kind(&bad), ErrorKind::Timeout);
        assert_eq!(server.connections.get(), 2);
    });
}

#[test]
fn hosts_of_the_plan_go_before_dns_and_keep_the_name() {
    run(async || {
        let server = Server::answering(OK).await;
        let mut hosts = indexmap::IndexMap::new();
        hosts.insert("*.example.test".to_owned(), server.address);
        hosts.insert("exact.test".to_owned(), ([127, 0, 0, 1], 0).into());
        let client = client_with(HttpPlan { hosts, ..plan() });
        let response = get(&client, "http://api.example.test/").await;
        assert_ok(&response);
        assert_eq!(response.exchange.timings.looking_up, Duration::ZERO);
        assert_eq!(server.seen.borrow()[0].header("host"), Some("api.example.test"));
        let port = server.address.port();
        assert_ok(&get(&client, &format!("http://exact.test:{port}/")).await);
    });
}

#[test]
fn ipv6_addresses_are_spoken_to() {
    run(async || {
        let ip = std::net::Ipv6Addr::LOCALHOST.into();
        let server = Server::listen(ip, None, async |mut peer: Peer| {
            peer.request().await;
            peer.write(OK).await;
        })
        .await;
        let response = get(&client(), &server.url("/")).await;
        assert_ok(&response);
        let host = format!("[::1]:{}", server.address.port());
        assert_eq!(server.seen.borrow()[0].header("host"), Some(host.as_str()));
    });
}

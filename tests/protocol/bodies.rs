//! Bodies: framed, packed, large, cut, and not wanted.

use std::io::Write;

use bytes::Bytes;
use http::Method;
use kingtide::protocol::{ErrorKind, ResponseKind};

use super::{at_text, client};
use crate::loopback::{Peer, Server};
use crate::requests::{assert_ok, get, kind, request, run, send};

/// "kingtide" five times over, as brotli 1.1.0 packs it.
const BROTLI: &[u8] = &[
    0x1b, 0x27, 0x00, 0xf8, 0x8d, 0x94, 0xa9, 0xe3, 0x5b, 0x92, 0xad, 0xb9, 0x75, 0xd9, 0x59, 0x1a,
    0x9d, 0xe8, 0x27, 0x1c, 0xa0, 0xda, 0x03,
];

fn packed(coding: &str, bytes: &[u8]) -> Vec<u8> {
    let fast = flate2::Compression::fast();
    match coding {
        "gzip" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), fast);
            encoder.write_all(bytes).expect("memory");
            encoder.finish().expect("memory")
        }
        "zlib" => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), fast);
            encoder.write_all(bytes).expect("memory");
            encoder.finish().expect("memory")
        }
        "raw" => {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), fast);
            encoder.write_all(bytes).expect("memory");
            encoder.finish().expect("memory")
        }
        _ => {
            let mut all = Vec::new();
            zstd::stream::copy_encode(bytes, &mut all, 1).expect("memory");
            all
        }
    }
}

fn encoded(codings: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: {codings}\r\nContent-Length: {length}\r\n");
    [head.as_bytes(), b"\r\n", body].concat()
}

#[test]
fn a_longer_body_than_announced_is_cut_there_and_its_connection_not_used_again() {
    run(async || {
        let server =
            Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokGARBAGE").await;
        let client = client();
        for _ in 0..2 {
            let response = get(&client, &server.url("/")).await;
            assert_ok(&response);
            assert_eq!(response.body, "ok");
        }
        assert_eq!(server.connections.get(), 2);
    });
}

#[test]
fn bodies_are_framed_in_every_way_that_http_has() {
    run(async || {
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                       3;ext=1\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: x\r\n\r\n";
        let early = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\
                     HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        let old = "HTTP/1.0 200 OK\r\n\r\nhello";
        let to_the_end = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello";
        for answer in [chunked, early, old, to_the_end] {
            let response = at_text(answer).await;
            assert_ok(&response);
            assert_eq!(response.body, "hello", "{answer:?}");
        }
        for answer in [
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
        ] {
            let response = at_text(answer).await;
            assert_eq!((response.exchange.error, response.body.len()), (None, 0));
        }
        let server = Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n").await;
        let client = client();
        for _ in 0..2 {
            assert_ok(&send(&client, request(Method::HEAD, &server.url("/"))).await);
        }
        assert_eq!(server.connections.get(), 1);
    });
}

#[test]
fn codings_are_undone_and_broken_or_huge_ones_are_errors() {
    run(async || {
        let text = "kingtide".repeat(5).into_bytes();
        let both = packed("gzip", &packed("zlib", &text));
        for (codings, body) in [
            ("gzip", packed("gzip", &text)),
            ("deflate", packed("zlib", &text)),
            ("deflate", packed("raw", &text)),
            ("zstd", packed("zstd", &text)),
            ("br", BROTLI.to_vec()),
            ("deflate, gzip", both),
        ] {
            let response = at_text(encoded(codings, &body)).await;
            assert_ok(&response);
            assert_eq!(response.body, text, "{codings}");
        }
        let broken = at_text(encoded("gzip", b"no gzip at all")).await;
        assert_eq!((kind(&broken), kind(&broken).code()), (ErrorKind::Decompression, 1701));
        assert_eq!(broken.exchange.status.expect("status"), 200);
        let bomb = at_text(encoded("gzip", &packed("gzip", &vec![0; 3 << 20]))).await;
        assert_eq!(kind(&bomb), ErrorKind::BodyTooLarge);
        assert!(bomb.body.is_empty());
    });
}

#[test]
fn plain_bodies_have_the_same_limit_announced_or_not() {
    run(async || {
        let size = (1 << 20) + 1;
        let announced = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n");
        assert_eq!(kind(&at_text(announced).await), ErrorKind::BodyTooLarge);
        let unannounced = [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'x'; size]].concat();
        assert_eq!(kind(&at_text(unannounced).await), ErrorKind::BodyTooLarge);
    });
}

#[test]
fn large_bodies_pass_both_ways_on_a_kept_connection() {
    run(async || {
        let server = Server::start(async |mut peer: Peer| {
            while let Some(seen) = peer.request().await {
                let length = seen.body.len();
                peer.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n")).await;
                peer.write(&seen.body).await;
            }
        })
        .await;
        let client = client();
        let body: Bytes = (0..700_000_u32).map(|n| n as u8).collect();
        for _ in 0..3 {
            let mut put = request(Method::PUT, &server.url("/"));
            put.body = body.clone();
            let response = send(&client, put).await;
            assert_ok(&response);
            assert!(response.body == body);
        }
        assert_eq!(server.connections.get(), 1);
        let (sent, received) = client.take_bytes();
        assert!(sent > 2_100_000 && received > 2_100_000);
    });
}

#[test]
fn a_discarded_body_is_read_and_its_connection_kept() {
    run(async || {
        let size = 3 << 20;
        let server = Server::start(async move |mut peer: Peer| {
            while peer.request().await.is_some() {
                peer.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n")).await;
                peer.write(vec![b'x'; size]).await;
            }
        })
        .await;
        let client = client();
        for _ in 0..2 {
            let mut discarded = request(Method::GET, &server.url("/"));
            discarded.response = ResponseKind::Discard;
            let response = send(&client, discarded).await;
            assert_ok(&response);
            assert!(response.body.is_empty());
        }
        assert_eq!(server.connections.get(), 1);
        assert!(client.take_bytes().1 > 2 * size as u64);
    });
}

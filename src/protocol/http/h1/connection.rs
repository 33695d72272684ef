//! One connection: it writes a request, reads the answer into the worker's buffer, and keeps nothing.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::ReadBuf;

use super::answer::{Answer, Event};
use super::request::{Outgoing, Unsent};
use crate::clock::{self, Instant};
use crate::protocol::connect::{Dialed, Origin};
use crate::protocol::io::Stream;
use crate::protocol::timing::Stamps;
use crate::protocol::{ErrorKind, Network, ProtocolError};

/// As much of the worker's write buffer as is kept between requests.
const OUT_BYTES_KEPT: usize = 64 * 1024;

/// An open connection that serves one exchange at a time.
#[derive(Debug)]
pub(in crate::protocol::http) struct Connection {
    stream: Stream,
    /// Whether it can serve another exchange: the last one came to its end.
    fit: bool,
    /// When the last exchange ended.
    idle_since: Instant,
    pub(in crate::protocol::http) origin: Rc<Origin>,
    /// Nothing for a Unix socket.
    pub(in crate::protocol::http) remote: Option<SocketAddr>,
    /// Empty without TLS.
    pub(in crate::protocol::http) tls_version: &'static str,
    /// What came behind the head of an answer that switched protocols.
    leftover: Vec<u8>,
}

/// One exchange on its way.
struct Exchange<'a> {
    network: &'a Network,
    stamps: &'a Stamps,
    answer: Answer<'a>,
    unsent: Unsent,
    /// Why the request could not be written. The answer may have come all the same.
    broken: Option<io::Error>,
}

impl Connection {
    /// Takes over a fresh connection.
    pub(in crate::protocol::http) fn new(dialed: Dialed, origin: Rc<Origin>) -> Self {
        Self {
            stream: dialed.stream,
            fit: true,
            idle_since: clock::now(),
            origin,
            remote: dialed.remote,
            tls_version: dialed.tls_version,
            leftover: Vec::new(),
        }
    }

    /// Returns whether a request can be sent now, as far as the worker has looked at its sockets.
    ///
    /// A kept connection says nothing: what comes unasked, its end above all, makes it useless.
    pub(in crate::protocol::http) fn is_usable(&mut self) -> bool {
        self.fit && self.stream.is_quiet()
    }

    /// Sends a request and hands the events of its answer to `take`, [`Event::End`] excepted: the
    /// answer was read to its end when this returns. 1xx heads but 101 are passed over.
    ///
    /// Dropping the future and then the connection closes it.
    ///
    /// # Errors
    ///
    /// What happened to the connection or the answer, or what `take` returned.
    pub(in crate::protocol::http) async fn exchange(
        &mut self,
        request: &Outgoing<'_>,
        network: &Network,
        stamps: &Stamps,
        mut take: impl FnMut(Event<'_>) -> Result<(), ProtocolError>,
    ) -> Result<(), ProtocolError> {
        self.fit = false;
        let answer = Answer::to(request.method, &network.heads);
        let mut exchange =
            Exchange { network, stamps, answer, unsent: Unsent::default(), broken: None };
        let mut begun = false;
        poll_fn(|cx| {
            if !std::mem::replace(&mut begun, true) {
                exchange.begin(cx, &mut self.stream, request);
            }
            exchange.send(cx, &mut self.stream)?;
            let left = ready!(exchange.receive(cx, &mut self.stream, &mut take))?;
            let sent = exchange.broken.is_none() && exchange.unsent.is_done();
            self.fit = left.is_empty() && sent && exchange.answer.keeps_alive() && !request.closes;
            self.leftover = left;
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Returns for how long nothing was on it.
    pub(in crate::protocol::http) fn idle_time(&self) -> Duration {
        clock::now().saturating_duration_since(self.idle_since)
    }

    /// Ends an exchange; returns whether the connection serves another.
    pub(in crate::protocol::http) fn settle(&mut self, stamps: &Stamps) -> bool {
        self.idle_since = stamps.last_read().unwrap_or_else(clock::now);
        self.fit
    }

    /// Takes leave of the server: with TLS it is told that nothing was cut off.
    pub(in crate::protocol::http) fn close(mut self) {
        if self.fit {
            self.stream.say_goodbye();
        }
    }

    /// Hands out the stream after an answer that switched protocols, with what came behind its head.
    pub(in crate::protocol::http) fn into_upgraded(self) -> (Stream, Vec<u8>) {
        (self.stream, self.leftover)
    }
}

impl Exchange<'_> {
    /// Encodes the request into the worker's buffer and writes it from there: most leave whole.
    fn begin(&mut self, cx: &mut Context<'_>, stream: &mut Stream, request: &Outgoing<'_>) {
        let mut out = self.network.out.borrow_mut();
        out.clear();
        self.unsent = request.encode(&mut out);
        let written = match stream.poll_write(cx, &out, self.stamps) {
            Poll::Ready(Ok(written)) => written,
            Poll::Ready(Err(error)) => return self.give_up(error),
            Poll::Pending => 0,
        };
        if written < out.len() {
            self.unsent.put_back(&out[written..]);
        }
        out.shrink_to(OUT_BYTES_KEPT);
    }

    /// Writes what is left of the request as far as the socket takes it.
    ///
    /// # Errors
    ///
    /// The body cannot be read any more: nobody can say how it would have gone on.
    fn send(&mut self, cx: &mut Context<'_>, stream: &mut Stream) -> Result<(), ProtocolError> {
        while let Some(bytes) = self.unsent.next()? {
            match stream.poll_write(cx, bytes, self.stamps) {
                Poll::Ready(Ok(written)) => self.unsent.advance(written),
                Poll::Ready(Err(error)) => {
                    self.give_up(error);
                    return Ok(());
                }
                Poll::Pending => return Ok(()),
            }
        }
        if let Poll::Ready(Err(error)) = stream.poll_flush(cx, self.stamps) {
            self.give_up(error);
        }
        Ok(())
    }

    /// Stops writing. A server that closes early may have said why: the answer is still read.
    fn give_up(&mut self, error: io::Error) {
        self.unsent = Unsent::default();
        self.broken.get_or_insert(error);
    }

    /// Reads until the answer ends; returns what came behind it.
    fn receive(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut Stream,
        take: &mut impl FnMut(Event<'_>) -> Result<(), ProtocolError>,
    ) -> Poll<Result<Vec<u8>, ProtocolError>> {
        loop {
            let mut scratch = self.network.scratch();
            let mut buffer = ReadBuf::new(&mut scratch);
            if let Err(error) = ready!(stream.poll_read(cx, &mut buffer, self.stamps)) {
                return Poll::Ready(Err(self.explain(&error)));
            }
            let mut input = buffer.filled();
            if input.is_empty() {
                return Poll::Ready(self.close());
            }
            while let Some(event) = self.answer.next(&mut input)? {
                if event == Event::End {
                    return Poll::Ready(Ok(input.to_vec()));
                }
                take(event)?;
            }
        }
    }

    /// Says what the end of the stream means.
    fn close(&self) -> Result<Vec<u8>, ProtocolError> {
        match self.answer.close() {
            Ok(()) => Ok(Vec::new()),
            Err(error) if error.kind == ErrorKind::ClosedEarly => {
                Err(self.broken.as_ref().map_or(error, ProtocolError::from_io))
            }
            Err(error) => Err(error),
        }
    }

    /// Says what an error of the stream means.
    fn explain(&self, error: &io::Error) -> ProtocolError {
        if !self.answer.awaits_head() {
            return ProtocolError::from_io(error);
        }
        match &self.broken {
            Some(broken) => ProtocolError::from_io(broken),
            // TLS that ends without its farewell.
            None if error.kind() == io::ErrorKind::UnexpectedEof => {
                ProtocolError::from(ErrorKind::ClosedEarly).with_detail(error.to_string())
            }
            None => ProtocolError::from_io(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Method;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::protocol::Headers;
    use crate::protocol::http::h1::{Head, OutgoingHead};
    use crate::protocol::io::Metered;
    use crate::protocol::testing;

    /// Runs a test with a connection to a socket that is in the test's hand.
    fn run(test: impl AsyncFnOnce(Connection, TcpStream, Rc<Network>)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("runtime").block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
            let address = listener.local_addr().expect("address");
            let socket = TcpStream::connect(address).await.expect("connect");
            let (peer, _) = listener.accept().await.expect("accept");
            let url = url::Url::parse(&format!("http://{address}/")).expect("url");
            let stream = Stream::Plain(Metered::new(socket, Rc::default()));
            let dialed = Dialed { stream, remote: Some(address), tls_version: "" };
            let connection = Connection::new(dialed, Rc::new(Origin::of(&url).expect("origin")));
            let network = Network::new(&testing::plan()).expect("network");
            test(connection, peer, network).await;
        });
    }

    /// Makes an exchange; returns its head and its body.
    async fn exchange(
        connection: &mut Connection,
        network: &Network,
        body: &Bytes,
        stamps: &Stamps,
    ) -> Result<(Head, Vec<u8>), ProtocolError> {
        let headers = Headers::new();
        let request = Outgoing {
            method: &Method::GET,
            head: OutgoingHead::Parts("/", &headers),
            body,
            upload: None,
            chunked: false,
            closes: false,
        };
        let (mut head, mut read) = (None, Vec::new());
        let take = |event: Event<'_>| {
            match event {
                Event::Head(came, _) => head = Some(came),
                Event::Data(data) => read.extend_from_slice(data),
                Event::End => unreachable!("it is told by the end of the exchange"),
            }
            Ok(())
        };
        connection.exchange(&request, network, stamps, take).await?;
        Ok((head.expect("a head"), read))
    }

    /// Waits until the runtime has looked at its sockets.
    async fn look() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    #[test]
    fn an_idle_connection_is_usable_until_something_comes() {
        run(async |mut connection, mut peer, network| {
            let stamps = Stamps::default();
            for _ in 0..2 {
                peer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                    .await
                    .expect("write");
                let (_, body) =
                    exchange(&mut connection, &network, &Bytes::new(), &stamps).await.expect("ok");
                assert_eq!(body, b"ok");
                assert!(connection.settle(&stamps));
                look().await;
                assert!(connection.is_usable());
            }
            peer.write_all(b"unasked").await.expect("write");
            look().await;
            assert!(!connection.is_usable());
        });
        run(async |mut connection, peer, _| {
            assert!(connection.is_usable());
            drop(peer);
            look().await;
            assert!(!connection.is_usable());
        });
    }

    #[test]
    fn a_stream_is_handed_out_after_a_switch_with_what_came_behind() {
        run(async |mut connection, mut peer, network| {
            let stamps = Stamps::default();
            let head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nframe";
            peer.write_all(head).await.expect("write");
            let (head, body) =
                exchange(&mut connection, &network, &Bytes::new(), &stamps).await.expect("101");
            assert_eq!((head.status.as_u16(), body.len()), (101, 0));
            assert!(!connection.settle(&stamps));
            let (mut stream, leftover) = connection.into_upgraded();
            assert_eq!(leftover, b"frame");
            poll_fn(|cx| stream.poll_write(cx, b"back", &stamps)).await.expect("write");
            let mut seen = Vec::new();
            while !seen.ends_with(b"\r\n\r\nback") {
                peer.read_buf(&mut seen).await.expect("read");
            }
        });
    }

    #[test]
    fn an_answer_counts_though_the_request_could_not_be_written() {
        run(async |mut connection, mut peer, network| {
            let stamps = Stamps::default();
            let answer = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno";
            peer.write_all(answer).await.expect("write");
            let serving = async {
                // Reads a little and leaves, without a reset as nothing of its own is unread.
                let mut some = vec![0; 1 << 16];
                peer.read_exact(&mut some).await.expect("read");
                peer.shutdown().await.expect("shutdown");
                look().await;
                drop(peer);
            };
            let body = Bytes::from(vec![b'x'; 32 << 20]);
            let (answer, ()) =
                tokio::join!(exchange(&mut connection, &network, &body, &stamps), serving);
            let (head, body) = answer.expect("an answer");
            assert_eq!((head.status.as_u16(), &body[..]), (413, &b"no"[..]));
            assert!(!connection.settle(&stamps));
        });
    }
}

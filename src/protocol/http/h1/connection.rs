//! One connection: it writes a request, reads the answer into the worker's buffer, and keeps nothing.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

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
    pub(in crate::protocol::http) idle_since: Instant,
    pub(in crate::protocol::http) origin: Origin,
    pub(in crate::protocol::http) remote: SocketAddr,
    /// Empty without TLS.
    pub(in crate::protocol::http) tls_version: &'static str,
    /// What came behind the head of an answer that switched protocols.
    leftover: Vec<u8>,
}

/// One exchange on its way.
struct Exchange<'a> {
    network: &'a Network,
    stamps: &'a Stamps,
    answer: Answer,
    unsent: Unsent,
    /// Why the request could not be written. The answer may have come all the same.
    broken: Option<ProtocolError>,
}

impl Connection {
    /// Takes over a fresh connection.
    pub(in crate::protocol::http) fn new(dialed: Dialed, origin: Origin) -> Self {
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
        request: Outgoing<'_>,
        network: &Network,
        stamps: &Stamps,
        mut take: impl FnMut(Event<'_>) -> Result<(), ProtocolError>,
    ) -> Result<(), ProtocolError> {
        self.fit = false;
        let answer = Answer::to(request.method.clone());
        let mut exchange =
            Exchange { network, stamps, answer, unsent: Unsent::default(), broken: None };
        let mut begun = false;
        poll_fn(|cx| {
            if !std::mem::replace(&mut begun, true) {
                exchange.begin(cx, &mut self.stream, request);
            }
            exchange.send(cx, &mut self.stream);
            let left = ready!(exchange.receive(cx, &mut self.stream, &mut take))?;
            let sent = exchange.broken.is_none() && exchange.unsent.next().is_none();
            self.fit = left.is_empty() && sent && exchange.answer.keeps_alive() && !request.closes;
            self.leftover = left;
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Ends an exchange; returns whether the connection serves another.
    pub(in crate::protocol::http) fn settle(&mut self) -> bool {
        self.idle_since = clock::now();
        self.fit
    }

    /// Takes leave of the server: with TLS it is told that nothing was cut off.
    pub(in crate::protocol::http) fn close(mut self) {
        if self.fit {
            self.stream.say_goodbye();
        }
    }

    /// Hands out the stream after an answer that switched protocols, with what came behind its head.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the way in for protocols that begin as HTTP")
    )]
    pub(in crate::protocol::http) fn into_upgraded(self) -> (Stream, Vec<u8>) {
        (self.stream, self.leftover)
    }
}

impl Exchange<'_> {
    /// Encodes the request into the worker's buffer and writes it from there: most leave whole.
    fn begin(&mut self, cx: &mut Context<'_>, stream: &mut Stream, request: Outgoing<'_>) {
        let mut out = self.network.out.borrow_mut();
        out.clear();
        self.unsent = request.encode(&mut out);
        let written = match stream.poll_write(cx, &out, self.stamps) {
            Poll::Ready(Ok(written)) => written,
            Poll::Ready(Err(error)) => return self.give_up(&error),
            Poll::Pending => 0,
        };
        if written < out.len() {
            self.unsent.put_back(&out[written..]);
        }
        out.shrink_to(OUT_BYTES_KEPT);
    }

    /// Writes what is left of the request as far as the socket takes it.
    fn send(&mut self, cx: &mut Context<'_>, stream: &mut Stream) {
        while let Some(bytes) = self.unsent.next() {
            match stream.poll_write(cx, bytes, self.stamps) {
                Poll::Ready(Ok(written)) => self.unsent.advance(written),
                Poll::Ready(Err(error)) => return self.give_up(&error),
                Poll::Pending => return,
            }
        }
        if let Poll::Ready(Err(error)) = stream.poll_flush(cx, self.stamps) {
            self.give_up(&error);
        }
    }

    /// Stops writing. A server that closes early may have said why: the answer is still read.
    fn give_up(&mut self, error: &io::Error) {
        self.unsent = Unsent::default();
        self.broken.get_or_insert_with(|| ProtocolError::from_io(error));
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
    fn close(&mut self) -> Result<Vec<u8>, ProtocolError> {
        match self.answer.close() {
            Ok(()) => Ok(Vec::new()),
            Err(error) if error.kind == ErrorKind::ClosedEarly => {
                Err(self.broken.take().unwrap_or(error))
            }
            Err(error) => Err(error),
        }
    }

    /// Says what an error of the stream means.
    fn explain(&mut self, error: &io::Error) -> ProtocolError {
        if !self.answer.awaits_head() {
            return ProtocolError::from_io(error);
        }
        let read = || match error.kind() {
            // TLS that ends without its farewell.
            io::ErrorKind::UnexpectedEof => {
                ProtocolError::from(ErrorKind::ClosedEarly).with_detail(error.to_string())
            }
            _ => ProtocolError::from_io(error),
        };
        self.broken.take().unwrap_or_else(read)
    }
}

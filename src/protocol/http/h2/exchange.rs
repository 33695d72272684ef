//! One request on a shared connection: its head, its body as the server lets it go, its answer.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream, SendStream};
use http::header::CONTENT_LENGTH;
use http::response::Parts;

use super::failure::Failure;
use super::line::{Lane, Line};
use super::request;
use crate::protocol::http::Headers;
use crate::protocol::http::h1::{Event, HEAD_BYTES_MAX, Head, INTERIM_MAX};
use crate::protocol::http::hop::Hop;
use crate::protocol::http::upload::Reader;
use crate::protocol::timing::Stamps;
use crate::protocol::{ErrorKind, ProtocolError};

/// How answers of HTTP/2 name it; k6's spelling.
pub(in crate::protocol::http) const HTTP2: &str = "HTTP/2.0";
/// As much of a body as is asked to be let go at once.
const PART_BYTES: usize = 64 * 1024;

impl Lane {
    /// Sends a request and hands the events of its answer to `take`, [`Event::End`] excepted: the
    /// answer was read to its end when this returns. 1xx heads are passed over, trailers dropped.
    ///
    /// Dropping the future resets the stream; the connection serves the others.
    ///
    /// # Errors
    ///
    /// What happened to the stream or the connection, or what `take` returned.
    pub(in crate::protocol::http) async fn exchange(
        &self,
        hop: &Hop,
        stamps: &Rc<Stamps>,
        mut take: impl FnMut(Event<'_>) -> Result<(), ProtocolError>,
    ) -> Result<(), Failure> {
        let line = &*self.line;
        self.begun.set(true);
        let before = |error: &h2::Error| {
            // Nothing of it was sent.
            Failure { unprocessed: !line.is_usable(), ..Failure::of(error, line, false) }
        };
        let head = request::head(hop)?;
        let mut requests = line.requests();
        poll_fn(|cx| requests.poll_ready(cx)).await.map_err(|error| before(&error))?;
        let (response, stream) =
            requests.send_request(head, !hop.has_body()).map_err(|error| before(&error))?;
        drop(requests);
        // The frames are written by another task, which has not seen them yet.
        let _followed = line.log().follow(response.stream_id().as_u32(), stamps);
        let source = hop.upload().map(Reader::new);
        let mut upload = pin!(upload(stream, hop.body.clone(), source));
        let mut uploading = hop.has_body();
        let mut answer = Answer::awaited(response);
        poll_fn(|cx| {
            if uploading && let Poll::Ready(read) = upload.as_mut().poll(cx) {
                read?;
                uploading = false;
            }
            answer.poll(cx, line, &mut take)
        })
        .await
    }
}

/// Sends a body as fast as the server's windows let it: what is in memory, or what is read. What else
/// keeps it from being sent, the answer tells.
///
/// # Errors
///
/// The body cannot be read any more. The stream is reset.
async fn upload(
    mut stream: SendStream<Bytes>,
    mut body: Bytes,
    mut source: Option<Reader>,
) -> Result<(), ProtocolError> {
    loop {
        if let Some(source) = &mut source
            && body.is_empty()
        {
            body = match source.next() {
                Ok(part) => part.unwrap_or_default(),
                Err(error) => {
                    stream.send_reset(Reason::CANCEL);
                    return Err(error);
                }
            };
        }
        if body.is_empty() {
            return Ok(());
        }
        stream.reserve_capacity(body.len().min(PART_BYTES));
        let Some(Ok(allowed)) = poll_fn(|cx| stream.poll_capacity(cx)).await else { return Ok(()) };
        let part = body.split_to(allowed.min(body.len()));
        let is_last = body.is_empty() && source.as_ref().is_none_or(Reader::is_done);
        if stream.send_data(part, is_last).is_err() {
            return Ok(());
        }
    }
}

/// The reader of one answer.
struct Answer {
    response: ResponseFuture,
    body: Option<RecvStream>,
    interims: u8,
    /// What the head says of the body's length and did not come yet.
    missing: Option<u64>,
}

impl Answer {
    fn awaited(response: ResponseFuture) -> Self {
        Self { response, body: None, interims: 0, missing: None }
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        line: &Line,
        take: &mut impl FnMut(Event<'_>) -> Result<(), ProtocolError>,
    ) -> Poll<Result<(), Failure>> {
        if self.body.is_none() {
            ready!(self.poll_interims(cx))?;
            let answer = ready!(std::pin::Pin::new(&mut self.response).poll(cx));
            let (head, body) =
                answer.map_err(|error| Failure::of(&error, line, false))?.into_parts();
            if list_bytes(&head) > HEAD_BYTES_MAX {
                return Poll::Ready(Err(ProtocolError::from(ErrorKind::HeadTooLarge).into()));
            }
            // A length without a body is that of another answer (RFC 9110, 8.6).
            let announced = if body.is_end_stream() { None } else { length(&head) };
            self.missing = announced;
            self.body = Some(body);
            take(Event::Head(taken_over(&head), announced))?;
        }
        let body = self.body.as_mut().expect("the head has come");
        loop {
            match ready!(body.poll_data(cx)) {
                Some(Ok(data)) => {
                    // What cannot be released belongs to a stream that is over.
                    let _over = body.flow_control().release_capacity(data.len());
                    self.missing = self.missing.map(|left| left.saturating_sub(data.len() as u64));
                    take(Event::Data(&data))?;
                }
                // A server that has answered needs no more of the request (RFC 9113, 8.1).
                Some(Err(error)) if is_enough(&error) => break,
                Some(Err(error)) => return Poll::Ready(Err(Failure::of(&error, line, true))),
                None => break,
            }
        }
        let short = self.missing.is_some_and(|left| left > 0);
        Poll::Ready(if short {
            Err(ProtocolError::from(ErrorKind::BodyTooShort).into())
        } else {
            Ok(())
        })
    }

    /// Passes over 1xx heads; is ready when none is there.
    fn poll_interims(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        while let Poll::Ready(Some(Ok(_))) = self.response.poll_informational(cx) {
            if self.interims == INTERIM_MAX {
                let why = "too many 1xx heads before the answer";
                let error = ProtocolError::from(ErrorKind::InvalidAnswer).with_detail(why);
                return Poll::Ready(Err(error.into()));
            }
            self.interims += 1;
        }
        Poll::Ready(Ok(()))
    }
}

fn is_enough(error: &h2::Error) -> bool {
    error.is_reset() && error.is_remote() && error.reason() == Some(Reason::NO_ERROR)
}

/// Returns how large a head is by the reckoning of HTTP/2 (RFC 9113, 6.5.2). h2 refuses what is larger
/// by far, but does not tell that from other broken heads.
fn list_bytes(head: &Parts) -> usize {
    head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum()
}

/// Returns the announced length; h2 has refused one that is no number.
fn length(head: &Parts) -> Option<u64> {
    head.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn taken_over(head: &Parts) -> Head {
    Head {
        proto: HTTP2,
        status: head.status,
        status_text: head.status.canonical_reason().unwrap_or_default().into(),
        headers: Headers::of_map(&head.headers),
    }
}

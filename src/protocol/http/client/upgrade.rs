//! Requests that leave HTTP: where a server agrees (101), its connection is handed out.

use std::cell::RefCell;
use std::pin::pin;

use bytes::Bytes;
use http::StatusCode;

use super::super::body::Body;
use super::super::h1::{Connection, Event};
use super::super::hop::Hop;
use super::super::{Request, Response, Sent, decode};
use super::{HttpClient, Progress};
use crate::clock;
use crate::plan::Http2;
use crate::protocol::io::Stream;
use crate::protocol::timing::Phase;
use crate::protocol::{CookieJar, ErrorKind, ProtocolError};

/// A connection that speaks another protocol from now on.
pub(in crate::protocol) struct Upgraded {
    pub(in crate::protocol) stream: Stream,
    /// What came behind the answer's head.
    pub(in crate::protocol) leftover: Vec<u8>,
}

impl HttpClient {
    /// Sends a request that asks for another protocol, over a connection of its own, which is not
    /// one of those that the client keeps. Never fails: what went wrong is in the answer. Redirects
    /// are not followed, whatever the request says.
    ///
    /// When `cut` resolves it ends at once with [`ErrorKind::Cut`] and the time that it had.
    pub(in crate::protocol) async fn upgrade(
        &self,
        request: Request,
        jar: Option<&RefCell<CookieJar>>,
        cut: impl Future<Output = ()>,
    ) -> (Response, Option<Upgraded>) {
        let begun = clock::now();
        let mut cut = pin!(cut);
        let mut timer = pin!(self.timer.deadline(begun, request.timeout));
        let mut hop = Hop::first(request);
        loop {
            // A second attempt, with what the server wants to be proved, is part of the time.
            let progress = Progress::start(begun);
            let mut upgraded = None;
            let result = tokio::select! {
                biased;
                () = &mut cut => Err(ErrorKind::Cut.into()),
                result = self.leave_http(&mut hop, jar, &progress, &mut upgraded) => result,
                () = &mut timer => Err(ErrorKind::Timeout.into()),
            };
            let mut response = progress.into_response(&hop, result);
            if let (Some(jar), Some(_)) = (jar, response.exchange.status) {
                jar.borrow_mut().store(&response.exchange.url, &response.headers);
            }
            if hop.is_challenged(&response, &self.digests) {
                continue;
            }
            response.sent = Sent { headers: hop.headers, body: hop.body };
            return (response, upgraded);
        }
    }

    async fn leave_http(
        &self,
        hop: &mut Hop,
        jar: Option<&RefCell<CookieJar>>,
        progress: &Progress,
        upgraded: &mut Option<Upgraded>,
    ) -> Result<Bytes, ProtocolError> {
        hop.prepare(jar, &self.network, &self.digests, false)?;
        let origin = hop.origin()?;
        // No later protocol hands its connection out.
        let watch = &progress.watch;
        let dialed = self.dial(&origin, Http2::Never, watch).await?;
        watch.enter(Phase::Exchanging);
        let mut connection = Connection::new(dialed, origin);
        progress.take_line(connection.remote, connection.tls_version, None);
        let mut body = Body::new(Some(self.plan.body_bytes_max));
        let take = |event: Event<'_>| match event {
            Event::Head(head, length) => {
                progress.head.replace(Some(head));
                body.announce(length)
            }
            Event::Data(data) => body.take(data),
            Event::End => Ok(()),
        };
        let request = hop.outgoing(&self.network);
        connection.exchange(&request, &self.network, &progress.stamps, take).await?;
        progress.done.set(true);
        let head = progress.head.borrow();
        match head.as_ref() {
            Some(head) if head.status == StatusCode::SWITCHING_PROTOCOLS => {
                let (stream, leftover) = connection.into_upgraded();
                *upgraded = Some(Upgraded { stream, leftover });
                Ok(Bytes::new())
            }
            Some(head) => {
                decode::decode(&head.headers, body.into_bytes(), self.plan.body_bytes_max)
            }
            None => Ok(Bytes::new()),
        }
    }
}

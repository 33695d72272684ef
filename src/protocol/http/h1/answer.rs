//! The reader of one answer: bytes in, events out, no I/O.

use http::{Method, StatusCode};

use super::chunked::{Chunked, Part};
use super::head::{self, Asked, Framing, HEAD_BYTES_MAX, Head, Parsed, invalid};
use super::heads::Heads;
use crate::protocol::{ErrorKind, ProtocolError};

/// Most 1xx heads before an answer: more is a server that never comes to the point.
pub(in crate::protocol::http) const INTERIM_MAX: u8 = 32;

/// Reads one answer, in whatever pieces it comes.
pub(super) struct Answer<'h> {
    asked: Asked,
    /// Where heads are looked up that come whole.
    heads: &'h Heads,
    state: State,
    /// The beginning of a head whose end has not come. An answer that comes whole needs none.
    partial: Vec<u8>,
    /// How long `partial` must be to be parsed again: looking at each byte that trickles in would
    /// take the square of the head's length.
    look_at: usize,
    interims: u8,
    keeps_alive: bool,
}

#[derive(Debug)]
enum State {
    Head,
    Length(u64),
    Chunked(Chunked),
    UntilClose,
    Done,
}

/// What an answer came to.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::protocol::http) enum Event<'b> {
    /// The head, and how long the body will be if that is known.
    Head(Head, Option<u64>),
    /// A part of the body.
    Data(&'b [u8]),
    /// The whole answer was read.
    End,
}

impl<'h> Answer<'h> {
    /// Returns a reader of the answer to a request with this method.
    pub(super) fn to(method: &Method, heads: &'h Heads) -> Self {
        Self {
            asked: Asked::by(method),
            heads,
            state: State::Head,
            partial: Vec::new(),
            look_at: 0,
            interims: 0,
            keeps_alive: false,
        }
    }

    /// Takes the next event from the front of `input`; nothing if all was read and more must come.
    ///
    /// # Errors
    ///
    /// What came is not HTTP, or larger than it may be.
    pub(super) fn next<'b>(
        &mut self,
        input: &mut &'b [u8],
    ) -> Result<Option<Event<'b>>, ProtocolError> {
        loop {
            match &mut self.state {
                State::Head => {
                    if input.is_empty() {
                        return Ok(None);
                    }
                    if let Some(event) = self.head(input)? {
                        return Ok(Some(event));
                    }
                }
                State::Length(left) => {
                    if input.is_empty() {
                        return Ok(None);
                    }
                    let size = (*left).min(input.len() as u64) as usize;
                    let (data, rest) = input.split_at(size);
                    *input = rest;
                    *left -= size as u64;
                    if *left == 0 {
                        self.state = State::Done;
                    }
                    return Ok(Some(Event::Data(data)));
                }
                State::Chunked(chunked) => match chunked.next(input)? {
                    Part::Data(data) => return Ok(Some(Event::Data(data))),
                    Part::More => return Ok(None),
                    Part::End => self.state = State::Done,
                },
                State::UntilClose if input.is_empty() => return Ok(None),
                State::UntilClose => return Ok(Some(Event::Data(std::mem::take(input)))),
                State::Done => return Ok(Some(Event::End)),
            }
        }
    }

    /// Says that the server has closed; the answer is complete if this is no error.
    ///
    /// # Errors
    ///
    /// It had more to say.
    pub(super) fn close(&self) -> Result<(), ProtocolError> {
        match self.state {
            State::Head => {
                if !self.partial.is_empty() {
                    // What stands there may be no HTTP at all.
                    head::parse(&self.partial)?;
                }
                Err(ErrorKind::ClosedEarly.into())
            }
            State::Length(_) | State::Chunked(_) => Err(ErrorKind::BodyTooShort.into()),
            State::UntilClose | State::Done => Ok(()),
        }
    }

    /// Returns whether the head has not come in full.
    pub(super) fn awaits_head(&self) -> bool {
        matches!(self.state, State::Head)
    }

    /// Returns whether the connection may serve another request once this answer has ended.
    pub(super) fn keeps_alive(&self) -> bool {
        self.keeps_alive
    }

    /// Parses a head where it lies, or behind what came of it before.
    fn head<'b>(&mut self, input: &mut &'b [u8]) -> Result<Option<Event<'b>>, ProtocolError> {
        let before = self.partial.len();
        if before == 0 {
            let (length, parsed) = self.heads.parse(input)?;
            if parsed == Parsed::Partial {
                self.partial.extend_from_slice(input);
                self.look_at = 2 * self.partial.len();
            }
            *input = if parsed == Parsed::Partial { &[] } else { &input[length..] };
            return self.begin(parsed);
        }
        let room = HEAD_BYTES_MAX.saturating_sub(before).min(input.len());
        self.partial.extend_from_slice(&input[..room]);
        let size = self.partial.len();
        let worth_a_look = size >= self.look_at || size >= HEAD_BYTES_MAX;
        if !worth_a_look && !has_empty_line(&self.partial[before.saturating_sub(2)..]) {
            *input = &[];
            return Ok(None);
        }
        let (length, parsed) = head::parse(&self.partial)?;
        if parsed == Parsed::Partial {
            self.look_at = 2 * size;
            *input = &[];
        } else {
            self.partial = Vec::new();
            // It did not end in what was there before, or it would have been found there.
            *input = &input[length.saturating_sub(before)..];
        }
        self.begin(parsed)
    }

    fn begin<'b>(&mut self, parsed: Parsed) -> Result<Option<Event<'b>>, ProtocolError> {
        let (head, said) = match parsed {
            Parsed::Partial => return Ok(None),
            Parsed::Interim if self.interims == INTERIM_MAX => {
                return Err(invalid("too many 1xx heads before the answer"));
            }
            Parsed::Interim => {
                self.interims += 1;
                return Ok(None);
            }
            Parsed::Final(head, said) => (head, said),
        };
        let framing = said.framing(self.asked, &head)?;
        // Behind these the connection speaks something else.
        let switches = head.status == StatusCode::SWITCHING_PROTOCOLS
            || self.asked == Asked::Connect && head.status.is_success();
        self.keeps_alive = said.keeps_alive(&head) && framing != Framing::UntilClose && !switches;
        let (state, length) = match framing {
            Framing::Nothing | Framing::Length(0) => (State::Done, Some(0)),
            Framing::Length(bytes) => (State::Length(bytes), Some(bytes)),
            Framing::Chunked => (State::Chunked(Chunked::default()), None),
            Framing::UntilClose => (State::UntilClose, None),
        };
        self.state = state;
        Ok(Some(Event::Head(head, length)))
    }
}

/// Returns whether a head may end in these bytes.
fn has_empty_line(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|pair| pair == b"\n\n") || bytes.windows(3).any(|three| three == b"\n\r\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads an answer in pieces of these sizes, the last one again and again, then the end of the
    /// stream: status, body, what was left over, whether the connection may be kept.
    fn read(
        method: &Method,
        bytes: &[u8],
        sizes: &[usize],
    ) -> Result<(u16, Vec<u8>, usize, bool), ErrorKind> {
        let heads = Heads::default();
        let mut answer = Answer::to(method, &heads);
        let (mut status, mut body) = (0, Vec::new());
        let (mut rest, mut sizes) = (bytes, sizes.iter().copied());
        let mut size = bytes.len().max(1);
        while !rest.is_empty() {
            size = sizes.next().unwrap_or(size).clamp(1, rest.len());
            let (mut piece, after) = rest.split_at(size);
            rest = after;
            while let Some(event) = answer.next(&mut piece).map_err(|error| error.kind)? {
                match event {
                    Event::Head(head, _) => status = head.status.as_u16(),
                    Event::Data(data) => body.extend_from_slice(data),
                    Event::End => {
                        return Ok((status, body, piece.len() + rest.len(), answer.keeps_alive()));
                    }
                }
            }
            assert!(piece.is_empty(), "what is not read is lost");
        }
        answer.close().map_err(|error| error.kind)?;
        Ok((status, body, 0, answer.keeps_alive()))
    }

    #[test]
    fn an_answer_is_the_same_wherever_it_is_split() {
        for (text, left, kept) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 0, true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP", 4, true),
            ("\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 0, true),
            (
                "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello",
                0,
                true,
            ),
            ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", 0, false),
            ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", 0, false),
            ("HTTP/1.1 200 OK\r\n\r\nhello", 0, false),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n\
                 HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                 4\r\nhell\r\n1\r\no\r\n0\r\nT: x\r\n\r\nX",
                1,
                true,
            ),
        ] {
            let expected = Ok((200, b"hello".to_vec(), left, kept));
            for first in 1..=text.len() {
                assert_eq!(
                    read(&Method::GET, text.as_bytes(), &[first, text.len()]),
                    expected,
                    "{first} {text}"
                );
            }
            assert_eq!(read(&Method::GET, text.as_bytes(), &[1]), expected, "{text}");
        }
    }

    #[test]
    fn answers_without_a_body_end_with_their_head() {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        assert_eq!(read(&Method::HEAD, head.as_bytes(), &[]), Ok((200, vec![], 0, true)));
        for (method, text, left) in [
            (Method::GET, "HTTP/1.1 204 No Content\r\n\r\nx", 1),
            (Method::GET, "HTTP/1.1 101 Switching Protocols\r\n\r\nframe", 5),
            (Method::CONNECT, "HTTP/1.1 200 OK\r\n\r\ntunnel", 6),
        ] {
            let (_, body, rest, kept) = read(&method, text.as_bytes(), &[]).expect("a head");
            assert_eq!((body.len(), rest, kept), (0, left, left == 1), "{text}");
        }
    }

    #[test]
    fn an_answer_that_breaks_off_says_where() {
        for (text, expected) in [
            ("", ErrorKind::ClosedEarly),
            ("HTTP/1.1 200 OK\r\nX: ", ErrorKind::ClosedEarly),
            ("HTTP/1.1 100 Continue\r\n\r\n", ErrorKind::ClosedEarly),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", ErrorKind::BodyTooShort),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", ErrorKind::BodyTooShort),
            ("SSH-2.0-x\r\n", ErrorKind::InvalidAnswer),
            ("HTTP/1.1 2x", ErrorKind::InvalidAnswer),
        ] {
            for size in [1, text.len()] {
                assert_eq!(read(&Method::GET, text.as_bytes(), &[size]), Err(expected), "{text:?}");
            }
        }
    }

    #[test]
    fn interim_heads_are_bounded_and_heads_too() {
        let answer = |count: u8| {
            let interim = "HTTP/1.1 102 Processing\r\n\r\n".repeat(usize::from(count));
            interim + "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        };
        let most = answer(INTERIM_MAX);
        assert_eq!(read(&Method::GET, most.as_bytes(), &[7]).expect("answer").0, 200);
        let over = answer(INTERIM_MAX + 1);
        assert_eq!(read(&Method::GET, over.as_bytes(), &[7]), Err(ErrorKind::InvalidAnswer));
        for size in [1, 1000, 1 << 20] {
            let bomb = format!("HTTP/1.1 200 OK\r\nA: {}", "x".repeat(1 << 20));
            assert_eq!(read(&Method::GET, bomb.as_bytes(), &[size]), Err(ErrorKind::HeadTooLarge));
        }
        // A kept beginning and the bytes behind it share the limit.
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\nA: {}\r\n\r\n",
            "x".repeat(65_000)
        );
        let text = head + "y".repeat(100_000).as_str();
        for first in [1, 40, 65_040, 65_050, 65_060] {
            let read = read(&Method::GET, text.as_bytes(), &[first, 1 << 20]).expect("answer");
            assert_eq!((read.0, read.1.len(), read.2), (200, 100_000, 0), "{first}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_in_whatever_pieces_is_read_alike(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            begun in any::<bool>(),
            sizes in prop::collection::vec(1..20_usize, 0..40),
        ) {
            let start: &[u8] = if begun { b"HTTP/1.1 200 OK\r\nA: b" } else { b"" };
            let all = [start, &bytes].concat();
            let whole = read(&Method::GET, &all, &[]);
            let split = read(&Method::GET, &all, &sizes);
            // An error may show before the answer's end is seen, or behind it; the kind is the same.
            prop_assert_eq!(whole, split);
        }
    }
}

//! From a server's bytes to messages and control frames. It knows no I/O.

use bytes::Bytes;

use super::close::Close;
use super::deflate::{Codec, Shared};
use super::frame::{CONTROL_BYTES_MAX, HEAD_BYTES_MAX, Head, Opcode};
use super::utf8::Utf8;
use super::{Limits, Violation};

/// As much room as is made for a message before it comes.
const ROOM_BYTES_MAX: usize = 256 * 1024;

/// What comes from a server.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A message that is UTF-8.
    Text(Bytes),
    Binary(Bytes),
    Ping(Bytes),
    Pong(Bytes),
    Close(Close),
}

/// Takes a server's frames apart, and puts messages together.
pub(super) struct Reader {
    limit: usize,
    /// The beginning of a head whose end has not come.
    begun: [u8; HEAD_BYTES_MAX],
    begun_length: u8,
    frame: Option<Frame>,
    /// Boxed: most messages come in one piece, and few sockets compress.
    message: Option<Box<Assembly>>,
    codec: Option<Box<Codec>>,
}

/// A frame of which not all has come.
struct Frame {
    head: Head,
    left: u64,
    /// What has come of a control frame.
    control: Vec<u8>,
}

/// A message of which not all has come.
struct Assembly {
    text: bool,
    compressed: bool,
    data: Vec<u8>,
    utf8: Utf8,
}

impl Reader {
    /// Begins after the handshake.
    pub(super) fn new(limits: &Limits, codec: Option<Codec>) -> Self {
        Self {
            limit: limits.message_bytes,
            begun: [0; HEAD_BYTES_MAX],
            begun_length: 0,
            frame: None,
            message: None,
            codec: codec.map(Box::new),
        }
    }

    /// Returns what compresses, for messages in the other direction.
    pub(super) fn codec(&mut self) -> Option<&mut Codec> {
        self.codec.as_deref_mut()
    }

    /// Takes from `input` up to the next event; nothing if that needs more input.
    ///
    /// # Errors
    ///
    /// The server broke a rule: nothing that follows can be trusted.
    pub(super) fn next(
        &mut self,
        input: &mut &[u8],
        shared: &Shared,
    ) -> Result<Option<Event>, Violation> {
        loop {
            let frame = match self.frame.take() {
                Some(frame) => frame,
                None => match self.begin(input)? {
                    Some(head) => Frame { head, left: head.length, control: Vec::new() },
                    None => return Ok(None),
                },
            };
            let event = if frame.head.opcode.is_control() {
                self.control(frame, input)?
            } else {
                self.data(frame, input, shared)?
            };
            if event.is_some() || self.frame.is_some() {
                return Ok(event);
            }
        }
    }

    /// Reads the head of a frame, and whether it may stand here.
    fn begin(&mut self, input: &mut &[u8]) -> Result<Option<Head>, Violation> {
        let compression = self.codec.is_some();
        let head = if self.begun_length == 0 {
            let Some((head, size)) = Head::read(input, compression)? else {
                self.begun_length = input.len() as u8;
                self.begun[..input.len()].copy_from_slice(input);
                *input = &[];
                return Ok(None);
            };
            *input = &input[size..];
            head
        } else {
            loop {
                let Some((&byte, rest)) = input.split_first() else { return Ok(None) };
                *input = rest;
                self.begun[usize::from(self.begun_length)] = byte;
                self.begun_length += 1;
                let begun = &self.begun[..usize::from(self.begun_length)];
                if let Some((head, _)) = Head::read(begun, compression)? {
                    break head;
                }
            }
        };
        self.begun_length = 0;
        match (head.opcode, &self.message) {
            (Opcode::Continuation, None) => {
                return Err(Violation::protocol("a continuation without a message"));
            }
            (Opcode::Text | Opcode::Binary, Some(_)) => {
                return Err(Violation::protocol("a message within another"));
            }
            _ => {}
        }
        if !head.opcode.is_control() {
            let before = self.message.as_ref().map_or(0, |message| message.data.len());
            if head.length > (self.limit - before.min(self.limit)) as u64 {
                return Err(Violation::too_large());
            }
        }
        Ok(Some(head))
    }

    /// Takes what has come of a control frame; puts the frame back if that is not all.
    fn control(&mut self, mut frame: Frame, input: &mut &[u8]) -> Result<Option<Event>, Violation> {
        let part = take(input, frame.left);
        frame.left -= part.len() as u64;
        if frame.left > 0 || !frame.control.is_empty() {
            frame.control.reserve(CONTROL_BYTES_MAX);
            frame.control.extend_from_slice(part);
            if frame.left > 0 {
                self.frame = Some(frame);
                return Ok(None);
            }
        }
        let payload = if frame.control.is_empty() { part } else { &frame.control };
        Ok(Some(match frame.head.opcode {
            Opcode::Ping => Event::Ping(Bytes::copy_from_slice(payload)),
            Opcode::Pong => Event::Pong(Bytes::copy_from_slice(payload)),
            _ => Event::Close(Close::read(payload)?),
        }))
    }

    /// Takes what has come of a message's frame; puts the frame back if that is not all.
    fn data(
        &mut self,
        mut frame: Frame,
        input: &mut &[u8],
        shared: &Shared,
    ) -> Result<Option<Event>, Violation> {
        let head = frame.head;
        let part = take(input, frame.left);
        frame.left -= part.len() as u64;
        if frame.left == 0 && head.fin && self.message.is_none() && !head.compressed {
            // Nearly all messages: in one frame and one read.
            return whole(head.opcode == Opcode::Text, part).map(Some);
        }
        let message = self.message.get_or_insert_with(|| {
            Box::new(Assembly {
                text: head.opcode == Opcode::Text,
                compressed: head.compressed,
                data: Vec::with_capacity(ROOM_BYTES_MAX.min(head.length as usize)),
                utf8: Utf8::default(),
            })
        });
        message.data.extend_from_slice(part);
        if message.text && !message.compressed && message.utf8.take(part).is_err() {
            return Err(Violation::text("a text message is not UTF-8"));
        }
        if frame.left > 0 {
            self.frame = Some(frame);
            return Ok(None);
        }
        match self.message.take_if(|_| head.fin) {
            Some(message) => self.finish(*message, shared).map(Some),
            None => Ok(None),
        }
    }

    /// Ends a message that came in parts, or compressed.
    fn finish(&mut self, message: Assembly, shared: &Shared) -> Result<Event, Violation> {
        let Assembly { text, compressed, data, utf8 } = message;
        if let (true, Some(codec)) = (compressed, &mut self.codec) {
            let data = codec.inflate(shared, &data, self.limit)?;
            if text && std::str::from_utf8(&data).is_err() {
                return Err(Violation::text("a text message is not UTF-8"));
            }
            return Ok(event(text, fitted(data)));
        }
        if text && utf8.end().is_err() {
            return Err(Violation::text("a text message ends within a character"));
        }
        Ok(event(text, fitted(data)))
    }
}

/// Takes as much of the input as there is, and as is wanted.
fn take<'a>(input: &mut &'a [u8], wanted: u64) -> &'a [u8] {
    let size = usize::try_from(wanted).unwrap_or(usize::MAX).min(input.len());
    let (part, rest) = input.split_at(size);
    *input = rest;
    part
}

fn whole(text: bool, payload: &[u8]) -> Result<Event, Violation> {
    if text && std::str::from_utf8(payload).is_err() {
        return Err(Violation::text("a text message is not UTF-8"));
    }
    Ok(event(text, Bytes::copy_from_slice(payload)))
}

/// Gives back room that a message does not need: it may lie in a queue for long.
fn fitted(data: Vec<u8>) -> Bytes {
    data.into_boxed_slice().into()
}

fn event(text: bool, data: Bytes) -> Event {
    if text { Event::Text(data) } else { Event::Binary(data) }
}

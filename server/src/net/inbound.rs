//! From bytes of a socket to whole messages. Headers and masks are soketto's; this puts frames together, keeps the
//! rules of RFC 6455, and holds memory only while something is incomplete.

use std::ops::Range;

use enfilade_proto::Code;
use soketto::Parsing;
use soketto::base::{Error, Header, OpCode};

use super::Codec;

/// RFC 6455, 7.4.1.
const PROTOCOL_ERROR: u16 = 1002;
const INVALID_DATA: u16 = 1007;
const NO_STATUS: u16 = 1005;

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) code: u16,
    pub(super) reason: &'static str,
}

const fn violation(reason: &'static str) -> Fault {
    Fault { code: PROTOCOL_ERROR, reason }
}

const TOO_LARGE: Fault = Fault { code: Code::FrameTooLarge as u16, reason: "message too large" };

/// What is incomplete of one connection's input.
#[derive(Default)]
pub(super) struct Partial {
    /// The beginning of a frame.
    frame: Vec<u8>,
    /// The bytes that `frame` needs before it is looked at again.
    need: usize,
    /// Fragments of a message, unmasked.
    message: Vec<u8>,
    in_message: bool,
    /// `frame` or `message` was handed out, and goes with the next call.
    spent: Option<Place>,
    /// Input that was not looked at, since the handler is busy.
    pub(super) held: Vec<u8>,
    /// When it began; `None` after a message was completed.
    pub(super) since: Option<u32>,
}

impl Partial {
    fn is_empty(&self) -> bool {
        self.frame.is_empty() && !self.in_message && self.held.is_empty()
    }
}

/// Where a payload lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the input.
    Input(Range<usize>),
    /// In [`Partial`]'s frame.
    Frame(Range<usize>),
    /// It is all of [`Partial`]'s message.
    Message,
}

impl Place {
    /// The payload.
    pub(super) fn of<'a>(&self, input: &'a [u8], partial: &'a Option<Box<Partial>>) -> &'a [u8] {
        let found = match (self, partial) {
            (Place::Input(range), _) => input.get(range.clone()),
            (Place::Frame(range), Some(partial)) => partial.frame.get(range.clone()),
            (Place::Message, Some(partial)) => Some(&partial.message[..]),
            (_, None) => None,
        };
        found.unwrap_or_default()
    }
}

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    Message(Place),
    Ping(Place),
    Pong,
    /// The code to answer with.
    Close(u16),
}

/// The rules that all connections of a shard share.
pub(super) struct Decoder {
    codec: soketto::base::Codec,
    max_message: usize,
}

impl Decoder {
    pub(super) fn new(max_message: usize) -> Self {
        let mut codec = soketto::base::Codec::new();
        codec.set_max_data_size(max_message);
        Decoder { codec, max_message }
    }

    /// The next event in `input[*at..]`, or `None` when all of it is used up. Payloads are unmasked in place. What is
    /// incomplete goes into `partial`, which is `None` again when nothing is.
    pub(super) fn next(
        &self,
        codec: Codec,
        partial: &mut Option<Box<Partial>>,
        input: &mut [u8],
        at: &mut usize,
    ) -> Result<Option<Event>, Fault> {
        if let Some(held) = partial {
            match held.spent.take() {
                Some(Place::Frame(_)) => held.frame = Vec::new(),
                Some(Place::Message) => (held.frame, held.message) = Default::default(),
                Some(Place::Input(_)) | None => {}
            }
            if held.is_empty() {
                *partial = None;
            }
        }
        while *at < input.len() {
            let event = match partial {
                Some(held) if !held.frame.is_empty() => self.complete_frame(codec, held, input, at)?,
                _ => self.begin_frame(codec, partial, input, at)?,
            };
            if event.is_some() {
                return Ok(event);
            }
        }
        Ok(None)
    }

    /// A frame that lies in the input as a whole is read where it lies.
    fn begin_frame(
        &self,
        codec: Codec,
        partial: &mut Option<Box<Partial>>,
        input: &mut [u8],
        at: &mut usize,
    ) -> Result<Option<Event>, Fault> {
        let rest = &mut input[*at..];
        let need = match self.codec.decode_header(rest).map_err(fault)? {
            Parsing::Done { value: header, offset } => {
                self.check(codec, &header, partial.as_deref())?;
                let end = offset + header.payload_len();
                if let Some(payload) = rest.get_mut(offset..end) {
                    soketto::base::Codec::apply_mask(&header, payload);
                    let place = Place::Input(*at + offset..*at + end);
                    *at += end;
                    return self.frame(codec, &header, place, partial, input);
                }
                end
            }
            Parsing::NeedMore(more) => rest.len() + more,
        };
        let held = partial.get_or_insert_default();
        held.frame = rest.to_vec();
        held.need = need;
        *at = input.len();
        Ok(None)
    }

    /// Completes a frame that began in earlier input.
    fn complete_frame(
        &self,
        codec: Codec,
        held: &mut Box<Partial>,
        input: &mut [u8],
        at: &mut usize,
    ) -> Result<Option<Event>, Fault> {
        let take = held.need.saturating_sub(held.frame.len()).min(input.len() - *at);
        held.frame.extend_from_slice(&input[*at..*at + take]);
        *at += take;
        if held.frame.len() < held.need {
            return Ok(None);
        }
        let (header, offset) = match self.codec.decode_header(&held.frame).map_err(fault)? {
            Parsing::Done { value, offset } => (value, offset),
            Parsing::NeedMore(more) => {
                held.need = held.frame.len() + more;
                return Ok(None);
            }
        };
        self.check(codec, &header, Some(held))?;
        let end = offset + header.payload_len();
        if held.frame.len() < end {
            held.need = end;
            return Ok(None);
        }
        soketto::base::Codec::apply_mask(&header, &mut held.frame[offset..end]);
        held.spent = Some(Place::Frame(offset..end));
        let payload = std::mem::take(&mut held.frame);
        let event = self.assemble(codec, &header, Place::Frame(offset..end), &payload[offset..end], held);
        held.frame = payload;
        if !matches!(event, Ok(Some(Event::Message(Place::Frame(_)) | Event::Ping(_)))) {
            // Nobody will look at it.
            held.frame = Vec::new();
            if held.spent == Some(Place::Frame(offset..end)) {
                held.spent = None;
            }
        }
        event
    }

    /// What a header alone tells, so that nothing is kept for a frame that will be refused.
    fn check(&self, codec: Codec, header: &Header, held: Option<&Partial>) -> Result<(), Fault> {
        if !header.is_masked() {
            return Err(violation("frames of a client are masked"));
        }
        let in_message = held.is_some_and(|held| held.in_message);
        match (header.opcode(), codec) {
            (OpCode::Text | OpCode::Binary, _) if in_message => Err(violation("a message within a message")),
            (OpCode::Text, Codec::Binary) | (OpCode::Binary, Codec::Json) => Err(Fault {
                code: Code::WrongEncoding as u16,
                reason: "wrong kind of message for the subprotocol",
            }),
            (OpCode::Continue, _) => match held {
                Some(held) if in_message => {
                    match held.message.len() + header.payload_len() > self.max_message {
                        true => Err(TOO_LARGE),
                        false => Ok(()),
                    }
                }
                _ => Err(violation("a continuation of nothing")),
            },
            _ => Ok(()),
        }
    }

    /// A whole frame that lies in the input.
    fn frame(
        &self,
        codec: Codec,
        header: &Header,
        place: Place,
        partial: &mut Option<Box<Partial>>,
        input: &[u8],
    ) -> Result<Option<Event>, Fault> {
        let payload = place.of(input, &None);
        let begins_message = !header.is_fin() && matches!(header.opcode(), OpCode::Text | OpCode::Binary);
        if partial.is_none() && !begins_message {
            // The common case touches no memory but the input.
            return whole(codec, header.opcode(), place, payload);
        }
        let held = partial.get_or_insert_default();
        self.assemble(codec, header, place, payload, held)
    }

    fn assemble(
        &self,
        codec: Codec,
        header: &Header,
        place: Place,
        payload: &[u8],
        held: &mut Partial,
    ) -> Result<Option<Event>, Fault> {
        match header.opcode() {
            OpCode::Text | OpCode::Binary if !header.is_fin() => {
                held.message = payload.to_vec();
                held.in_message = true;
                Ok(None)
            }
            OpCode::Continue => {
                held.message.extend_from_slice(payload);
                if !header.is_fin() {
                    return Ok(None);
                }
                held.in_message = false;
                held.since = None;
                held.spent = Some(Place::Message);
                check_text(codec, &held.message)?;
                Ok(Some(Event::Message(Place::Message)))
            }
            opcode => {
                if !opcode.is_control() {
                    held.since = None;
                }
                whole(codec, opcode, place, payload)
            }
        }
    }
}

/// A frame that stands for itself.
fn whole(codec: Codec, opcode: OpCode, place: Place, payload: &[u8]) -> Result<Option<Event>, Fault> {
    Ok(Some(match opcode {
        OpCode::Ping => Event::Ping(place),
        OpCode::Pong => Event::Pong,
        OpCode::Close => Event::Close(close_code(payload)?),
        _ => {
            check_text(codec, payload)?;
            Event::Message(place)
        }
    }))
}

fn check_text(codec: Codec, payload: &[u8]) -> Result<(), Fault> {
    match codec {
        Codec::Json if std::str::from_utf8(payload).is_err() => {
            Err(Fault { code: INVALID_DATA, reason: "text is not UTF-8" })
        }
        _ => Ok(()),
    }
}

fn close_code(payload: &[u8]) -> Result<u16, Fault> {
    let (code, reason) = match payload {
        [] => return Ok(NO_STATUS),
        [_] => return Err(violation("half of a close code")),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
    };
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(violation("no such close code"));
    }
    match std::str::from_utf8(reason) {
        Ok(_) => Ok(code),
        Err(_) => Err(Fault { code: INVALID_DATA, reason: "a close reason is UTF-8" }),
    }
}

fn fault(error: Error) -> Fault {
    match error {
        Error::PayloadTooLarge { .. } => TOO_LARGE,
        Error::UnknownOpCode | Error::ReservedOpCode => violation("unknown opcode"),
        Error::FragmentedControl | Error::InvalidControlFrameLen => {
            violation("a control frame is short and whole")
        }
        _ => violation("reserved bits are set"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 70_000;

    fn client_frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match payload.len() {
            0..=125 => frame.push(0x80 | payload.len() as u8),
            126..=0xFFFF => {
                frame.push(0x80 | 126);
                frame.extend((payload.len() as u16).to_be_bytes());
            }
            _ => {
                frame.push(0x80 | 127);
                frame.extend((payload.len() as u64).to_be_bytes());
            }
        }
        let mask = [1, 2, 3, 250];
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
        frame
    }

    /// Decodes the chunks one after the other, and tells each event in words.
    fn decode<'a>(codec: Codec, chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
        let decoder = Decoder::new(LIMIT);
        let mut partial = None;
        let mut events = Vec::new();
        for chunk in chunks {
            let mut input = chunk.to_vec();
            let mut at = 0;
            loop {
                match decoder.next(codec, &mut partial, &mut input, &mut at) {
                    Ok(None) => break,
                    Ok(Some(Event::Message(place))) => {
                        let payload = place.of(&input, &partial);
                        let sum: u64 = payload.iter().map(|&byte| u64::from(byte)).sum();
                        events.push(format!("message {} {sum}", payload.len()));
                    }
                    Ok(Some(Event::Ping(place))) => {
                        events.push(format!("ping {:?}", place.of(&input, &partial)))
                    }
                    Ok(Some(Event::Pong)) => events.push("pong".into()),
                    Ok(Some(Event::Close(code))) => {
                        events.push(format!("close {code}"));
                        return events;
                    }
                    Err(fault) => {
                        events.push(format!("fault {}", fault.code));
                        return events;
                    }
                }
            }
            assert_eq!(at, input.len());
        }
        if partial.is_some() {
            events.push("more to come".into());
        }
        events
    }

    fn fault_of(bytes: &[u8]) -> Vec<String> {
        decode(Codec::Binary, [bytes])
    }

    #[test]
    fn a_stream_means_the_same_however_it_is_cut() {
        let mut stream = Vec::new();
        stream.extend(client_frame(0x82, b"hello"));
        stream.extend(client_frame(0x82, b""));
        stream.extend(client_frame(0x02, b"frag"));
        stream.extend(client_frame(0x89, b"are you there"));
        stream.extend(client_frame(0x00, b""));
        stream.extend(client_frame(0x8A, b""));
        stream.extend(client_frame(0x80, b"ments"));
        stream.extend(client_frame(0x82, &[9; 126]));
        stream.extend(client_frame(0x82, &[1; 300]));
        stream.extend(client_frame(0x88, &[0x03, 0xE8, b'b', b'y', b'e']));
        let whole = decode(Codec::Binary, [&stream[..]]);
        assert_eq!(
            whole,
            [
                "message 5 532",
                "message 0 0",
                "ping [97, 114, 101, 32, 121, 111, 117, 32, 116, 104, 101, 114, 101]",
                "pong",
                "message 9 967",
                "message 126 1134",
                "message 300 300",
                "close 1000",
            ]
        );
        for first in 0..stream.len() {
            let (head, tail) = stream.split_at(first);
            assert_eq!(decode(Codec::Binary, [head, tail]), whole, "cut at {first}");
            let middle = first + (stream.len() - first) / 2;
            assert_eq!(decode(Codec::Binary, [head, &stream[first..middle], &stream[middle..]]), whole);
        }
        for size in 1..20 {
            assert_eq!(decode(Codec::Binary, stream.chunks(size)), whole, "in pieces of {size}");
        }
    }

    #[test]
    fn sizes_at_the_borders_of_the_header_and_at_the_limit_arrive() {
        for len in [125, 126, 65_535, 65_536, LIMIT] {
            let frame = client_frame(0x82, &vec![1; len]);
            let expected = vec![format!("message {len} {len}")];
            assert_eq!(decode(Codec::Binary, [&frame[..]]), expected);
            assert_eq!(decode(Codec::Binary, frame.chunks(1_000)), expected);
        }
    }

    #[test]
    fn what_is_too_large_is_refused_at_its_header() {
        assert_eq!(fault_of(&client_frame(0x82, &vec![1; LIMIT + 1])[..14]), ["fault 4501"]);
        let mut fragments = client_frame(0x02, &vec![1; LIMIT]);
        fragments.extend(&client_frame(0x80, &[1])[..6]);
        assert_eq!(fault_of(&fragments), ["fault 4501"]);
    }

    #[test]
    fn each_violation_has_its_code() {
        assert_eq!(fault_of(&[0x82, 0x01, 0x00]), ["fault 1002"], "unmasked");
        assert_eq!(fault_of(&client_frame(0xC2, b"x")), ["fault 1002"], "reserved bit");
        assert_eq!(fault_of(&client_frame(0x83, b"x")), ["fault 1002"], "reserved opcode");
        assert_eq!(fault_of(&client_frame(0x80, b"x")), ["fault 1002"], "continuation of nothing");
        assert_eq!(fault_of(&client_frame(0x09, b"x")), ["fault 1002"], "fragmented ping");
        assert_eq!(fault_of(&client_frame(0x89, &[0; 126])), ["fault 1002"], "long ping");
        assert_eq!(fault_of(&client_frame(0x81, b"x")), ["fault 4502"], "text on binary");
        assert_eq!(fault_of(&client_frame(0x88, &[3])), ["fault 1002"], "half a close code");
        assert_eq!(fault_of(&client_frame(0x88, &[0x03, 0xED])), ["fault 1002"], "1005 must not travel");
        assert_eq!(fault_of(&client_frame(0x88, &[0x03, 0xE8, 0xFF])), ["fault 1007"], "reason is not UTF-8");
        assert_eq!(fault_of(&client_frame(0x88, &[])), ["close 1005"]);
        let nested = [client_frame(0x02, b"a"), client_frame(0x82, b"b")].concat();
        assert_eq!(fault_of(&nested), ["fault 1002"], "a message within a message");
        assert_eq!(decode(Codec::Json, [&client_frame(0x82, b"{}")[..]]), ["fault 4502"], "binary on text");
    }

    #[test]
    fn text_is_checked_as_a_whole_message() {
        let snowman = "☃".as_bytes();
        let cut = [client_frame(0x01, &snowman[..1]), client_frame(0x80, &snowman[1..])].concat();
        assert_eq!(decode(Codec::Json, [&cut[..]]).len(), 1);
        assert_eq!(decode(Codec::Json, [&cut[..]])[0].split(' ').next(), Some("message"));
        assert_eq!(decode(Codec::Json, [&client_frame(0x81, &snowman[..2])[..]]), ["fault 1007"]);
    }

    #[test]
    fn no_bytes_make_it_panic() {
        // xorshift64, so that each run sees the same bytes.
        let mut random = 0x9E37_79B9_7F4A_7C15_u64;
        let mut next = move || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        };
        for _ in 0..20_000 {
            let mut bytes: Vec<u8> = (0..next() % 40).map(|_| next() as u8).collect();
            if let [first, second, ..] = &mut bytes[..] {
                // Plausible headers get further.
                *first = [0x82, 0x02, 0x80, 0x00, 0x89, 0x88, *first][*first as usize % 7];
                *second = 0x80 | *second & 0x9F;
            }
            decode(Codec::Binary, bytes.chunks(1 + next() as usize % 9));
        }
    }
}

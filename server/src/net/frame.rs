//! WebSocket frames as a server writes them: one header, unmasked, and the payload.

use bytes::{BufMut, Bytes, BytesMut};

use super::Codec;

/// The longest header that a server writes.
pub const MAX_HEADER_BYTES: usize = 10;
/// RFC 6455, 5.5: what a control frame may carry.
const MAX_CONTROL_PAYLOAD: usize = 125;

const FIN: u8 = 0x80;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PONG: u8 = 0xA;

/// A message of the codec's kind as one frame.
pub fn encode(codec: Codec, payload: &[u8]) -> Bytes {
    encode_with(codec, payload.len(), |buffer| buffer.put_slice(payload))
}

/// As [`encode`], without a copy: `fill` writes the payload, which must be `len` bytes.
pub fn encode_with(codec: Codec, len: usize, fill: impl FnOnce(&mut BytesMut)) -> Bytes {
    let opcode = match codec {
        Codec::Binary => BINARY,
        Codec::Json => TEXT,
    };
    let mut buffer = BytesMut::with_capacity(MAX_HEADER_BYTES + len);
    put_header(&mut buffer, opcode, len);
    let start = buffer.len();
    fill(&mut buffer);
    debug_assert_eq!(buffer.len() - start, len, "the payload has the length that its header tells");
    buffer.freeze()
}

/// A close frame. A reason that does not fit is cut at a character's border. Codes that must not travel (1005, 1006,
/// 1015) become an empty close frame.
pub fn close(code: u16, reason: &str) -> Bytes {
    let mut buffer = BytesMut::new();
    if matches!(code, 1005 | 1006 | 1015) {
        put_header(&mut buffer, CLOSE, 0);
        return buffer.freeze();
    }
    let reason = &reason[..reason.floor_char_boundary(MAX_CONTROL_PAYLOAD - 2)];
    put_header(&mut buffer, CLOSE, 2 + reason.len());
    buffer.put_u16(code);
    buffer.put_slice(reason.as_bytes());
    buffer.freeze()
}

/// The answer to a ping. A ping's payload is at most 125 bytes; what exceeds it is cut.
pub fn pong(payload: &[u8]) -> Bytes {
    let payload = &payload[..payload.len().min(MAX_CONTROL_PAYLOAD)];
    let mut buffer = BytesMut::with_capacity(2 + payload.len());
    put_header(&mut buffer, PONG, payload.len());
    buffer.put_slice(payload);
    buffer.freeze()
}

fn put_header(buffer: &mut BytesMut, opcode: u8, len: usize) {
    buffer.put_u8(FIN | opcode);
    match len {
        0..=125 => buffer.put_u8(len as u8),
        126..=0xFFFF => {
            buffer.put_u8(126);
            buffer.put_u16(len as u16);
        }
        _ => {
            buffer.put_u8(127);
            buffer.put_u64(len as u64);
        }
    }
}

/// The length of the frame that `bytes` begins with, header included. `None` where that is cut short, which frames
/// built here never are.
pub(super) fn first_len(bytes: &[u8]) -> Option<usize> {
    let (header, payload) = match *bytes.get(1)? {
        126 => (4, u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?).into()),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize),
        short => (2, short.into()),
    };
    let len = header + payload;
    (len <= bytes.len()).then_some(len)
}

#[cfg(test)]
mod tests {
    use soketto::Parsing;
    use soketto::base::OpCode;

    use super::*;

    #[test]
    fn headers_are_right_around_each_change_of_their_form() {
        for len in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
            for (codec, opcode) in [(Codec::Binary, OpCode::Binary), (Codec::Json, OpCode::Text)] {
                let frame = encode(codec, &vec![7; len]);
                let Ok(Parsing::Done { value, offset }) = soketto::base::Codec::new().decode_header(&frame)
                else {
                    panic!("a frame of {len} has no header");
                };
                assert_eq!((value.opcode(), value.payload_len(), value.is_fin()), (opcode, len, true));
                assert!(!value.is_masked());
                assert_eq!(offset + len, frame.len());
                assert_eq!(first_len(&frame), Some(frame.len()));
                assert!(frame[offset..].iter().all(|&byte| byte == 7));
            }
        }
    }

    #[test]
    fn a_close_reason_is_cut_to_what_a_control_frame_holds() {
        let frame = close(4001, &"ä".repeat(100));
        assert_eq!(&frame[..4], [0x88, 2 + 122, 0x0F, 0xA1]);
        assert!(std::str::from_utf8(&frame[4..]).is_ok());
        assert_eq!(&close(1006, "gone")[..], [0x88, 0]);
    }
}

use alloc::sync::Arc;
use core::fmt;

use crate::{Code, limits, v1};

/// Names a room: 1 to 64 characters of `a-z A-Z 0-9 - _ . :`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomId(Arc<str>);

/// Names a user: as a [`RoomId`], but at most 48 characters, so that the inbox's id fits into a room id.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(Arc<str>);

/// Names one client of one user (a tab, an installation): a random number from 1 to 2^53 - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u64);

/// Names an operation, and the message it makes: the client, and a counter that rises with each operation of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId {
    /// Who made it.
    pub client: ClientId,
    /// The how manieth of that client.
    pub counter: u64,
}

/// What the id of a user's inbox begins with; the rest is the user's id.
const INBOX: &str = "inbox:";
/// The id of the room that holds the server's settings.
const SERVER_SETTINGS: &str = "server:settings";

impl RoomId {
    /// Checks and takes an id.
    pub fn new(id: &str) -> Result<RoomId, Code> {
        if is_id(id, limits::ROOM_ID_BYTES) { Ok(RoomId(id.into())) } else { Err(Code::InvalidRoomId) }
    }

    /// The room that is this user's inbox.
    pub fn inbox(user: &UserId) -> RoomId {
        RoomId([INBOX, user.as_str()].concat().into())
    }

    /// The room whose map holds the server's settings. Everybody may read it, and the server alone writes.
    pub fn server_settings() -> RoomId {
        RoomId(SERVER_SETTINGS.into())
    }

    /// Whether this is [`RoomId::server_settings`].
    pub fn is_server_settings(&self) -> bool {
        &*self.0 == SERVER_SETTINGS
    }

    /// Whether the room is there without having been created: an inbox, or the server's settings.
    pub fn is_implicit(&self) -> bool {
        self.inbox_owner().is_some() || self.is_server_settings()
    }

    /// A room named by six digits, which people tell each other, out of a random number. That no other room has it, the
    /// creation shows: it is refused with [`Code::RoomExists`], and another number is tried.
    pub fn code(chance: u64) -> RoomId {
        RoomId(alloc::format!("{}", 100_000 + chance % 900_000).into())
    }

    /// Whose inbox this is, if it is one.
    pub fn inbox_owner(&self) -> Option<&str> {
        self.0.strip_prefix(INBOX)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl UserId {
    /// Checks and takes an id.
    pub fn new(id: &str) -> Result<UserId, Code> {
        if is_id(id, limits::USER_ID_BYTES) { Ok(UserId(id.into())) } else { Err(Code::InvalidRequest) }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl OpId {
    /// The protobuf form.
    pub fn wire(self) -> v1::OpId {
        v1::OpId { client: self.client.0, counter: self.counter }
    }

    /// Takes an id that came over the wire: both numbers from 1 to 2^53 - 1.
    pub fn parse(wire: Option<&v1::OpId>) -> Result<OpId, Code> {
        let in_range = |number: u64| (1..limits::INTEGER_BOUND).contains(&number);
        match wire {
            Some(id) if in_range(id.client) && in_range(id.counter) => {
                Ok(OpId { client: ClientId(id.client), counter: id.counter })
            }
            _ => Err(Code::InvalidRequest),
        }
    }
}

fn is_id(id: &str, bytes: usize) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    (1..=bytes).contains(&id.len()) && id.bytes().all(allowed)
}

impl fmt::Display for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.client.0, self.counter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_outside_the_grammar_are_refused() {
        for bad in ["", "a b", "ä", "a/b", "{room}", "a\n", &"x".repeat(65)] {
            assert_eq!(RoomId::new(bad), Err(Code::InvalidRoomId), "{bad:?}");
        }
        assert!(RoomId::new(&"x".repeat(64)).is_ok());
        assert!(UserId::new(&"x".repeat(49)).is_err());
    }

    #[test]
    fn a_code_has_six_digits_whatever_chance_brings() {
        for chance in [0, 899_999, 900_000, u64::MAX] {
            let code = RoomId::code(chance);
            assert_eq!(code.as_str().len(), 6);
            assert!(code.as_str().bytes().all(|byte| byte.is_ascii_digit()));
        }
    }

    #[test]
    fn an_inbox_names_its_owner() {
        let user = UserId::new(&"u".repeat(48)).unwrap();
        let inbox = RoomId::inbox(&user);
        assert_eq!(inbox.inbox_owner(), Some(user.as_str()));
        assert!(RoomId::new(inbox.as_str()).is_ok());
    }

    #[test]
    fn op_ids_stay_within_what_javascript_holds() {
        let wire = |client, counter| v1::OpId { client, counter };
        assert!(OpId::parse(Some(&wire(1, 1))).is_ok());
        for bad in [wire(0, 1), wire(1, 0), wire(1 << 53, 1), wire(1, 1 << 53)] {
            assert_eq!(OpId::parse(Some(&bad)), Err(Code::InvalidRequest));
        }
        assert_eq!(OpId::parse(None), Err(Code::InvalidRequest));
    }
}

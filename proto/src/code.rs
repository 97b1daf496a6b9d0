//! One registry of numeric codes. Every binding's list is generated from it or held against it by a test.

/// What somebody who receives a code does with the same request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Nothing: the same request fails again.
    Never,
    /// Send it again after `retry_after`, or after the back-off where there is none.
    Later,
    /// Take the state that follows, then go on.
    Resync,
    /// Fetch a new token first.
    NewToken,
}

macro_rules! codes {
    ($($number:literal $name:ident $wire:literal $retry:ident $text:literal;)*) => {
        /// Why something failed, was refused or was closed. Numbers are stable for ever. Below 4000 they travel in
        /// frames; from 4000 on they are WebSocket close codes. The range tells the retry decision to readers that
        /// do not know the code itself: see [`Code::retry_of`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum Code { $(#[doc = $text] $name = $number,)* }

        impl Code {
            /// Every code, ascending.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// The code with this number, if the registry has it.
            pub fn from_number(number: u32) -> Option<Code> {
                match number { $($number => Some(Code::$name),)* _ => None }
            }

            /// The stable name, in snake case.
            pub fn name(self) -> &'static str {
                match self { $(Code::$name => $wire,)* }
            }

            /// What to do about it.
            pub fn retry(self) -> Retry {
                match self { $(Code::$name => Retry::$retry,)* }
            }

            /// A sentence for people.
            pub fn text(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }
        }
    };
}

codes! {
    1000 Malformed "malformed" Never "The frame can't be decoded.";
    1001 InvalidOp "invalid_op" Never "The operation can't be decoded, or is of a kind that this server does not know.";
    1002 InvalidRoomId "invalid_room_id" Never "A room id is 1 to 64 characters of a-z, A-Z, 0-9, '-', '_', '.' and ':'.";
    1003 InvalidName "invalid_name" Never "A name is 1 to 64 characters without control characters, and not blank.";
    1004 InvalidText "invalid_text" Never "A message is 1 to 4,000 characters, without control characters but line breaks and tabs.";
    1005 UnknownRoom "unknown_room" Never "There is no such room.";
    1006 RoomExists "room_exists" Never "There is a room of that id already.";
    1007 Forbidden "forbidden" Never "You are not allowed to do that.";
    1008 NotMember "not_member" Never "Join the room first.";
    1009 OpIdReused "op_id_reused" Never "That operation id was used already, with another content.";
    1010 OpSuperseded "op_superseded" Never "A later operation of this client was accepted already; make a new one.";
    1011 OpTooLarge "op_too_large" Never "The operation is larger than the server's limit.";
    1012 TooManyRooms "too_many_rooms" Never "This connection holds as many rooms as it may.";
    1013 RoomFull "room_full" Never "The room has as many members as it may.";
    1014 ClientIdTaken "client_id_taken" Never "That client id belongs to another user.";
    1015 InvalidRequest "invalid_request" Never "The request has a field that is missing or out of range.";
    1016 NoSuchMessage "no_such_message" Never "There is no such message.";
    1017 ConflictKept "conflict_kept" Never "Somebody else changed the same; both versions wait in the conflict inbox for a choice.";
    1018 Banned "banned" Never "You are banned from the room.";
    1019 Muted "muted" Never "You are muted in the room.";
    1020 SubscriberOnly "subscriber_only" Never "Only subscribers may write here.";
    1021 FollowerOnly "follower_only" Never "Only followers of the room's owner may write here.";
    1022 EmoteOnly "emote_only" Never "Only emotes may be written here.";
    1023 MapFull "map_full" Never "The room's map is as large as it may be.";
    1024 ElementTooLarge "element_too_large" Never "The element is larger than the limit.";
    1025 ElementOutdated "element_outdated" Never "The register holds a newer version already.";
    1026 UnknownTeam "unknown_team" Never "There is no such team.";
    1027 UnknownUser "unknown_user" Never "There is no such member, request or friend.";
    1028 Blocked "blocked" Never "One of the two users has blocked the other.";
    1029 TooManyFriends "too_many_friends" Never "The list of friends is as long as it may be.";
    1030 TooManyReactions "too_many_reactions" Never "The message has as many reactions as it may.";
    1031 TooManyPins "too_many_pins" Never "The room has as many pinned messages as it may.";
    1032 UnknownConflict "unknown_conflict" Never "There is no such conflict, or it was resolved already.";
    1034 SnapshotDamaged "snapshot_damaged" Never "The stored snapshot is damaged or truncated; the room is loaded afresh.";
    1035 SnapshotTooNew "snapshot_too_new" Never "The stored snapshot is of a newer version; the room is loaded afresh.";
    1036 SnapshotOfAnotherRoom "snapshot_of_another_room" Never "The stored snapshot is of another room; the room is loaded afresh.";
    1037 TraceDamaged "trace_damaged" Never "The trace is damaged or truncated.";
    1038 TraceTooNew "trace_too_new" Never "The trace is of a newer version.";
    1039 ModelDamaged "model_damaged" Never "What was learned is damaged, truncated or of a newer version; learning starts afresh.";
    1040 TeamFull "team_full" Never "There are as many teams or players as there may be.";
    1041 ListFull "list_full" Never "The list of bans, mutes or invitations is as long as it may be.";
    1042 FoldTooNew "fold_too_new" Never "The room is kept by rules that this version does not know; a newer one does.";

    2000 RateLimited "rate_limited" Later "Too many requests.";
    2001 SlowMode "slow_mode" Later "Slow mode is on: wait before the next message.";
    2002 StoreUnavailable "store_unavailable" Later "The store does not answer; nothing was lost.";
    2003 Overloaded "overloaded" Later "The server has too much to do.";
    2004 Draining "draining" Later "The server is about to stop.";
    2005 Internal "internal" Later "Something failed in the server; nothing was lost.";
    2006 OutboxFull "outbox_full" Later "What was written before waits to go out to other systems; nothing was lost.";

    3000 EpochChanged "epoch_changed" Resync "The room's log was started anew.";
    3001 PositionAhead "position_ahead" Resync "The position is beyond the end of the room's log.";
    3002 TooFarBehind "too_far_behind" Resync "Too much has happened since; here is the whole state.";
    3003 DigestMismatch "digest_mismatch" Resync "Client and server hold different states; here is the server's.";
    3004 OverBudget "over_budget" Resync "The room was put into a lower tier, because it took more than its budget.";

    3500 TokenExpired "token_expired" NewToken "The token has expired.";
    3501 TokenInvalid "token_invalid" NewToken "The token is not one of this server's.";

    4000 GoingAway "going_away" Later "The server stops; connect again after the advised time.";
    4001 SlowConsumer "slow_consumer" Later "The connection took less than was sent.";
    4002 HeartbeatTimeout "heartbeat_timeout" Later "Nothing was heard for too long.";
    4003 HelloTimeout "hello_timeout" Later "The first frame did not come in time.";
    4004 ServerError "server_error" Later "Something failed in the server; nothing was lost.";
    4005 TooManyConnections "too_many_connections" Later "The server has as many connections as it may.";

    4500 ProtocolError "protocol_error" Never "What was sent is not the protocol.";
    4501 FrameTooLarge "frame_too_large" Never "A frame was larger than the server's limit.";
    4502 WrongEncoding "wrong_encoding" Never "Text was sent on the binary protocol, or the reverse.";
    4503 UnsupportedVersion "unsupported_version" Never "Client and server have no protocol version in common.";
    4504 HelloExpected "hello_expected" Never "The first frame must be a hello, and the only one.";
    4505 Kicked "kicked" Never "The connection was closed by an administrator.";
    4506 Replaced "replaced" Never "The same client has connected again.";

    4600 CloseTokenExpired "close_token_expired" NewToken "The token has expired.";
    4601 CloseTokenInvalid "close_token_invalid" NewToken "The token is not one of this server's.";
}

impl Code {
    /// The number that travels.
    pub fn number(self) -> u32 {
        u32::from(self as u16)
    }

    /// The retry decision for any number, known or not, by its range.
    pub fn retry_of(number: u32) -> Retry {
        match number {
            2000..=2999 | 4000..=4499 => Retry::Later,
            3000..=3499 => Retry::Resync,
            3500..=3999 | 4600..=4999 => Retry::NewToken,
            _ => Retry::Never,
        }
    }
}

impl core::fmt::Display for Code {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} ({}): {}", self.name(), self.number(), self.text())
    }
}

impl core::error::Error for Code {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_of_a_code_tells_its_retry_decision() {
        for code in Code::ALL {
            assert_eq!(Code::retry_of(code.number()), code.retry(), "{code}");
        }
    }

    #[test]
    fn codes_ascend_and_are_found_by_number() {
        for pair in Code::ALL.windows(2) {
            assert!(pair[0] < pair[1]);
        }
        for code in Code::ALL {
            assert_eq!(Code::from_number(code.number()), Some(*code));
        }
        assert_eq!(Code::from_number(1), None);
    }
}

//! The values at the leaves: numbers, names of enums, bytes, times.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

use super::mirror::Mirror;
use crate::limits::INTEGER_BOUND;
use crate::v1;

/// An integer that JavaScript holds exactly: larger ones are refused on reading.
#[derive(Clone, Copy, Default, Serialize)]
pub(super) struct Int(u64);

impl Mirror for Int {
    type Wire = u64;

    fn of(wire: u64) -> Self {
        Int(wire)
    }
    fn wire(self) -> u64 {
        self.0
    }
    fn absent(&self) -> bool {
        self.0 == 0
    }
}

impl<'de> Deserialize<'de> for Int {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u64::deserialize(deserializer)?;
        if number < INTEGER_BOUND {
            Ok(Int(number))
        } else {
            Err(D::Error::invalid_value(Unexpected::Unsigned(number), &"an integer below 2^53"))
        }
    }
}

/// Bytes, as base64 with padding.
#[derive(Default)]
pub(super) struct Base64(pub(super) Vec<u8>);

impl Mirror for Base64 {
    type Wire = Vec<u8>;

    fn of(wire: Vec<u8>) -> Self {
        Base64(wire)
    }
    fn wire(self) -> Vec<u8> {
        self.0
    }
    fn absent(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD
            .decode(&text)
            .map(Base64)
            .map_err(|_| D::Error::invalid_value(Unexpected::Str(&text), &"base64"))
    }
}

/// Milliseconds since 1970, as ISO 8601 in UTC: `2025-08-29T12:50:00Z`, with three decimals where they are not zero.
/// A number of milliseconds is read as well, and written for what is beyond the year 9999.
#[derive(Clone, Copy, Default)]
pub(super) struct Timestamp(u64);

const SECONDS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
const MILLISECONDS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

impl Timestamp {
    fn text(self) -> Option<String> {
        let format = if self.0.is_multiple_of(1_000) { SECONDS } else { MILLISECONDS };
        let nanoseconds = i128::from(self.0) * 1_000_000;
        OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).ok()?.format(format).ok()
    }

    fn read(text: &str) -> Option<Timestamp> {
        let time = OffsetDateTime::parse(text, &Rfc3339).ok()?.to_offset(UtcOffset::UTC);
        u64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok().map(Timestamp)
    }
}

impl Mirror for Timestamp {
    type Wire = u64;

    fn of(wire: u64) -> Self {
        Timestamp(wire)
    }
    fn wire(self) -> u64 {
        self.0
    }
    fn absent(&self) -> bool {
        self.0 == 0
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.text() {
            Some(text) => serializer.serialize_str(&text),
            None => serializer.serialize_u64(self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either<'a> {
            Text(#[serde(borrow)] Cow<'a, str>),
            Number(Int),
        }
        match Either::deserialize(deserializer)? {
            Either::Text(text) => Timestamp::read(&text).ok_or_else(|| {
                D::Error::invalid_value(Unexpected::Str(&text), &"a time in ISO 8601, from 1970 on")
            }),
            Either::Number(Int(number)) => Ok(Timestamp(number)),
        }
    }
}

/// What a name that this version does not know is read as. No enum has it, so it is refused where the number of a
/// value that is not known would be, and only there.
const UNKNOWN: i32 = -1;

macro_rules! names {
    ($($name:ident { $($variant:ident $text:literal,)* })*) => {$(
        /// The enum's number. Written as its name, or as the number where this version has no name for it.
        #[derive(Clone, Copy, Default, PartialEq)]
        pub(super) struct $name(i32);

        impl $name {
            /// The value, if this version knows it.
            #[allow(dead_code)]
            pub(super) fn known(self) -> Option<v1::$name> {
                v1::$name::try_from(self.0).ok()
            }
        }

        impl Mirror for $name {
            type Wire = i32;

            fn of(wire: i32) -> Self {
                $name(wire)
            }
            fn wire(self) -> i32 {
                self.0
            }
            fn absent(&self) -> bool {
                self.0 == 0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let name = match v1::$name::try_from(self.0) {
                    $(Ok(v1::$name::$variant) => $text,)*
                    Err(_) => return serializer.serialize_i32(self.0),
                };
                serializer.serialize_str(name)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(EnumVisitor(|name: &str| match name {
                    $($text => v1::$name::$variant as i32,)*
                    _ => UNKNOWN,
                })).map($name)
            }
        }
    )*};
}

names! {
    Tier { Unloaded "UNLOADED", Cached "CACHED", Background "BACKGROUND", Active "ACTIVE", }
    Visibility { Public "PUBLIC", Unlisted "UNLISTED", Private "PRIVATE", }
    Role { Member "MEMBER", Moderator "MODERATOR", Owner "OWNER", }
    Liveness { Live "LIVE", Stale "STALE", Offline "OFFLINE", }
    MessageType {
        Unspecified "UNSPECIFIED",
        StateUpdate "STATE_UPDATE",
        BulkSync "BULK_SYNC",
        DeltaUpdate "DELTA_UPDATE",
        Heartbeat "HEARTBEAT",
    }
    Capability {
        Unspecified "UNSPECIFIED",
        Post "POST",
        React "REACT",
        Pin "PIN",
        Moderate "MODERATE",
        Draw "DRAW",
        Play "PLAY",
        Signal "SIGNAL",
        Invite "INVITE",
        Configure "CONFIGURE",
        Administer "ADMINISTER",
    }
    ConflictType {
        Unspecified "UNSPECIFIED",
        MessageOrder "MESSAGE_ORDER",
        UserPresence "USER_PRESENCE",
        RoomConfig "ROOM_CONFIG",
        ComplexMerge "COMPLEX_MERGE",
    }
    ConflictMode {
        Unspecified "UNSPECIFIED",
        ServerWins "SERVER_WINS",
        ClientWins "CLIENT_WINS",
        Merge "MERGE",
        UserChoice "USER_CHOICE",
    }
    ConflictChoice {
        Unspecified "UNSPECIFIED",
        Mine "MINE",
        Theirs "THEIRS",
    }
    Availability {
        Online "ONLINE",
        Away "AWAY",
        Busy "BUSY",
        Invisible "INVISIBLE",
    }
    FriendEvent {
        Unspecified "UNSPECIFIED",
        Requested "REQUESTED",
        Accepted "ACCEPTED",
        Declined "DECLINED",
        Removed "REMOVED",
        Followed "FOLLOWED",
        Unfollowed "UNFOLLOWED",
        Withdrawn "WITHDRAWN",
    }
    FriendState {
        None "NONE",
        Requested "REQUESTED",
        Pending "PENDING",
        Friends "FRIENDS",
    }
    NotificationKind {
        Mention "MENTION",
        FriendRequest "FRIEND_REQUEST",
        FriendAccepted "FRIEND_ACCEPTED",
        Invite "INVITE",
        Moderation "MODERATION",
    }
    SignalClass {
        Latest "LATEST",
        Timed "TIMED",
        Release "RELEASE",
    }
}

struct EnumVisitor<F>(F);

impl<F: Fn(&str) -> i32> serde::de::Visitor<'_> for EnumVisitor<F> {
    type Value = i32;

    fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the name of a value, or its number")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<i32, E> {
        Ok(self.0(name))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<i32, E> {
        i32::try_from(number).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<i32, E> {
        i32::try_from(number).map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
    }
}

//! The same messages by prost's derive and by ours: equal bytes, and equal answers to any bytes.

use alloc::vec::Vec;

use proptest::prelude::*;
use prost::Message as _;

/// By our derives.
mod ours {
    use alloc::string::String;
    use alloc::vec::Vec;

    #[derive(Clone, PartialEq, enfilade_proto_derive::Message)]
    pub(super) struct Inner {
        #[prost(uint32, tag = "1")]
        pub(super) number: u32,
        #[prost(message, optional, tag = "2")]
        pub(super) deeper: Option<Empty>,
    }

    #[derive(Clone, PartialEq, enfilade_proto_derive::Message)]
    pub(super) struct Empty {}

    #[derive(Clone, PartialEq, enfilade_proto_derive::Oneof)]
    pub(super) enum Choice {
        #[prost(message, tag = "9")]
        Inner(Inner),
        #[prost(string, tag = "10")]
        Text(String),
        #[prost(uint64, tag = "40")]
        Number(u64),
    }

    #[derive(Clone, PartialEq, enfilade_proto_derive::Message)]
    pub(super) struct All {
        #[prost(bool, tag = "1")]
        pub(super) yes: bool,
        #[prost(uint32, tag = "2")]
        pub(super) short: u32,
        #[prost(uint64, tag = "3")]
        pub(super) long: u64,
        #[prost(string, tag = "4")]
        pub(super) text: String,
        #[prost(bytes = "vec", tag = "5")]
        pub(super) bytes: Vec<u8>,
        #[prost(enumeration = "crate::v1::Tier", tag = "6")]
        pub(super) tier: i32,
        #[prost(message, optional, tag = "7")]
        pub(super) inner: Option<Inner>,
        #[prost(message, repeated, tag = "8")]
        pub(super) inners: Vec<Inner>,
        #[prost(oneof = "Choice", tags = "9, 10, 40")]
        pub(super) choice: Option<Choice>,
        #[prost(uint32, optional, tag = "11")]
        pub(super) maybe_short: Option<u32>,
        #[prost(string, optional, tag = "12")]
        pub(super) maybe_text: Option<String>,
        #[prost(enumeration = "crate::v1::Tier", optional, tag = "13")]
        pub(super) maybe_tier: Option<i32>,
        #[prost(uint64, repeated, tag = "14")]
        pub(super) longs: Vec<u64>,
        #[prost(enumeration = "crate::v1::Tier", repeated, tag = "15")]
        pub(super) tiers: Vec<i32>,
        #[prost(string, repeated, tag = "200")]
        pub(super) texts: Vec<String>,
        #[prost(bool, optional, tag = "16")]
        pub(super) maybe: Option<bool>,
    }
}

/// By prost's.
mod prosts {
    use alloc::string::String;
    use alloc::vec::Vec;

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Inner {
        #[prost(uint32, tag = "1")]
        pub(super) number: u32,
        #[prost(message, optional, tag = "2")]
        pub(super) deeper: Option<Empty>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Empty {}

    #[derive(Clone, PartialEq, prost::Oneof)]
    pub(super) enum Choice {
        #[prost(message, tag = "9")]
        Inner(Inner),
        #[prost(string, tag = "10")]
        Text(String),
        #[prost(uint64, tag = "40")]
        Number(u64),
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct All {
        #[prost(bool, tag = "1")]
        pub(super) yes: bool,
        #[prost(uint32, tag = "2")]
        pub(super) short: u32,
        #[prost(uint64, tag = "3")]
        pub(super) long: u64,
        #[prost(string, tag = "4")]
        pub(super) text: String,
        #[prost(bytes = "vec", tag = "5")]
        pub(super) bytes: Vec<u8>,
        #[prost(enumeration = "crate::v1::Tier", tag = "6")]
        pub(super) tier: i32,
        #[prost(message, optional, tag = "7")]
        pub(super) inner: Option<Inner>,
        #[prost(message, repeated, tag = "8")]
        pub(super) inners: Vec<Inner>,
        #[prost(oneof = "Choice", tags = "9, 10, 40")]
        pub(super) choice: Option<Choice>,
        #[prost(uint32, optional, tag = "11")]
        pub(super) maybe_short: Option<u32>,
        #[prost(string, optional, tag = "12")]
        pub(super) maybe_text: Option<String>,
        #[prost(enumeration = "crate::v1::Tier", optional, tag = "13")]
        pub(super) maybe_tier: Option<i32>,
        #[prost(uint64, repeated, tag = "14")]
        pub(super) longs: Vec<u64>,
        #[prost(enumeration = "crate::v1::Tier", repeated, tag = "15")]
        pub(super) tiers: Vec<i32>,
        #[prost(string, repeated, tag = "200")]
        pub(super) texts: Vec<String>,
        #[prost(bool, optional, tag = "16")]
        pub(super) maybe: Option<bool>,
    }
}

/// Fields of any kind in any order, most of them well formed.
fn fields() -> impl Strategy<Value = Vec<u8>> {
    let tag = prop_oneof![0..18_u32, Just(40), Just(200)];
    let payload = prop_oneof![
        Just(Vec::new()),
        prop::collection::vec(any::<u8>(), 0..4),
        any::<u32>().prop_map(|number| ours::Inner { number, ..Default::default() }.encode_to_vec()),
        "[a-zé]{0,4}".prop_map(|text| text.into_bytes()),
    ];
    let field =
        (tag, 0..6_u8, any::<u64>(), 0..60_u32, payload).prop_map(|(tag, kind, number, shift, payload)| {
            let mut bytes = Vec::new();
            super::encode_varint(
                u64::from(tag) << 3 | u64::from(if kind == 0 { number as u8 % 8 } else { kind % 3 }),
                &mut bytes,
            );
            match kind % 3 {
                0 => super::encode_varint(number >> shift, &mut bytes),
                1 => bytes.extend(number.to_le_bytes()),
                _ => {
                    super::encode_varint(payload.len() as u64, &mut bytes);
                    bytes.extend(payload);
                }
            }
            bytes
        });
    prop::collection::vec(field, 0..8).prop_map(|fields| fields.concat())
}

proptest! {
    #[test]
    fn both_read_the_same_from_any_bytes_and_write_the_same_again(bytes in fields(), cut in any::<prop::sample::Index>()) {
        for bytes in [&bytes[..], &bytes[..cut.index(bytes.len() + 1)]] {
            let (own, theirs) = (ours::All::decode(bytes), prosts::All::decode(bytes));
            prop_assert_eq!(own.is_ok(), theirs.is_ok(), "{:?} {:?}", own, theirs);
            if let (Ok(own), Ok(theirs)) = (own, theirs) {
                prop_assert_eq!(own.encode_to_vec(), theirs.encode_to_vec());
                prop_assert_eq!(own.encoded_len(), theirs.encoded_len());
                prop_assert_eq!((own.tier(), own.maybe_tier()), (theirs.tier(), theirs.maybe_tier()));
                prop_assert_eq!((own.maybe_text(), own.maybe()), (theirs.maybe_text(), theirs.maybe()));
            }
        }
    }

    #[test]
    fn a_message_of_ours_can_lie_in_one_of_prosts(bytes in fields()) {
        #[derive(Clone, PartialEq, prost::Message)]
        struct Outer {
            #[prost(message, optional, tag = "1")]
            all: Option<ours::All>,
        }
        let mut wrapped = Vec::from([10]);
        super::encode_varint(bytes.len() as u64, &mut wrapped);
        wrapped.extend(&bytes);
        // Groups are read by nobody, and differ in what their end may be.
        if let (Ok(outer), Ok(own)) = (Outer::decode(&wrapped[..]), ours::All::decode(&bytes[..])) {
            prop_assert_eq!(outer.all.as_ref(), Some(&own));
            prop_assert_eq!(Outer::decode(&outer.encode_to_vec()[..]).unwrap(), outer);
        }
    }
}

#[test]
fn messages_deeper_than_prost_allows_are_refused() {
    #[derive(Clone, PartialEq, enfilade_proto_derive::Message)]
    struct Nested {
        #[prost(message, repeated, tag = "1")]
        within: Vec<Nested>,
    }
    let nested =
        |depth: u32| (0..depth).fold(Nested::default(), |within, _| Nested { within: Vec::from([within]) });
    assert!(Nested::decode(&nested(super::DEPTH).encode_to_vec()[..]).is_ok());
    assert!(Nested::decode(&nested(super::DEPTH + 1).encode_to_vec()[..]).is_err());
}

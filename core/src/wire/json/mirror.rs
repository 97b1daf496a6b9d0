//! How a JSON type and its protobuf type become each other.

use alloc::string::String;
use alloc::vec::Vec;

/// A type of the JSON codec, which mirrors one of the protobuf types. Both directions are total: what can be wrong
/// about JSON is found while it is read.
pub(super) trait Mirror {
    /// The protobuf type.
    type Wire;

    fn of(wire: Self::Wire) -> Self;
    fn wire(self) -> Self::Wire;

    /// Whether the value is left out in JSON: a default that reads back from nothing.
    fn absent(&self) -> bool {
        false
    }
}

macro_rules! same {
    ($($type:ty)*) => {$(
        impl Mirror for $type {
            type Wire = $type;

            fn of(wire: $type) -> Self {
                wire
            }
            fn wire(self) -> $type {
                self
            }
            fn absent(&self) -> bool {
                *self == <$type>::default()
            }
        }
    )*};
}

same!(bool u32 String);

impl<T: Mirror> Mirror for Option<T> {
    type Wire = Option<T::Wire>;

    fn of(wire: Option<T::Wire>) -> Self {
        wire.map(T::of)
    }
    fn wire(self) -> Option<T::Wire> {
        self.map(T::wire)
    }
    fn absent(&self) -> bool {
        self.is_none()
    }
}

impl<T: Mirror> Mirror for Vec<T> {
    type Wire = Vec<T::Wire>;

    fn of(wire: Vec<T::Wire>) -> Self {
        wire.into_iter().map(T::of).collect()
    }
    fn wire(self) -> Vec<T::Wire> {
        self.into_iter().map(T::wire).collect()
    }
    fn absent(&self) -> bool {
        self.is_empty()
    }
}

/// Declares structs that mirror the messages of the same names. Both are taken apart field by field, so that a new
/// field in `enfilade.proto` does not compile until it is here.
macro_rules! messages {
    ($($name:ident { $($field:ident: $type:ty,)* })*) => {$(
        #[derive(Default, serde::Serialize, serde::Deserialize)]
        #[serde(default)]
        pub(super) struct $name {
            $(
                #[serde(skip_serializing_if = "crate::wire::json::mirror::Mirror::absent")]
                $field: $type,
            )*
        }

        impl $crate::wire::json::mirror::Mirror for $name {
            type Wire = $crate::v1::$name;

            fn of(wire: $crate::v1::$name) -> Self {
                let $crate::v1::$name { $($field,)* } = wire;
                $name { $($field: $crate::wire::json::mirror::Mirror::of($field),)* }
            }
            fn wire(self) -> $crate::v1::$name {
                let $name { $($field,)* } = self;
                $crate::v1::$name { $($field: $crate::wire::json::mirror::Mirror::wire($field),)* }
            }
        }
    )*};
}

/// Declares an enum that mirrors a `oneof`. It is written as an object with one key; on reading, unknown keys are
/// skipped, and two known ones are refused, for they would say two things at once.
macro_rules! oneof {
    ($name:ident = $wire:path { $($key:literal $body:ident => $variant:ident,)* }) => {
        #[derive(serde::Serialize)]
        #[allow(clippy::large_enum_variant, reason = "there is one at a time, on its way through")]
        pub(super) enum $name {
            $(#[serde(rename = $key)] $variant($body),)*
        }

        impl $crate::wire::json::mirror::Mirror for $name {
            type Wire = $wire;

            fn of(wire: $wire) -> Self {
                use $wire as Wire;
                match wire {
                    $(Wire::$variant(body) => $name::$variant($crate::wire::json::mirror::Mirror::of(body)),)*
                }
            }
            fn wire(self) -> $wire {
                use $wire as Wire;
                match self {
                    $($name::$variant(body) => Wire::$variant($crate::wire::json::mirror::Mirror::wire(body)),)*
                }
            }
        }

        impl $crate::wire::json::mirror::Keyed for $name {
            fn read<'de, A: serde::de::MapAccess<'de>>(key: &str, map: &mut A) -> Result<Option<Self>, A::Error> {
                match key {
                    $($key => map.next_value().map($name::$variant).map(Some),)*
                    _ => map.next_value::<serde::de::IgnoredAny>().map(|_| None),
                }
            }
        }
    };
}

pub(super) use {messages, oneof};

/// A body that is chosen by the key before it.
pub(super) trait Keyed: Sized {
    /// Takes the value behind `key`: `None` for a key that is not known.
    fn read<'de, A: serde::de::MapAccess<'de>>(key: &str, map: &mut A) -> Result<Option<Self>, A::Error>;
}

/// An object with at most one known key.
pub(super) struct OneOf<T>(pub(super) Option<T>);

impl<T> Default for OneOf<T> {
    fn default() -> Self {
        OneOf(None)
    }
}

impl<T: serde::Serialize> serde::Serialize for OneOf<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Some(body) => body.serialize(serializer),
            None => serializer.collect_map::<(), (), _>([]),
        }
    }
}

impl<'de, T: Keyed> serde::Deserialize<'de> for OneOf<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(OneOfVisitor(core::marker::PhantomData))
    }
}

struct OneOfVisitor<T>(core::marker::PhantomData<T>);

impl<'de, T: Keyed> serde::de::Visitor<'de> for OneOfVisitor<T> {
    type Value = OneOf<T>;

    fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("an object with one key")
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<OneOf<T>, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<String>()? {
            let read = T::read(&key, &mut map)?;
            if read.is_some() && found.is_some() {
                return Err(serde::de::Error::custom("two bodies in one object"));
            }
            found = found.or(read);
        }
        Ok(OneOf(found))
    }
}

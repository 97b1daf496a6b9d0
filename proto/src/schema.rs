//! What is in which field, for programs that walk through messages of any kind.

/// A message of the protocol.
#[derive(Debug)]
pub struct Message {
    /// As in the `.proto` files.
    pub name: &'static str,
    /// Its fields.
    pub fields: &'static [Field],
}

/// A field of a message.
#[derive(Debug)]
pub struct Field {
    /// Its number.
    pub tag: u32,
    /// What it holds.
    pub content: Content,
}

/// What a field holds.
#[derive(Debug)]
pub enum Content {
    /// A number of any kind, or several.
    Number,
    /// A text that names something.
    Identifier,
    /// A text that somebody wrote.
    Text,
    /// Bytes of an app.
    Bytes,
    /// An operation, encoded.
    Op,
    /// The message of this name.
    Message(&'static str),
    /// The digest of a state.
    Digest,
}

/// All messages.
pub static MESSAGES: &[Message] = include!(concat!(env!("OUT_DIR"), "/schema.rs"));

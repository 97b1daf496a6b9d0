use alloc::string::String;

use crate::{Code, UserId};

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Somebody with a token.
    User {
        /// The token's user.
        id: UserId,
        /// Their display name.
        name: String,
        /// What is known of them from outside the room's log.
        facts: Facts,
    },
    /// The server itself, following up an entry of one room in another.
    System,
}

/// What policy needs to know of somebody that the room's log does not say. The authority learns it from the token and
/// from the user's inbox, a client from its own inbox; the fold never asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Whether the token says that they administer the server.
    pub is_admin: bool,
    /// Whether they follow the room's owner; `None` where nobody has asked yet, which counts as no.
    pub follows_owner: Option<bool>,
}

impl Actor {
    /// Somebody of whom nothing special is known.
    pub fn new(id: UserId, name: impl Into<String>) -> Actor {
        Actor::User { id, name: name.into(), facts: Facts::default() }
    }

    /// The user id as entries name it; empty for the server itself.
    pub fn user(&self) -> &str {
        match self {
            Actor::User { id, .. } => id.as_str(),
            Actor::System => "",
        }
    }

    /// The display name; empty for the server itself.
    pub fn name(&self) -> &str {
        match self {
            Actor::User { name, .. } => name,
            Actor::System => "",
        }
    }

    pub(crate) fn facts(&self) -> Facts {
        match self {
            Actor::User { facts, .. } => *facts,
            Actor::System => Facts { is_admin: true, follows_owner: None },
        }
    }
}

/// Why an operation is not allowed, and when it would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Refusal {
    /// The reason.
    pub code: Code,
    /// Milliseconds after which the same operation may be tried again; 0 where there is no such time.
    pub retry_after: u64,
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Refusal {
        Refusal { code, retry_after: 0 }
    }
}

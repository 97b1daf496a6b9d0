//! Codes and errors.

use enfilade_core::{Code, Retry};

/// What somebody who receives a code does with the same request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum RetryDecision {
    /// Nothing: the same request fails again.
    Never,
    /// Send it again later.
    Later,
    /// Take the state that follows, then go on.
    Resync,
    /// Fetch a new token first.
    NewToken,
}

impl From<Retry> for RetryDecision {
    fn from(retry: Retry) -> Self {
        match retry {
            Retry::Never => RetryDecision::Never,
            Retry::Later => RetryDecision::Later,
            Retry::Resync => RetryDecision::Resync,
            Retry::NewToken => RetryDecision::NewToken,
        }
    }
}

/// A code of the registry.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct CodeRecord {
    /// Stable for ever.
    pub number: u32,
    /// Stable for ever, in snake case.
    pub name: String,
    /// What to do about it.
    pub retry: RetryDecision,
    /// A sentence for people.
    pub text: String,
}

impl From<Code> for CodeRecord {
    fn from(code: Code) -> Self {
        CodeRecord {
            number: code.number(),
            name: code.name().into(),
            retry: code.retry().into(),
            text: code.text().into(),
        }
    }
}

/// Why a call failed. It had no effect then.
// No field may be called `message`: Kotlin's exceptions have one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum FfiError {
    /// An argument is not what it should be.
    #[error("{} ({}): {}", code.name, code.number, code.text)]
    Coded {
        /// Which rule it breaks.
        code: CodeRecord,
    },
    /// An earlier call on this object ended in a bug, and left it in an unknown state. Make a new one, and give it the
    /// records that were persisted.
    #[error("an earlier call failed within; make a new client and restore its records")]
    Broken,
}

impl From<Code> for FfiError {
    fn from(code: Code) -> Self {
        FfiError::Coded { code: code.into() }
    }
}

/// Every code there is, ascending.
#[uniffi::export]
pub fn code_registry() -> Result<Vec<CodeRecord>, FfiError> {
    Ok(Code::ALL.iter().map(|code| CodeRecord::from(*code)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_is_the_one_of_the_protocol() {
        let codes = code_registry().unwrap();
        assert_eq!(codes.len(), Code::ALL.len());
        assert_eq!(codes[0], CodeRecord::from(Code::Malformed));
    }

    #[test]
    fn an_error_says_its_name_number_and_reason() {
        let text = FfiError::from(Code::InvalidRoomId).to_string();
        assert!(text.starts_with("invalid_room_id (1002): "), "{text}");
    }
}

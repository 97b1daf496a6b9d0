//! The questions of the golden vectors, for the tests of the packages on top.

use enfilade_core::Code;

use crate::FfiError;

/// Answers a question of `tests/vectors/rules`; question and answer are JSON.
#[uniffi::export]
pub fn answer_question(kind: String, question: String) -> Result<String, FfiError> {
    enfilade_conformance::answer(&kind, &question).map_err(|_| Code::InvalidRequest.into())
}

//! What the scripts answer, taken apart.

use bytes::Bytes;
use enfilade_core::Position;
use redis::Value;

use crate::store::{Result, StoreError};

/// An answer of a script: how it went, and what it says.
pub(super) struct Reply {
    status: String,
    values: std::vec::IntoIter<Value>,
}

impl Reply {
    pub(super) fn parse(value: Value) -> Result<Reply> {
        let Value::Array(values) = value else { return Err(unexpected()) };
        let mut values = values.into_iter();
        let status = values.next().map(text).unwrap_or_else(|| Err(unexpected()))?;
        Ok(Reply { status, values })
    }

    pub(super) fn status(&self) -> &str {
        &self.status
    }

    pub(super) fn text(&mut self) -> Result<String> {
        self.values.next().map_or_else(|| Err(unexpected()), text)
    }

    pub(super) fn number(&mut self) -> Result<u64> {
        self.values.next().map_or_else(|| Err(unexpected()), number)
    }

    pub(super) fn bytes(&mut self) -> Result<Bytes> {
        self.values.next().map_or_else(|| Err(unexpected()), bytes)
    }

    /// An epoch and a seq.
    pub(super) fn position(&mut self) -> Result<Position> {
        Ok(Position { epoch: self.number()?, seq: self.number()? })
    }

    pub(super) fn list(&mut self) -> Result<Vec<Bytes>> {
        self.values.next().map_or_else(|| Err(unexpected()), list)
    }

    /// A status that this call does not have.
    pub(super) fn unexpected<T>(&self) -> Result<T> {
        Err(StoreError::Damaged(format!("a script of ours answers {:?}, which we don't know", self.status)))
    }
}

/// Something that none of our scripts answers.
pub(super) fn unexpected() -> StoreError {
    StoreError::Damaged("Redis answers in a form that we don't know; is it a Redis of 7 or newer?".into())
}

pub(super) fn bytes(value: Value) -> Result<Bytes> {
    match value {
        Value::BulkString(bytes) => Ok(Bytes::from(bytes)),
        Value::SimpleString(text) => Ok(Bytes::from(text)),
        Value::Int(number) => Ok(Bytes::from(number.to_string())),
        _ => Err(unexpected()),
    }
}

pub(super) fn text(value: Value) -> Result<String> {
    String::from_utf8(bytes(value)?.into()).map_err(|_| unexpected())
}

pub(super) fn number(value: Value) -> Result<u64> {
    match value {
        Value::Int(number) => u64::try_from(number).map_err(|_| unexpected()),
        other => text(other)?.parse().map_err(|_| unexpected()),
    }
}

pub(super) fn list(value: Value) -> Result<Vec<Bytes>> {
    match value {
        Value::Array(values) => values.into_iter().map(bytes).collect(),
        Value::Nil => Ok(Vec::new()),
        _ => Err(unexpected()),
    }
}

/// What was found, each or nothing, in the order asked.
pub(super) fn options(value: Value) -> Result<Vec<Option<Bytes>>> {
    let Value::Array(values) = value else { return Err(unexpected()) };
    let one = |value| if value == Value::Nil { Ok(None) } else { bytes(value).map(Some) };
    values.into_iter().map(one).collect()
}

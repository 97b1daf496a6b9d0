//! Collects the writes that turn one state of a room's readable keys into the next.

use std::time::Duration;

use bytes::Bytes;

use crate::store::{KeyCommand, KeyWrite};

/// What follows on one key is joined into one command.
#[derive(Debug, Default)]
pub(super) struct Writes {
    list: Vec<KeyWrite>,
}

/// Fields, members and items of one command: far below what a script can unpack.
const JOINED: usize = 500;
/// Writes among which one on the same key is looked for: a member or a player is in no more keys at once.
const LOOK_BACK: usize = 8;

impl Writes {
    pub(super) fn into_list(self) -> Vec<KeyWrite> {
        self.list
    }

    pub(super) fn delete(&mut self, key: String) {
        self.put(key, KeyCommand::Del);
    }

    pub(super) fn set(&mut self, key: String, value: String) {
        self.put(key, KeyCommand::Set(value.into()));
    }

    pub(super) fn set_fields<'a>(
        &mut self,
        key: String,
        fields: impl IntoIterator<Item = (&'a str, String)>,
    ) {
        let fields = fields.into_iter().map(|(field, value)| (bytes(field), value.into()));
        self.join(key, fields, KeyCommand::HSet, |command| match command {
            KeyCommand::HSet(list) => Some(list),
            _ => None,
        });
    }

    pub(super) fn remove_field(&mut self, key: String, field: &str) {
        self.join(key, [bytes(field)], KeyCommand::HDel, |command| match command {
            KeyCommand::HDel(list) => Some(list),
            _ => None,
        });
    }

    /// Scores are below 2^53, so the conversion is one of form.
    pub(super) fn set_score(&mut self, key: String, member: impl Into<Bytes>, score: u64) {
        self.join(key, [(number(score), member.into())], KeyCommand::ZAdd, |command| match command {
            KeyCommand::ZAdd(list) => Some(list),
            _ => None,
        });
    }

    pub(super) fn remove_member(&mut self, key: String, member: &str) {
        self.join(key, [bytes(member)], KeyCommand::ZRem, |command| match command {
            KeyCommand::ZRem(list) => Some(list),
            _ => None,
        });
    }

    pub(super) fn remove_score(&mut self, key: String, score: u64) {
        self.put(key, KeyCommand::ZRemByScore(number(score), number(score)));
    }

    pub(super) fn keep_highest(&mut self, key: String, count: usize) {
        self.put(key, KeyCommand::ZKeepNewest(u32::try_from(count).unwrap_or(u32::MAX)));
    }

    pub(super) fn add(&mut self, key: String, member: &str) {
        self.join(key, [bytes(member)], KeyCommand::SAdd, |command| match command {
            KeyCommand::SAdd(list) => Some(list),
            _ => None,
        });
    }

    pub(super) fn remove(&mut self, key: String, member: &str) {
        self.join(key, [bytes(member)], KeyCommand::SRem, |command| match command {
            KeyCommand::SRem(list) => Some(list),
            _ => None,
        });
    }

    pub(super) fn push(&mut self, key: String, items: impl IntoIterator<Item = String>) {
        self.join(key, items.into_iter().map(Bytes::from), KeyCommand::RPush, |command| match command {
            KeyCommand::RPush(list) => Some(list),
            _ => None,
        });
    }

    pub(super) fn keep_last(&mut self, key: String, count: usize) {
        self.put(key, KeyCommand::LKeepLast(u32::try_from(count).unwrap_or(u32::MAX)));
    }

    pub(super) fn expire(&mut self, key: String, after: Duration) {
        self.put(key, KeyCommand::Expire(after));
    }

    fn put(&mut self, key: String, command: KeyCommand) {
        self.list.push(KeyWrite { key, command });
    }

    /// Adds to the last write of the same kind on this key, as far as nothing else was done to the key since.
    fn join<T>(
        &mut self,
        key: String,
        items: impl IntoIterator<Item = T>,
        make: impl Fn(Vec<T>) -> KeyCommand,
        list_of: impl Fn(&mut KeyCommand) -> Option<&mut Vec<T>>,
    ) {
        for item in items {
            let last = self.list.iter_mut().rev().take(LOOK_BACK).find(|write| write.key == key);
            let list = last.and_then(|write| list_of(&mut write.command)).filter(|list| list.len() < JOINED);
            match list {
                Some(list) => list.push(item),
                None => self.list.push(KeyWrite { key: key.clone(), command: make(vec![item]) }),
            }
        }
    }
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn number(score: u64) -> i64 {
    i64::try_from(score).unwrap_or(i64::MAX)
}

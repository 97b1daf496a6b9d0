//! Readable keys in memory: what the embedded store shows, and what tests compare with Redis.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use crate::store::{KeyCommand, KeyWrite};

/// Keys and their values, as a Redis that was written to by nobody else has them. Expiries are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keyspace {
    keys: BTreeMap<String, Value>,
}

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A string.
    Text(String),
    /// A hash.
    Hash(BTreeMap<String, String>),
    /// A ZSET.
    Scores(BTreeMap<String, i64>),
    /// A set.
    Set(BTreeSet<String>),
    /// A list.
    List(VecDeque<String>),
}

impl Keyspace {
    /// Applies writes in their order. One on a key of another type has no effect, as in Redis.
    pub fn apply(&mut self, writes: impl IntoIterator<Item = KeyWrite>) {
        writes.into_iter().for_each(|write| self.write(write));
    }

    /// What a key holds.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.keys.get(key)
    }

    /// All keys, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.keys.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Lets a name stand for a room, as [`KeyStore::name`](crate::store::KeyStore::name) says.
    pub(crate) fn name(&mut self, key: &str, room: &str, old: &str, new: &str) {
        let value = self.keys.entry(key.to_owned()).or_insert_with(|| Value::Hash(BTreeMap::new()));
        let Value::Hash(hash) = value else { return };
        if old != new && hash.get(old).is_some_and(|known| known == room) {
            hash.remove(old);
        }
        if !new.is_empty() {
            hash.entry(new.to_owned()).or_insert_with(|| room.to_owned());
        }
        if hash.is_empty() {
            self.keys.remove(key);
        }
    }

    fn write(&mut self, KeyWrite { key, command }: KeyWrite) {
        match command {
            KeyCommand::Del => drop(self.keys.remove(&key)),
            KeyCommand::Set(value) => drop(self.keys.insert(key, Value::Text(text(value)))),
            KeyCommand::HSet(fields) => {
                let value = self.keys.entry(key).or_insert_with(|| Value::Hash(BTreeMap::new()));
                if let Value::Hash(hash) = value {
                    hash.extend(fields.into_iter().map(|(field, value)| (text(field), text(value))));
                }
            }
            KeyCommand::ZAdd(scores) => {
                let value = self.keys.entry(key).or_insert_with(|| Value::Scores(BTreeMap::new()));
                if let Value::Scores(known) = value {
                    known.extend(scores.into_iter().map(|(score, member)| (text(member), score)));
                }
            }
            KeyCommand::SAdd(members) => {
                let value = self.keys.entry(key).or_insert_with(|| Value::Set(BTreeSet::new()));
                if let Value::Set(known) = value {
                    known.extend(members.into_iter().map(text));
                }
            }
            KeyCommand::RPush(items) => {
                let value = self.keys.entry(key).or_insert_with(|| Value::List(VecDeque::new()));
                if let Value::List(known) = value {
                    known.extend(items.into_iter().map(text));
                }
            }
            KeyCommand::Expire(_) | KeyCommand::Persist => {}
            KeyCommand::HDel(_)
            | KeyCommand::ZRem(_)
            | KeyCommand::ZRemByScore(..)
            | KeyCommand::ZKeepNewest(_)
            | KeyCommand::SRem(_)
            | KeyCommand::LKeepLast(_) => self.take_away(key, command),
        }
    }

    fn take_away(&mut self, key: String, command: KeyCommand) {
        let Some(value) = self.keys.get_mut(&key) else { return };
        match (command, value) {
            (KeyCommand::HDel(fields), Value::Hash(hash)) => {
                fields.into_iter().for_each(|field| drop(hash.remove(&text(field))));
            }
            (KeyCommand::ZRem(members), Value::Scores(scores)) => {
                scores.retain(|member, _| !members.iter().any(|gone| gone == member.as_bytes()));
            }
            (KeyCommand::ZRemByScore(from, to), Value::Scores(scores)) => {
                scores.retain(|_, score| !(from..=to).contains(score));
            }
            (KeyCommand::ZKeepNewest(count), Value::Scores(scores)) => {
                let goes = scores.len().saturating_sub(count as usize);
                for (member, _) in ascending(scores).into_iter().take(goes) {
                    scores.remove(&member);
                }
            }
            (KeyCommand::SRem(members), Value::Set(set)) => {
                set.retain(|member| !members.iter().any(|gone| gone == member.as_bytes()));
            }
            (KeyCommand::LKeepLast(count), Value::List(list)) => {
                drop(list.drain(..list.len().saturating_sub(count as usize)));
            }
            _ => {}
        }
        // Redis keeps no empty keys.
        if self.keys.get(&key).is_some_and(Value::is_empty) {
            self.keys.remove(&key);
        }
    }
}

impl Value {
    fn is_empty(&self) -> bool {
        match self {
            Value::Text(_) => false,
            Value::Hash(hash) => hash.is_empty(),
            Value::Scores(scores) => scores.is_empty(),
            Value::Set(set) => set.is_empty(),
            Value::List(list) => list.is_empty(),
        }
    }
}

/// What we write is text.
fn text(bytes: Bytes) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

/// In the order of ZRANGE: by score, and of equals by their bytes.
pub(super) fn ascending(scores: &BTreeMap<String, i64>) -> Vec<(String, i64)> {
    let mut list: Vec<_> = scores.iter().map(|(member, score)| (member.clone(), *score)).collect();
    list.sort_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
    list
}

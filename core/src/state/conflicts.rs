//! How a room resolves conflicts, and the conflicts that wait in an inbox for their author's choice.

use alloc::vec::Vec;

use prost::Message as _;

use super::register;
use crate::conflict::default_mode;
use crate::op::Body;
use crate::{Digest, OpId, hash53, limits, v1};

/// A room's rules, and in an inbox the conflicts of its owner.
///
/// A conflict is open until it is resolved: by its author, or by the server when time is up. One that was resolved for
/// the author's side keeps it until the server has seen it in the room. What is left then is the id, by which a
/// conflict that the server tells again is known.
#[derive(Clone, Debug, Default)]
pub struct Conflicts {
    /// Ascending by type.
    rules: Vec<v1::ConflictRule>,
    /// In the order of their coming.
    list: Vec<v1::Conflict>,
}

impl Conflicts {
    /// How conflicts of this type are resolved here: as the room has set it, or by default.
    pub fn rule(&self, of: v1::ConflictType) -> v1::ConflictRule {
        let set = self.rules.iter().find(|rule| rule.conflict_type() == of).copied();
        let mut rule = set.unwrap_or_default();
        rule.set_conflict_type(of);
        if rule.mode() == v1::ConflictMode::Unspecified {
            rule.set_mode(default_mode(of));
        }
        if rule.timeout == 0 {
            rule.timeout = limits::CONFLICT_TIMEOUT;
        }
        if rule.default_choice() == v1::ConflictChoice::Unspecified {
            rule.set_default_choice(v1::ConflictChoice::Theirs);
        }
        rule
    }

    /// What waits for a choice, oldest first.
    pub fn open(&self) -> impl Iterator<Item = &v1::Conflict> {
        self.list.iter().filter(|conflict| is_open(conflict))
    }

    /// The conflict of this operation, open or resolved.
    pub fn get(&self, id: OpId) -> Option<&v1::Conflict> {
        self.list.iter().find(|conflict| conflict.id == Some(id.wire()))
    }

    /// Whether this one waits for a choice.
    pub fn is_open(&self, id: OpId) -> bool {
        self.get(id).is_some_and(is_open)
    }

    /// Resolved for the author's side, which is not known to be in the room yet.
    pub fn undelivered(&self) -> impl Iterator<Item = &v1::Conflict> {
        self.list.iter().filter(|conflict| !is_open(conflict) && !conflict.mine.is_empty())
    }

    /// When the first default holds, in milliseconds since 1970.
    pub fn next_deadline(&self) -> Option<u64> {
        self.open().map(|conflict| conflict.deadline).min()
    }

    /// The conflict that must be resolved before another comes in, where as many are open as may be.
    pub fn in_the_way(&self) -> Option<&v1::Conflict> {
        let full = self.open().count() >= limits::CONFLICTS;
        self.open().next().filter(|_| full)
    }

    pub(super) fn is_settled(&self, body: &Body) -> bool {
        match body {
            Body::AddConflict(v1::AddConflict { conflict: Some(conflict) }) => {
                self.place(conflict.id).is_some()
            }
            Body::ResolveConflict(resolve) => {
                let known = self.place(resolve.conflict_id).map(|place| &self.list[place]);
                known.is_none_or(|known| match resolve.choice() {
                    v1::ConflictChoice::Unspecified => is_open(known) || known.mine.is_empty(),
                    v1::ConflictChoice::Mine | v1::ConflictChoice::Theirs => !is_open(known),
                })
            }
            _ => false,
        }
    }

    /// Of a type that this version does not know nothing is kept.
    pub(super) fn set_rule(&mut self, set: v1::SetConflictMode, digest: &mut Digest) {
        if set.conflict_type() == v1::ConflictType::Unspecified {
            return;
        }
        let rule = v1::ConflictRule {
            conflict_type: set.conflict_type,
            mode: set.mode,
            timeout: set.timeout,
            default_choice: set.default_choice,
        };
        let place = self.rules.binary_search_by_key(&rule.conflict_type, |rule| rule.conflict_type);
        if let Ok(place) = place {
            digest.remove(rule_hash(&self.rules.remove(place)));
        }
        let is_default = rule == v1::ConflictRule { conflict_type: rule.conflict_type, ..Default::default() };
        if !is_default {
            digest.add(rule_hash(&rule));
            let (Ok(place) | Err(place)) = place;
            self.rules.insert(place, rule);
        }
    }

    /// The id of the conflict that came in, if it is new.
    pub(super) fn add(&mut self, conflict: &v1::Conflict, digest: &mut Digest) -> bool {
        if self.place(conflict.id).is_some() {
            return false;
        }
        if self.list.len() >= limits::CONFLICTS_KNOWN {
            let is_done = |conflict: &v1::Conflict| !is_open(conflict) && conflict.mine.is_empty();
            let place = self.list.iter().position(is_done).unwrap_or(0);
            digest.remove(hash(&self.list.remove(place)));
        }
        let mut conflict = conflict.clone();
        conflict.set_choice(v1::ConflictChoice::Unspecified);
        digest.add(hash(&conflict));
        self.list.push(conflict);
        true
    }

    /// Notes the choice, or, without one, that the author's side has reached the room. Whether that changed anything.
    pub(super) fn resolve(&mut self, resolve: &v1::ResolveConflict, digest: &mut Digest) -> bool {
        if self.is_settled(&Body::ResolveConflict(*resolve)) {
            return false;
        }
        let Some(place) = self.place(resolve.conflict_id) else { return false };
        let conflict = &mut self.list[place];
        digest.remove(hash(conflict));
        match resolve.choice() {
            v1::ConflictChoice::Unspecified => conflict.mine.clear(),
            v1::ConflictChoice::Theirs => conflict.mine.clear(),
            v1::ConflictChoice::Mine => {}
        }
        if resolve.choice() != v1::ConflictChoice::Unspecified {
            conflict.choice = resolve.choice;
        }
        conflict.base.clear();
        conflict.theirs.clear();
        digest.add(hash(conflict));
        true
    }

    /// The rules that differ from their default, ascending by type.
    pub(crate) fn rules(&self) -> &[v1::ConflictRule] {
        &self.rules
    }

    pub(super) fn snapshot(&self) -> (Vec<v1::ConflictRule>, Vec<v1::Conflict>) {
        (self.rules.clone(), self.list.clone())
    }

    pub(super) fn restore(
        rules: Vec<v1::ConflictRule>,
        list: Vec<v1::Conflict>,
        digest: &mut Digest,
    ) -> Option<Conflicts> {
        let ascending = rules.is_sorted_by(|a, b| a.conflict_type < b.conflict_type);
        if !ascending || rules.len() > limits::CONFLICT_RULES || list.len() > limits::CONFLICTS_KNOWN {
            return None;
        }
        rules.iter().for_each(|rule| digest.add(rule_hash(rule)));
        list.iter().for_each(|conflict| digest.add(hash(conflict)));
        Some(Conflicts { rules, list })
    }

    fn place(&self, id: Option<v1::OpId>) -> Option<usize> {
        self.list.iter().position(|conflict| conflict.id == id)
    }
}

fn is_open(conflict: &v1::Conflict) -> bool {
    conflict.choice() == v1::ConflictChoice::Unspecified
}

fn hash(conflict: &v1::Conflict) -> u64 {
    hash53(&conflict.encode_to_vec(), register::CONFLICT)
}

fn rule_hash(rule: &v1::ConflictRule) -> u64 {
    hash53(&rule.encode_to_vec(), register::CONFLICT_RULE)
}

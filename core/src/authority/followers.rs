//! Whether somebody follows the room's owner stands in their inbox, which is a room of its own: it is asked when an
//! answer hangs on it, and what asks waits.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Authority, Effect, STORE_RETRY_AFTER, Submission, Waiting as Question};
use crate::policy::{self, Actor, Refusal};
use crate::{Code, Millis, RoomId, UserId, limits};

/// Milliseconds for which a yes holds. A no is asked again each time: who was refused may follow a moment later.
const KNOWN: u64 = 60_000;
/// Milliseconds after which what waits is put off.
const PATIENCE: u64 = 2_000;
/// Followers that are remembered.
const FOLLOWERS: usize = 4_096;

#[derive(Debug, Default)]
pub(super) struct Followers {
    /// Until when they are known to follow, and whom.
    known: BTreeMap<String, (Millis, String)>,
    waiting: BTreeMap<String, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    until: Millis,
    /// In order, whatever they are: nothing of a user overtakes what they did before.
    submissions: Vec<Submission>,
}

impl Followers {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        self.waiting.values().map(|waiting| waiting.until).min()
    }

    pub(super) fn take_waiting(&mut self) -> Vec<Submission> {
        core::mem::take(&mut self.waiting).into_values().flat_map(|waiting| waiting.submissions).collect()
    }
}

impl Authority {
    /// Whether this user follows that one, asked of an inbox by another room's [`Effect::AskFollows`]. Answered by
    /// [`Effect::Follows`] as far as is known: an answer that is late by a moment does no harm.
    pub fn ask_follows(&mut self, room: RoomId, user: String) {
        if self.must_wait() {
            return self.waiting.push(Question::AskFollows(room, user));
        }
        let follows = self.ahead.contacts().follows(&user);
        let follower = self.ahead.id().inbox_owner().unwrap_or_default().to_string();
        self.effects.push_back(Effect::Follows { room, follower, user, follows });
    }

    /// The answer to [`Effect::AskFollows`].
    pub fn handle_follows(&mut self, follower: &str, user: String, follows: bool, now: Millis) {
        let Some(waiting) = self.followers.waiting.remove(follower) else { return };
        if follows {
            if self.followers.known.len() >= FOLLOWERS {
                self.followers.known.retain(|_, (until, _)| *until > now);
            }
            if self.followers.known.len() < FOLLOWERS {
                self.followers.known.insert(follower.to_string(), (now + KNOWN, user));
            }
        }
        for mut submission in waiting.submissions.into_iter().rev() {
            if let Actor::User { facts, .. } = &mut submission.actor {
                facts.follows_owner = Some(follows);
            }
            self.queue.push_front(submission);
        }
        self.pump(now);
    }

    /// Takes a submission that can't be decided before it is known whether its author follows the room's owner, and
    /// what comes after it; gives all others back.
    pub(super) fn wait_for_facts(&mut self, mut submission: Submission, now: Millis) -> Option<Submission> {
        let user = submission.actor.user();
        if let Some(waiting) = self.followers.waiting.get_mut(user) {
            waiting.submissions.push(submission);
            return None;
        }
        if !policy::asks_for_followers(&self.ahead, &submission.actor, &submission.body) {
            return Some(submission);
        }
        let owner = self.ahead.info().map(|info| info.owner.clone()).unwrap_or_default();
        let known = self.followers.known.get(user);
        let knows = known.is_some_and(|(until, whom)| *until > now && *whom == owner);
        let Ok(id) = UserId::new(user) else { return Some(submission) };
        if knows || owner.is_empty() {
            if let Actor::User { facts, .. } = &mut submission.actor {
                facts.follows_owner = Some(knows);
            }
            return Some(submission);
        }
        let waiting = Waiting { until: now + PATIENCE, submissions: alloc::vec![submission] };
        self.followers.waiting.insert(id.as_str().to_string(), waiting);
        self.effects.push_back(Effect::AskFollows { inbox: RoomId::inbox(&id), user: owner });
        None
    }

    /// Puts off what has waited for too long: the answer was lost, or the other room does not open.
    pub(super) fn lose_patience(&mut self, now: Millis) {
        let due = self.followers.waiting.iter().filter(|(_, waiting)| waiting.until <= now);
        let due: Vec<String> = due.map(|(user, _)| user.clone()).collect();
        let refusal = Refusal { code: Code::StoreUnavailable, retry_after: STORE_RETRY_AFTER };
        for user in due {
            let waiting = self.followers.waiting.remove(&user);
            let submissions = waiting.into_iter().flat_map(|waiting| waiting.submissions);
            submissions.for_each(|submission| self.put_off(submission, refusal));
        }
    }

    /// Whether more waits than may.
    pub(super) fn has_too_much_to_do(&self) -> bool {
        let waiting = self.followers.waiting.values().map(|waiting| waiting.submissions.len());
        self.queue.len() + self.fetching.parked() + waiting.sum::<usize>() >= limits::SUBMISSIONS
    }
}

//! What was talked about, in a few hundred bytes: bounded lists and integers alone, equal on every platform.

use alloc::string::String;
use alloc::vec::Vec;

use crate::v1;

/// Rules by which a message digest is made.
pub const MESSAGE_DIGEST_VERSION: u32 = 1;
/// Entries of each list. Beyond, a list is no summary.
const TOP: usize = 8;
/// Words shorter than this say nothing about a topic.
const KEYWORD_CHARS: usize = 4;
/// Longer ones are links and garbage.
const KEYWORD_BYTES: usize = 32;
/// Different words of one digest that are counted. A room's snapshot has a hundred messages.
const DISTINCT: usize = 512;
/// Users that a summary names.
const USERS: usize = 8;

/// Who talked how much, which words and which emotes were used most.
///
/// A keyword is a run of at least four letters, digits and characters beyond ASCII, in lower case where it is ASCII; an
/// emote is a name in `:colons:`.
pub fn message_digest(messages: &[v1::Message], count: u64) -> v1::MessageDigest {
    let (mut users, mut keywords, mut emotes) = (Tally::default(), Tally::default(), Tally::default());
    for message in messages.iter().filter(|message| !message.deleted) {
        users.count(&message.author, 1);
        for reaction in &message.reactions {
            emotes.count(reaction.reaction.trim_matches(':'), reaction.users.len() as u32);
        }
        // Between two colons lies an emote, if what lies there is a name.
        let mut before_colon = false;
        let mut pieces = message.text.split(':').peekable();
        while let Some(piece) = pieces.next() {
            let is_name = piece.starts_with(|first: char| first.is_ascii_alphabetic())
                && piece.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            let is_emote = before_colon && is_name && pieces.peek().is_some();
            before_colon = !is_emote;
            if is_emote {
                emotes.count(piece, 1);
                continue;
            }
            for word in piece.split(|char: char| char.is_ascii() && !char.is_ascii_alphanumeric()) {
                if word.len() <= KEYWORD_BYTES && word.chars().count() >= KEYWORD_CHARS {
                    keywords.count(&word.to_ascii_lowercase(), 1);
                }
            }
        }
    }
    v1::MessageDigest {
        digest_version: MESSAGE_DIGEST_VERSION,
        message_count: count.min(u64::from(u32::MAX)) as u32,
        last_message_time: messages.last().map_or(0, |last| last.at),
        user_activity: users.top(),
        keywords: keywords.top(),
        emotes: emotes.top(),
    }
}

/// How many belong to a room, and the first few: moderators first, then by id.
pub fn user_summary(members: &[v1::Member]) -> v1::UserSummary {
    let moderators = members.iter().filter(|member| crate::state::may_moderate(member));
    let others = members.iter().filter(|member| !crate::state::may_moderate(member));
    let essential = |member: &v1::Member| v1::Member {
        user: member.user.clone(),
        name: member.name.clone(),
        role: member.role,
        ..Default::default()
    };
    let users = moderators.chain(others).take(USERS).map(essential).collect();
    v1::UserSummary { total_count: members.len() as u32, users }
}

/// Names ascending, each with how often it came.
#[derive(Default)]
struct Tally(Vec<v1::Frequency>);

impl Tally {
    fn count(&mut self, name: &str, times: u32) {
        match self.0.binary_search_by(|known| known.name.as_str().cmp(name)) {
            Ok(place) => self.0[place].count += times,
            Err(place) if self.0.len() < DISTINCT => {
                self.0.insert(place, v1::Frequency { name: String::from(name), count: times });
            }
            Err(_) => {}
        }
    }

    /// The most frequent first; equals stay ascending by name.
    fn top(mut self) -> Vec<v1::Frequency> {
        let mut top = Vec::new();
        while top.len() < TOP
            && let Some(most) = self.0.iter().map(|known| known.count).max()
            && let Some(place) = self.0.iter().position(|known| known.count == most)
        {
            top.push(self.0.remove(place));
        }
        top
    }
}

//! `enfilade inspect`: what the lines of the documentation answer, out of any store.

use std::fmt::Write as _;

use enfilade_core::{Code, RoomId, RoomState, UserId};

use super::ask::{self, answer};
use super::{Keyspace, Names, Readable};
use crate::store::{RoomStore, StoreError};

/// What somebody wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// All rooms of the list.
    Rooms,
    /// What a room is, and who belongs to it.
    Room(RoomId),
    /// Who belongs to a room.
    Users(RoomId),
    /// What was said.
    Chat(RoomId),
    /// What was drawn.
    Board(RoomId),
    /// Players, teams, scores.
    Game(RoomId),
    /// A user's own data.
    User(UserId),
    /// The server's settings.
    Server,
}

/// Why a room can't be shown.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// There is none.
    #[error("there is no room {0}; `enfilade inspect rooms` lists those that there are")]
    Unknown(RoomId),
    /// Its log can't be folded.
    #[error("what is stored of {0} can't be read: {1}")]
    Unreadable(RoomId, Code),
    /// The store does not give it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Rows of the room list that are read at a time.
const PAGE: usize = 1_000;

/// The lines with their answers. Keys are named with the prefix.
///
/// # Errors
/// There is no such room, or it can't be read.
pub async fn inspect(
    store: &dyn RoomStore,
    readable: &Readable,
    prefix: &str,
    subject: &Subject,
) -> Result<String, InspectError> {
    let (room, questions) = match subject {
        Subject::Rooms => return rooms(store).await,
        Subject::Room(room) => (room.clone(), ask::ROOM),
        Subject::Users(room) => (room.clone(), &ask::ROOM[2..4]),
        Subject::Chat(room) => (room.clone(), ask::CHAT),
        Subject::Board(room) => (room.clone(), ask::BOARD),
        Subject::Game(room) => (room.clone(), ask::GAME),
        Subject::User(user) => (RoomId::inbox(user), ask::USER),
        Subject::Server => (RoomId::server_settings(), ask::SERVER),
    };
    let state = super::fold::state(store, &room).await?;
    if !state.exists() {
        return Err(InspectError::Unknown(room));
    }
    let mut keys = Keyspace::default();
    keys.apply(readable.whole(&state));
    let tag = format!("{{{room}}}");
    let mut lines: Vec<Vec<String>> = questions.iter().map(|question| split(question, &tag)).collect();
    if matches!(subject, Subject::Game(_)) {
        lines.extend(of_teams(&state));
    }
    let mut text = String::new();
    for mut line in lines {
        let question: Vec<&str> = line.iter().map(String::as_str).collect();
        let answered = answer(&keys, &question).unwrap_or_default();
        line[1] = quoted(&format!("{prefix}{}", line[1]));
        // Writing to a string does not fail.
        let _ = writeln!(text, "$ redis-cli {}", line.join(" "));
        // Of nothing, redis-cli prints an empty line.
        let _ = writeln!(text, "{}", answered.join("\n"));
    }
    Ok(text)
}

async fn rooms(store: &dyn RoomStore) -> Result<String, InspectError> {
    let (mut text, mut after) = (String::new(), None);
    loop {
        let page = store.summaries(after.as_ref(), PAGE).await?;
        for (room, row) in &page {
            let row: enfilade_core::v1::RoomSummary = prost::Message::decode(row.clone()).unwrap_or_default();
            let (members, messages) = (row.member_count, row.messages);
            let _ = writeln!(text, "{room}\t{}\t{members} members\t{messages} messages", row.name);
        }
        match page.into_iter().last() {
            Some((last, _)) => after = Some(last),
            None => return Ok(text),
        }
    }
}

fn of_teams(state: &RoomState) -> Vec<Vec<String>> {
    let names = Names::of(state.id());
    let teams = state.counters().teams().iter();
    let keys = teams.flat_map(|team| [names.team_score(&team.name), names.team_members(&team.name)]);
    keys.map(|key| vec!["GET".into(), key]).collect()
}

fn split(question: &str, tag: &str) -> Vec<String> {
    question.split(' ').map(|word| word.replace('@', tag)).collect()
}

/// As a shell takes it for one word.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

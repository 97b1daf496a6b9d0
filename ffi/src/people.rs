//! Scores, teams, and other users, as records.

use enfilade_core::client::{Client, RoomView};
use enfilade_core::v1;

use crate::input::to_long;

/// A team of a room's game.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Team {
    /// Its name.
    pub name: String,
    /// Points.
    pub score: i64,
    /// Members.
    pub members: i64,
}

/// A user with a score.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Score {
    /// Their id.
    pub user: String,
    /// Their display name.
    pub name: String,
    /// Their team; empty for who is in none.
    pub team: String,
    /// Points.
    pub score: i64,
}

/// Teams, the total, and a piece of the leaderboard.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Scores {
    /// Ascending by name.
    pub teams: Vec<Team>,
    /// With one's own points that are on their way.
    pub total: i64,
    /// One's own points, those on their way included.
    pub own: i64,
    /// One's own place, counted from 0.
    pub rank: Option<i64>,
    /// Users with a score.
    pub players: i64,
    /// Who has more stands higher; of equals, who had as many first.
    pub leaders: Vec<Score>,
}

/// How two users stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum Friendship {
    /// Not at all.
    Strangers,
    /// The user has asked.
    Requested,
    /// The other has asked.
    Pending,
    /// Both want it.
    Friends,
}

/// What is known of another user.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Contact {
    /// Their id.
    pub user: String,
    /// Their display name; empty while unknown.
    pub name: String,
    /// Whether they are friends.
    pub friend: Friendship,
    /// Whether the user has blocked them.
    pub blocked: bool,
    /// Whether the user follows them.
    pub following: bool,
    /// Whether they follow the user.
    pub follower: bool,
    /// A friend's status; none while they show none.
    pub status: Option<UserStatus>,
}

/// What a user says of themself.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct UserStatus {
    /// Whether they are there.
    pub availability: Availability,
    /// In their words; may be empty.
    pub text: String,
    /// Until when, in milliseconds since 1970; 0 is until it is changed.
    pub until: i64,
}

/// Whether a user is there, as they say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum Availability {
    /// Yes.
    Online,
    /// Back later.
    Away,
    /// Not to be disturbed.
    Busy,
    /// Shown to nobody else.
    Invisible,
}

impl Scores {
    pub(crate) fn of(client: &Client, view: Option<RoomView<'_>>, from: usize, count: usize) -> Scores {
        let user = client.connection().user.unwrap_or_default();
        let counters = view.and_then(|view| view.counters());
        let team = |team: &v1::Team| Team {
            name: team.name.clone(),
            score: to_long(team.score),
            members: i64::from(team.members),
        };
        let score = |score: &v1::Score| Score {
            user: score.user.clone(),
            name: score.name.clone(),
            team: score.team.clone(),
            score: to_long(score.score),
        };
        Scores {
            teams: counters.into_iter().flat_map(|counters| counters.teams()).map(team).collect(),
            total: to_long(view.map_or(0, |view| view.total_score())),
            own: to_long(view.map_or(0, |view| view.own_score())),
            rank: counters.and_then(|counters| counters.rank(user)).map(|rank| to_long(rank as u64)),
            players: to_long(counters.map_or(0, |counters| counters.len()) as u64),
            leaders: counters.into_iter().flat_map(|all| all.leaders(from).take(count)).map(score).collect(),
        }
    }
}

impl Contact {
    pub(crate) fn of(client: &Client, contact: &v1::Contact) -> Contact {
        Contact {
            user: contact.user.clone(),
            name: contact.name.clone(),
            friend: match contact.friend() {
                v1::FriendState::None => Friendship::Strangers,
                v1::FriendState::Requested => Friendship::Requested,
                v1::FriendState::Pending => Friendship::Pending,
                v1::FriendState::Friends => Friendship::Friends,
            },
            blocked: contact.blocked,
            following: contact.following,
            follower: contact.follower,
            status: client.status_of(&contact.user).map(Into::into),
        }
    }
}

impl From<&v1::Status> for UserStatus {
    fn from(status: &v1::Status) -> Self {
        UserStatus {
            availability: match status.availability() {
                v1::Availability::Online => Availability::Online,
                v1::Availability::Away => Availability::Away,
                v1::Availability::Busy => Availability::Busy,
                v1::Availability::Invisible => Availability::Invisible,
            },
            text: status.text.clone(),
            until: to_long(status.until),
        }
    }
}

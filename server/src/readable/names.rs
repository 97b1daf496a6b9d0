//! The names of a room's readable keys. Each carries the room's hash tag, so that a Cluster keeps them beside its log
//! and one script writes them with it.

use enfilade_core::RoomId;

/// The keys of one room.
#[derive(Clone, Debug)]
pub struct Names {
    /// The room's id in braces.
    tag: String,
}

impl Names {
    /// Of this room.
    pub fn of(room: &RoomId) -> Names {
        Names { tag: format!("{{{room}}}") }
    }

    /// Hash: what the room is called, who owns it, when it was used.
    pub fn room(&self) -> String {
        self.with("rooms:")
    }

    /// Hash: slow mode and the like.
    pub fn config(&self) -> String {
        self.with("rooms:config:")
    }

    /// ZSET: user ids by the time of joining.
    pub fn members(&self) -> String {
        self.with("rooms:members:")
    }

    /// Hash: display names by user id.
    pub fn participants(&self) -> String {
        self.with("rooms:participants:")
    }

    /// Hash: roles by user id, of those who are more than members.
    pub fn roles(&self) -> String {
        self.with("rooms:roles:")
    }

    /// Hash: badges by user id.
    pub fn badges(&self) -> String {
        self.with("rooms:badges:")
    }

    /// ZSET: the newest messages in JSON, by seq.
    pub fn chat(&self) -> String {
        self.with("rooms:chat:")
    }

    /// Hash: elements in JSON, by key.
    pub fn whiteboard(&self) -> String {
        self.with("rooms:whiteboard:")
    }

    /// ZSET: connections in the room, by the time of coming.
    pub fn users(&self) -> String {
        self.with("rooms:users:")
    }

    /// ZSET: user ids of those who type, by the time when that ends.
    pub fn typing(&self) -> String {
        self.with("rooms:typing:")
    }

    /// Hash: what the global indexes hold of the room.
    pub fn indexed(&self) -> String {
        self.with("rooms:indexed:")
    }

    /// Hash: players in JSON, by user id.
    pub fn players(&self) -> String {
        self.game(":users")
    }

    /// ZSET: user ids by score.
    pub fn leaderboard(&self) -> String {
        self.game(":leaderboard")
    }

    /// String: the sum of all scores.
    pub fn total(&self) -> String {
        self.game(":total:taps")
    }

    /// ZSET: teams by score.
    pub fn teams(&self) -> String {
        self.game(":teams")
    }

    /// String: a team's score.
    pub fn team_score(&self, team: &str) -> String {
        self.game(&format!(":team:{team}:score"))
    }

    /// String: how many are in a team.
    pub fn team_members(&self, team: &str) -> String {
        self.game(&format!(":team:{team}:members"))
    }

    /// Hash: the user's status.
    pub fn profile(&self) -> String {
        self.with("users:profile:")
    }

    /// Set: user ids of friends.
    pub fn friends(&self) -> String {
        self.with("users:friends:")
    }

    /// Hash: how the user stands to others who are no friends (yet), by user id.
    pub fn contacts(&self) -> String {
        self.with("users:contacts:")
    }

    /// Hash: settings by name.
    pub fn settings(&self) -> String {
        self.with("users:settings:")
    }

    /// Hash: what the inbox knows of a room in JSON, by room id.
    pub fn rooms(&self) -> String {
        self.with("users:rooms:")
    }

    /// List: notifications in JSON, oldest first.
    pub fn notifications(&self) -> String {
        self.with("users:notifications:")
    }

    /// Hash: the server's settings by name.
    pub fn server_settings(&self) -> String {
        self.tag.clone()
    }

    fn with(&self, name: &str) -> String {
        format!("{name}{}", self.tag)
    }

    fn game(&self, rest: &str) -> String {
        format!("game:{}{rest}", self.tag)
    }
}

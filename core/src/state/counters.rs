use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use prost::Message as _;

use super::ranking::Ranking;
use super::register;
use crate::{Digest, Entry, hash53, limits, v1};

/// Teams, scores and the room's total. Who has more points stands higher; of equals, who had as many first.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Ascending by name.
    teams: Vec<v1::Team>,
    /// In the order in which they came; a player's number is their place here.
    players: Vec<Arc<Player>>,
    /// The players' numbers, ascending by user id.
    by_user: Vec<u32>,
    ranking: Ranking,
    total: u64,
}

#[derive(Clone, Debug)]
struct Player {
    score: v1::Score,
    /// The entry that brought them to their score.
    since: u64,
}

impl Counters {
    /// The teams, ascending by name.
    pub fn teams(&self) -> &[v1::Team] {
        &self.teams
    }

    /// The team of this name.
    pub fn team(&self, name: &str) -> Option<&v1::Team> {
        self.teams.get(self.team_place(name).ok()?)
    }

    /// What one user has; `None` for who has never scored nor been in a team.
    pub fn score(&self, user: &str) -> Option<&v1::Score> {
        Some(&self.players[self.player(user)? as usize].score)
    }

    /// The sum of all scores.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many players there are.
    pub fn len(&self) -> usize {
        self.players.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.players.is_empty()
    }

    /// How many stand before this user, in O(log n).
    pub fn rank(&self, user: &str) -> Option<usize> {
        Some(self.ranking.rank(self.player(user)?, &|a, b| is_before(&self.players, a, b)))
    }

    /// The players from this rank on, counted from 0, each in O(log n).
    pub fn leaders(&self, from: usize) -> impl Iterator<Item = &v1::Score> {
        (from..).map_while(|rank| self.ranking.at(rank)).map(|player| &self.players[player as usize].score)
    }

    /// Whether this user could play.
    pub fn has_place(&self, user: &str) -> bool {
        self.players.len() < limits::PLAYERS || self.player(user).is_some()
    }

    /// Teams of these names; those that stay keep score and members.
    pub(super) fn set_teams(&mut self, names: &[String], digest: &mut Digest) {
        let old = core::mem::take(&mut self.teams);
        old.iter().for_each(|team| digest.remove(team_hash(team)));
        for name in names {
            let known = old.iter().find(|team| team.name == *name);
            let team =
                known.cloned().unwrap_or_else(|| v1::Team { name: name.clone(), ..Default::default() });
            if let Err(place) = self.team_place(name) {
                digest.add(team_hash(&team));
                self.teams.insert(place, team);
            }
        }
        for player in 0..self.players.len() {
            let team = &self.players[player].score.team;
            if !team.is_empty() && self.team_place(team).is_err() {
                self.change(player, digest, |score| score.team.clear());
            }
        }
    }

    /// Puts the author into a team: this one, or the one with the fewest members, and of those the first by name. Who
    /// names none stays in the team that they have.
    pub(super) fn join_team(&mut self, entry: &Entry, team: Option<&str>, digest: &mut Digest) {
        let has_team = self.score(&entry.author).is_some_and(|score| !score.team.is_empty());
        let wanted = match team {
            Some(name) => self.team_place(name).ok(),
            None if has_team => None,
            None => (0..self.teams.len()).min_by_key(|place| self.teams[*place].members),
        };
        let Some(place) = wanted else { return };
        let Some(player) = self.player_for(&entry.author, &entry.author_name, entry.seq, digest) else {
            return;
        };
        let name = self.teams[place].name.clone();
        self.leave_team(&entry.author, digest);
        self.count(place, digest, |team| team.members = team.members.saturating_add(1));
        self.change(player as usize, digest, |score| score.team = name);
    }

    /// Takes a user out of their team, and says whether they were in one.
    pub(super) fn leave_team(&mut self, user: &str, digest: &mut Digest) -> bool {
        let Some(player) = self.player(user) else { return false };
        let team = &self.players[player as usize].score.team;
        let Ok(place) = self.team_place(team) else { return false };
        self.count(place, digest, |team| team.members = team.members.saturating_sub(1));
        self.change(player as usize, digest, |score| score.team.clear());
        true
    }

    /// Adds to a user's score, that of their team, and the total.
    pub(super) fn add(&mut self, seq: u64, user: &str, name: &str, points: u64, digest: &mut Digest) {
        let Some(player) = self.player_for(user, name, seq, digest) else { return };
        let before = |players: &[Arc<Player>], a, b| is_before(players, a, b);
        self.ranking.remove(player, &|a, b| before(&self.players, a, b));
        self.change(player as usize, digest, |score| score.score = sum(score.score, points));
        Arc::make_mut(&mut self.players[player as usize]).since = seq;
        self.ranking.insert(player, &|a, b| before(&self.players, a, b));
        if let Ok(place) = self.team_place(&self.players[player as usize].score.team) {
            self.count(place, digest, |team| team.score = sum(team.score, points));
        }
        digest.remove(total_hash(self.total));
        self.total = sum(self.total, points);
        digest.add(total_hash(self.total));
    }

    /// Sets all scores and the total to zero.
    pub(super) fn reset(&mut self, seq: u64, digest: &mut Digest) {
        digest.remove(total_hash(self.total));
        self.total = 0;
        for place in 0..self.teams.len() {
            self.count(place, digest, |team| team.score = 0);
        }
        self.ranking = Ranking::default();
        for player in 0..self.players.len() {
            self.change(player, digest, |score| score.score = 0);
            Arc::make_mut(&mut self.players[player]).since = seq;
            self.ranking.insert(player as u32, &|a, b| is_before(&self.players, a, b));
        }
    }

    /// `None` where there is nothing. Scores are in the order of their ranks, which tells who of equals was first.
    pub(super) fn snapshot(&self) -> Option<v1::Counters> {
        let scores = self.leaders(0).cloned().collect();
        let counters = v1::Counters { teams: self.teams.clone(), scores, total: self.total };
        (counters != v1::Counters::default()).then_some(counters)
    }

    /// Takes what a snapshot holds; `None` when it is more than a room may have.
    pub(super) fn restore(whole: Option<v1::Counters>, digest: &mut Digest) -> Option<Counters> {
        let v1::Counters { teams, scores, total } = whole.unwrap_or_default();
        if teams.len() > limits::TEAMS || scores.len() > limits::PLAYERS || total >= limits::INTEGER_BOUND {
            return None;
        }
        let mut counters = Counters { total, ..Counters::default() };
        digest.add(total_hash(total));
        for team in teams {
            let place = counters.team_place(&team.name).err()?;
            digest.add(team_hash(&team));
            counters.teams.insert(place, team);
        }
        for (place, score) in scores.into_iter().enumerate() {
            let known = counters.players.len();
            // Each player was brought by an entry of their own, so later entries have greater numbers than these.
            let player = counters.player_for(&score.user, &score.name, place as u64, digest)? as usize;
            if player != known || score.score >= limits::INTEGER_BOUND {
                return None;
            }
            let order = |players: &[Arc<Player>], a, b| is_before(players, a, b);
            counters.ranking.remove(player as u32, &|a, b| order(&counters.players, a, b));
            counters.change(player, digest, |new| *new = score);
            counters.ranking.insert(player as u32, &|a, b| order(&counters.players, a, b));
        }
        Some(counters)
    }

    fn team_place(&self, name: &str) -> Result<usize, usize> {
        self.teams.binary_search_by(|team| team.name.as_str().cmp(name))
    }

    fn player(&self, user: &str) -> Option<u32> {
        let place = self.by_user.binary_search_by(|player| self.user(*player).cmp(user));
        self.by_user.get(place.ok()?).copied()
    }

    fn user(&self, player: u32) -> &str {
        &self.players[player as usize].score.user
    }

    /// The number of a player, who is taken in if there is place.
    fn player_for(&mut self, user: &str, name: &str, seq: u64, digest: &mut Digest) -> Option<u32> {
        let place = match self.by_user.binary_search_by(|player| self.user(*player).cmp(user)) {
            Ok(place) => return self.by_user.get(place).copied(),
            Err(place) => place,
        };
        if self.players.len() >= limits::PLAYERS {
            return None;
        }
        let player = self.players.len() as u32;
        let score = v1::Score { user: user.to_string(), name: name.to_string(), ..Default::default() };
        digest.add(score_hash(&score));
        self.players.push(Arc::new(Player { score, since: seq }));
        self.by_user.insert(place, player);
        self.ranking.insert(player, &|a, b| is_before(&self.players, a, b));
        Some(player)
    }

    fn change(&mut self, player: usize, digest: &mut Digest, change: impl FnOnce(&mut v1::Score)) {
        let score = &mut Arc::make_mut(&mut self.players[player]).score;
        digest.remove(score_hash(score));
        change(score);
        digest.add(score_hash(score));
    }

    fn count(&mut self, team: usize, digest: &mut Digest, change: impl FnOnce(&mut v1::Team)) {
        let team = &mut self.teams[team];
        digest.remove(team_hash(team));
        change(team);
        digest.add(team_hash(team));
    }
}

fn is_before(players: &[Arc<Player>], a: u32, b: u32) -> bool {
    let key = |player: &'_ Player| (u64::MAX - player.score.score, player.since);
    let (a, b) = (&players[a as usize], &players[b as usize]);
    (key(a), &a.score.user) < (key(b), &b.score.user)
}

/// Points never become so many that JavaScript could not count them.
fn sum(score: u64, points: u64) -> u64 {
    score.saturating_add(points).min(limits::INTEGER_BOUND - 1)
}

fn team_hash(team: &v1::Team) -> u64 {
    hash53(&team.encode_to_vec(), register::TEAM)
}

fn score_hash(score: &v1::Score) -> u64 {
    hash53(&score.encode_to_vec(), register::SCORE)
}

fn total_hash(total: u64) -> u64 {
    if total == 0 { 0 } else { hash53(&total.to_le_bytes(), register::TOTAL) }
}

#[cfg(test)]
mod tests;

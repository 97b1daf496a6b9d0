use alloc::vec;

use proptest::prelude::*;

use super::*;
use crate::op::{self, Body};
use crate::{ClientId, Millis, OpId, RoomId, RoomState};

fn act(state: &mut RoomState, author: &str, body: Body) {
    let seq = state.position().seq + 1;
    let op_id = OpId { client: ClientId(1), counter: seq };
    let op = op::encode(body.clone());
    let (author, at) = (String::from(author), Millis(seq));
    let entry = Entry {
        seq,
        op_id,
        author_name: author.to_uppercase(),
        author,
        at,
        ordinal: 0,
        op,
        body: Some(body),
    };
    state.apply(&entry).unwrap();
}

fn game(log: &[(&str, Body)]) -> RoomState {
    let mut state = RoomState::authority(RoomId::new("game").unwrap());
    log.iter().for_each(|(author, body)| act(&mut state, author, body.clone()));
    state
}

fn teams(names: &[&str]) -> Body {
    Body::SetTeams(v1::SetTeams { teams: names.iter().map(ToString::to_string).collect() })
}

fn join(team: Option<&str>) -> Body {
    Body::JoinTeam(v1::JoinTeam { team: team.map(ToString::to_string) })
}

fn tap(points: u64) -> Body {
    Body::AddScore(v1::AddScore { points, user: None })
}

fn leaders(state: &RoomState) -> Vec<(&str, u64)> {
    state.counters().leaders(0).map(|score| (score.user.as_str(), score.score)).collect()
}

fn members(state: &RoomState) -> Vec<u32> {
    state.counters().teams().iter().map(|team| team.members).collect()
}

#[test]
fn points_count_for_the_user_their_team_and_the_room_in_one_step() {
    let state = game(&[
        ("ada", teams(&["red", "blue"])),
        ("ada", join(Some("red"))),
        ("ada", tap(3)),
        ("bob", tap(4)),
        ("mod", Body::AddScore(v1::AddScore { points: 2, user: Some("ada".into()) })),
    ]);
    let counters = state.counters();
    assert_eq!(counters.score("ada").unwrap().score, 5);
    assert_eq!((counters.team("red").unwrap().score, counters.team("blue").unwrap().score), (5, 0));
    assert_eq!(counters.total(), 9);
    assert_eq!(leaders(&state), [("ada", 5), ("bob", 4)]);
    assert_eq!((counters.rank("bob"), counters.rank("zoe")), (Some(1), None));
}

#[test]
fn of_equals_who_had_as_many_first_stands_higher() {
    let mut state = game(&[("zoe", tap(2)), ("ada", tap(1)), ("bob", tap(2)), ("ada", tap(1))]);
    assert_eq!(leaders(&state), [("zoe", 2), ("bob", 2), ("ada", 2)]);
    // After a reset nobody was first, and the order is that of the ids.
    act(&mut state, "ada", Body::ResetScores(v1::ResetScores {}));
    assert_eq!(leaders(&state), [("ada", 0), ("bob", 0), ("zoe", 0)]);
    assert_eq!(state.counters().total(), 0);
}

#[test]
fn who_names_no_team_joins_the_smallest_and_of_those_the_first_by_name() {
    let mut log = vec![("ada", teams(&["red", "blue", "green"]))];
    let users = ["a", "b", "c", "d"];
    log.extend(users.map(|user| (user, join(None))));
    let mut state = game(&log);
    assert_eq!(
        ["a", "b", "c", "d"].map(|user| state.counters().score(user).unwrap().team.as_str()),
        ["blue", "green", "red", "blue"]
    );
    // Asking again changes nothing; moving counts on both sides.
    act(&mut state, "d", join(None));
    assert_eq!(members(&state), [2, 1, 1]);
    act(&mut state, "d", join(Some("red")));
    assert_eq!(members(&state), [1, 1, 2]);
    act(&mut state, "c", Body::LeaveTeam(v1::LeaveTeam {}));
    act(&mut state, "c", Body::LeaveTeam(v1::LeaveTeam {}));
    assert_eq!(members(&state), [1, 1, 1]);
}

#[test]
fn teams_that_stay_keep_their_score_and_those_that_go_leave_their_players_without() {
    let mut state = game(&[
        ("ada", teams(&["red", "blue"])),
        ("ada", join(Some("red"))),
        ("bob", join(Some("blue"))),
        ("ada", tap(5)),
    ]);
    act(&mut state, "ada", teams(&["red", "gold", "gold"]));
    assert_eq!(state.counters().teams().len(), 2);
    assert_eq!(members(&state), [0, 1]);
    assert_eq!(state.counters().team("red").unwrap().score, 5);
    assert_eq!(state.counters().score("bob").unwrap().team, "");
}

#[test]
fn who_leaves_the_room_leaves_the_team_and_keeps_the_score() {
    let create = Body::CreateRoom(v1::CreateRoom { name: "Game".into(), ..Default::default() });
    let state = game(&[
        ("ada", create),
        ("bob", Body::Join(v1::Join {})),
        ("ada", teams(&["red"])),
        ("bob", join(None)),
        ("bob", tap(7)),
        ("bob", Body::Leave(v1::Leave {})),
    ]);
    assert_eq!(members(&state), [0]);
    assert_eq!(leaders(&state), [("bob", 7)]);
}

#[test]
fn a_score_never_grows_beyond_what_javascript_counts() {
    let state = game(&[("ada", tap(limits::INTEGER_BOUND - 1)), ("ada", tap(limits::INTEGER_BOUND - 1))]);
    assert_eq!(state.counters().score("ada").unwrap().score, limits::INTEGER_BOUND - 1);
    assert_eq!(state.counters().total(), limits::INTEGER_BOUND - 1);
}

#[test]
fn a_room_takes_no_more_players_than_it_may() {
    let mut state = game(&[]);
    for number in 0..=limits::PLAYERS {
        act(&mut state, &alloc::format!("user-{number}"), tap(1));
    }
    assert_eq!(state.counters().len(), limits::PLAYERS);
    assert!(!state.counters().has_place("one-more") && state.counters().has_place("user-7"));
    assert_eq!(state.counters().total(), limits::PLAYERS as u64);
}

fn step() -> impl Strategy<Value = (usize, Body)> {
    let body = prop_oneof![
        4 => (0..4_u64).prop_map(tap),
        1 => prop::option::of(prop::sample::select(vec!["red", "blue", "green"])).prop_map(join),
        1 => Just(Body::LeaveTeam(v1::LeaveTeam {})),
        1 => prop::sample::subsequence(vec!["red", "blue", "green"], 0..=3).prop_map(|names| teams(&names)),
        1 => Just(Body::ResetScores(v1::ResetScores {})),
    ];
    (0..6_usize, body)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    /// One that has folded everything, and one that came in by a snapshot, with ties in both.
    #[test]
    fn a_snapshot_restores_scores_ranks_and_ties(log in prop::collection::vec(step(), 0..80), cut in 0..80_usize) {
        let users = ["ada", "bob", "cid", "dot", "eve", "fay"];
        let (mut whole, mut late) = (game(&[]), game(&[]));
        for (place, (who, body)) in log.iter().enumerate() {
            if place == cut {
                let snapshot = whole.snapshot(crate::state::SnapshotFor::Store);
                late = RoomState::restore(whole.id().clone(), snapshot, true).unwrap();
            }
            act(&mut whole, users[*who], body.clone());
            act(&mut late, users[*who], body.clone());
            prop_assert_eq!(whole.digest(), late.digest());
            prop_assert_eq!(leaders(&whole), leaders(&late));
            // What is counted in one step is what the parts sum up to.
            let counters = whole.counters();
            prop_assert_eq!(counters.total(), counters.leaders(0).map(|score| score.score).sum::<u64>());
            for team in counters.teams() {
                let of_team = counters.leaders(0).filter(|score| score.team == team.name).count();
                prop_assert_eq!(team.members as usize, of_team);
            }
        }
    }
}

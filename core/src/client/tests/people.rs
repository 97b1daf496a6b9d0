//! Two people and a real server: friends, blocks, follows, invitations, moderation.

use super::together::World;
use super::*;
use crate::op::Body;
use crate::v1::{Availability, FriendState, NotificationKind};

const ADA: usize = 0;
const BOB: usize = 1;

fn ask(user: &str) -> Body {
    Body::RequestFriend(v1::RequestFriend { user: user.into() })
}

fn answer(user: &str, accepted: bool) -> Body {
    Body::AnswerFriend(v1::AnswerFriend { user: user.into(), accepted })
}

fn block(user: &str, lifted: bool) -> Body {
    Body::BlockUser(v1::BlockUser { user: user.into(), lifted })
}

fn status(availability: Availability, until: u64) -> Body {
    Body::SetStatus(v1::SetStatus { availability: availability.into(), text: "tea".into(), until })
}

impl World {
    fn own(&mut self, who: usize, body: Body) -> Result<OpId, Refusal> {
        let done = self.hosts[who].call(|client, now| client.submit_own(body, now));
        self.settle();
        done
    }

    fn does(&mut self, who: usize, room: &RoomId, body: Body) -> Result<(), Code> {
        let done = self.hosts[who].call(|client, now| client.submit(room, body, now));
        self.settle();
        done.map(drop).map_err(|refusal| refusal.code)
    }

    fn friends(&self) -> (FriendState, FriendState) {
        let state = |who: usize, of: &str| {
            self.hosts[who].client.contact(of).map_or(FriendState::None, |contact| contact.friend())
        };
        (state(ADA, "bob"), state(BOB, "ada"))
    }

    fn notified(&mut self, who: usize) -> Vec<NotificationKind> {
        let kind = |event: &Event| match event {
            Event::Notified { notification } => Some(notification.kind()),
            _ => None,
        };
        let kinds = self.hosts[who].events.iter().filter_map(kind).collect();
        self.hosts[who].events.clear();
        kinds
    }

    fn refused(&mut self, who: usize) -> Vec<Code> {
        let code = |event: &Event| match event {
            Event::Rejected { code, .. } => Some(*code),
            _ => None,
        };
        let codes = self.hosts[who].events.iter().filter_map(code).collect();
        self.hosts[who].events.clear();
        codes
    }
}

#[test]
fn a_request_becomes_a_friendship_and_friends_see_each_others_status() {
    let (mut world, _) = World::with_room();
    world.own(ADA, ask("bob")).unwrap();
    assert_eq!(world.friends(), (FriendState::Requested, FriendState::Pending));
    assert_eq!(world.notified(BOB), [NotificationKind::FriendRequest]);
    world.own(ADA, status(Availability::Busy, 0)).unwrap();
    assert_eq!(world.hosts[BOB].client.status_of("ada"), None);
    world.own(BOB, answer("ada", true)).unwrap();
    assert_eq!(world.friends(), (FriendState::Friends, FriendState::Friends));
    assert_eq!(world.notified(ADA), [NotificationKind::FriendAccepted]);
    // The status that was set before they were friends is seen from then on.
    assert_eq!(world.hosts[BOB].client.status_of("ada").unwrap().availability(), Availability::Busy);
    world.own(ADA, status(Availability::Invisible, 0)).unwrap();
    assert_eq!(world.hosts[BOB].client.status_of("ada"), None);
    assert_eq!(world.hosts[ADA].client.own_status().unwrap().availability(), Availability::Invisible);
    let until = world.hosts[BOB].now + 1_000;
    world.own(ADA, status(Availability::Away, until)).unwrap();
    assert_eq!(world.hosts[BOB].client.status_of("ada").unwrap().text, "tea");
    world.wait(1_100);
    assert_eq!(world.hosts[BOB].client.status_of("ada"), None);
    world.own(BOB, Body::RemoveFriend(v1::RemoveFriend { user: "ada".into() })).unwrap();
    assert_eq!(world.friends(), (FriendState::None, FriendState::None));
    assert_eq!(world.hosts[BOB].client.contacts().count(), 0);
}

#[test]
fn a_request_that_is_declined_or_taken_back_is_gone_on_both_sides() {
    let (mut world, _) = World::with_room();
    world.own(ADA, ask("bob")).unwrap();
    world.own(BOB, answer("ada", false)).unwrap();
    assert_eq!(world.friends(), (FriendState::None, FriendState::None));
    assert_eq!(world.own(BOB, answer("ada", true)).unwrap_err().code, Code::UnknownUser);
    world.own(ADA, ask("bob")).unwrap();
    assert_eq!(world.notified(BOB), [NotificationKind::FriendRequest; 2]);
    world.own(ADA, Body::RemoveFriend(v1::RemoveFriend { user: "bob".into() })).unwrap();
    assert_eq!(world.friends(), (FriendState::None, FriendState::None));
    assert_eq!(world.own(ADA, ask("ada")).unwrap_err().code, Code::InvalidRequest);
}

#[test]
fn two_who_ask_each_other_at_the_same_time_are_friends() {
    let (mut world, _) = World::with_room();
    for (who, whom) in [(ADA, "bob"), (BOB, "ada")] {
        world.hosts[who].call(|client, now| client.submit_own(ask(whom), now)).unwrap();
    }
    world.settle();
    assert_eq!(world.friends(), (FriendState::Friends, FriendState::Friends));
}

#[test]
fn what_a_blocked_user_does_does_not_arrive() {
    let (mut world, room) = World::with_room();
    world.own(ADA, ask("bob")).unwrap();
    world.own(BOB, answer("ada", true)).unwrap();
    world.own(BOB, block("ada", false)).unwrap();
    // The friendship is over; that it was a block is not told.
    assert_eq!(world.friends(), (FriendState::None, FriendState::None));
    assert!(!world.hosts[ADA].client.contact("bob").unwrap().blocked);
    world.notified(BOB);
    world.own(ADA, ask("bob")).unwrap();
    world.hosts[ADA].call(|client, now| client.post(&room, "@bob", ["bob".into()].into(), now)).unwrap();
    world.settle();
    assert_eq!(world.friends(), (FriendState::Requested, FriendState::None));
    assert!(world.notified(BOB).is_empty());
    assert_eq!(world.hosts[BOB].room(room.as_str()).mentions(), 0);
    assert_eq!(world.own(BOB, ask("ada")).unwrap_err().code, Code::Blocked);
    world.own(BOB, block("ada", true)).unwrap();
    world.own(BOB, ask("ada")).unwrap();
    assert_eq!(world.friends(), (FriendState::Friends, FriendState::Friends));
}

#[test]
fn a_follower_only_room_is_open_to_followers_and_both_ends_know_who_is_one() {
    let (mut world, room) = World::with_room();
    let mode = v1::SetConfig { follower_only: Some(true), ..Default::default() };
    world.does(ADA, &room, Body::SetConfig(mode)).unwrap();
    assert_eq!(world.does(BOB, &room, op::post("one")), Err(Code::FollowerOnly));
    assert_eq!(world.does(ADA, &room, op::post("mine")), Ok(()));
    // Following and writing in one breath: neither waits for the other.
    let follow = Body::FollowUser(v1::FollowUser { user: "ada".into(), removed: false });
    world.own(BOB, follow).unwrap();
    assert!(world.hosts[ADA].client.contact("bob").unwrap().follower);
    assert_eq!(world.does(BOB, &room, op::post("two")), Ok(()));
    assert_eq!(world.does(BOB, &room, op::post("three")), Ok(()));
    assert!(world.refused(BOB).is_empty());
    assert_eq!(world.hosts[ADA].texts(room.as_str()), ["mine", "two", "three"]);
    world.assert_same(room.as_str());
}

#[test]
fn the_authority_asks_the_inbox_itself_when_a_client_did_not_know() {
    let (mut world, room) = World::with_room();
    let mode = v1::SetConfig { follower_only: Some(true), ..Default::default() };
    // Written before the mode is known here, decided after.
    world.hosts[ADA].call(|client, now| client.submit(&room, Body::SetConfig(mode), now)).unwrap();
    world.hosts[BOB].call(|client, now| client.submit(&room, op::post("too late"), now)).unwrap();
    world.settle();
    assert_eq!(world.refused(BOB), [Code::FollowerOnly]);
    assert_eq!(world.hosts[BOB].room(room.as_str()).pending().count(), 0);
    world.assert_same(room.as_str());
}

#[test]
fn taps_count_at_once_here_and_once_everywhere() {
    let (mut world, room) = World::with_room();
    let tap = || Body::AddScore(v1::AddScore { points: 1, user: None });
    let teams = Body::SetTeams(v1::SetTeams { teams: ["red".into(), "blue".into()].into() });
    world.does(ADA, &room, teams).unwrap();
    for who in [ADA, BOB] {
        world.does(who, &room, Body::JoinTeam(v1::JoinTeam { team: None })).unwrap();
    }
    world.hosts[BOB].cut(1006);
    for _ in 0..500 {
        world.hosts[BOB].call(|client, now| client.submit(&room, tap(), now)).unwrap();
    }
    let view = world.hosts[BOB].room(room.as_str());
    assert_eq!((view.own_score(), view.total_score(), view.pending().count()), (500, 500, 1));
    assert_eq!(view.counters().unwrap().total(), 0);
    world.wait(30_000);
    for host in &world.hosts {
        let view = host.room(room.as_str());
        let counters = view.counters().unwrap();
        assert_eq!((view.total_score(), view.pending().count(), counters.total()), (500, 0, 500));
        assert_eq!(counters.leaders(0).next().unwrap().user, "bob");
        assert_eq!(counters.team("red").unwrap().score, 500);
        assert_eq!(counters.rank("ada"), Some(1));
    }
    world.assert_same(room.as_str());
}

#[test]
fn an_invitation_opens_a_private_room_and_a_kick_closes_it() {
    let (mut world, _) = World::with_room();
    let made =
        world.hosts[ADA].call(|client, now| client.create_room("Den", v1::Visibility::Private, "", now));
    let (den, _) = made.unwrap();
    world.hosts[ADA].acquire(den.as_str());
    world.settle();
    world.hosts[BOB].acquire(den.as_str());
    world.settle();
    assert_eq!(world.hosts[BOB].room(den.as_str()).synced(), Synced::Failed(Code::Forbidden));
    world.hosts[BOB].call(|client, now| client.release(&den, now));
    let invite = Body::Invite(v1::Invite { user: "bob".into(), withdrawn: false });
    world.does(ADA, &den, invite).unwrap();
    let inbox_has = |world: &World| {
        let newest = world.hosts[BOB].client.notifications().last().cloned();
        newest.map(|newest| (newest.kind(), newest.room_id, newest.excerpt))
    };
    let told = Some((NotificationKind::Invite, den.as_str().into(), "Den".into()));
    assert_eq!(inbox_has(&world), told);
    world.hosts[BOB].acquire(den.as_str());
    world.settle();
    assert_eq!(world.hosts[BOB].room(den.as_str()).synced(), Synced::Ready);
    world.hosts[BOB].call(|client, now| client.join(&den, now)).unwrap();
    world.settle();
    assert!(world.hosts[BOB].room(den.as_str()).is_following());
    world.does(ADA, &den, op::post("hello")).unwrap();
    let kick = Body::Kick(v1::Kick { user: "bob".into(), reason: "no shoes".into() });
    world.does(ADA, &den, kick).unwrap();
    assert_eq!(world.hosts[BOB].room(den.as_str()).synced(), Synced::Failed(Code::Forbidden));
    assert!(!world.hosts[BOB].room(den.as_str()).is_following());
    let told = Some((NotificationKind::Moderation, den.as_str().into(), "kick: no shoes".into()));
    assert_eq!(inbox_has(&world), told);
    // What is said from then on is not for bob.
    world.does(ADA, &den, op::post("he is gone")).unwrap();
    assert!(!world.hosts[BOB].texts(den.as_str()).contains(&"he is gone"));
}

#[test]
fn a_client_that_hears_nothing_shows_the_others_as_stale_and_never_as_gone() {
    let (mut world, room) = World::with_room();
    world.wait(1_000);
    let shown = |world: &World| -> Vec<(alloc::string::String, v1::Liveness)> {
        let users = world.hosts[ADA].room(room.as_str());
        users.users().map(|user| (user.user.clone(), user.liveness())).collect()
    };
    let both = |liveness| Vec::from([("ada".into(), liveness), ("bob".into(), liveness)]);
    assert_eq!(shown(&world), both(v1::Liveness::Live));
    let heard = world.hosts[ADA].now;
    world.hosts[ADA].cut(1006);
    assert_eq!(shown(&world), both(v1::Liveness::Stale));
    let since: Vec<u64> = world.hosts[ADA].room(room.as_str()).users().map(|user| user.since).collect();
    assert!(since.iter().all(|since| heard.abs_diff(*since) <= 1_000), "{since:?} at {heard}");
    assert!(world.hosts[ADA].has_event(|event| match event {
        Event::Room { changes, .. } => changes.contains(&RoomChange::Presence),
        _ => false,
    }));
    // However long it lasts.
    world.hosts[ADA].wait(100);
    assert_eq!(shown(&world), both(v1::Liveness::Stale));
    // Opening the room again says that ada is there, to her and to bob.
    world.wait(30_000);
    assert_eq!(shown(&world), both(v1::Liveness::Live));
    let at_bobs = world.hosts[BOB].room(room.as_str());
    let ada = at_bobs.users().find(|user| user.user == "ada").map(|user| user.liveness());
    assert_eq!(ada, Some(v1::Liveness::Live));
}

//! Two inboxes that tell each other, over a way that reorders and repeats.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::super::entailed::entailed;
use super::*;
use crate::ClientId;
use crate::v1::FriendState::{Friends, None, Pending, Requested};

const USERS: [&str; 2] = ["ada", "bob"];

#[derive(Clone, Debug)]
enum Step {
    Does(usize, u8),
    /// The delivery at this place arrives, and is kept to arrive again or not.
    Arrives(usize, bool),
}

struct Pair {
    inboxes: [RoomState; 2],
    way: Vec<(usize, Body)>,
}

impl Pair {
    fn new() -> Pair {
        let inbox = |user: &str| {
            let mut state = RoomState::authority(RoomId::inbox(&UserId::new(user).unwrap()));
            state.open_epoch(5);
            state
        };
        Pair { inboxes: USERS.map(inbox), way: Vec::new() }
    }

    fn apply(&mut self, who: usize, actor: &Actor, body: Body) {
        let state = &mut self.inboxes[who];
        let allowed = crate::policy::may_submit(state, actor, &body, state.last_at()).is_ok();
        if !allowed || state.is_settled(&body) {
            return;
        }
        let seq = state.position().seq + 1;
        let entry = Entry {
            seq,
            op_id: OpId { client: ClientId(who as u64 + 1), counter: seq },
            author: actor.user().into(),
            author_name: actor.name().into(),
            at: Millis(seq),
            ordinal: 0,
            op: op::encode(body.clone()),
            body: Some(body),
        };
        state.apply(&entry).unwrap();
        self.way.extend(entailed(state, &entry).into_iter().map(|(_, body)| (1 - who, body)));
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Does(who, what) => {
                let user = String::from(USERS[1 - who]);
                let body = match what {
                    0 | 1 => Body::RequestFriend(v1::RequestFriend { user }),
                    2 => Body::AnswerFriend(v1::AnswerFriend { user, accepted: true }),
                    3 => Body::AnswerFriend(v1::AnswerFriend { user, accepted: false }),
                    4 => Body::RemoveFriend(v1::RemoveFriend { user }),
                    _ => Body::FollowUser(v1::FollowUser { user, removed: what == 5 }),
                };
                self.apply(who, &actor(USERS[who]), body);
            }
            Step::Arrives(at, again) if !self.way.is_empty() => {
                let at = at % self.way.len();
                let (to, body) = if again { self.way[at].clone() } else { self.way.remove(at) };
                self.apply(to, &Actor::System, body);
            }
            Step::Arrives(..) => {}
        }
    }

    fn states(&self) -> (v1::FriendState, v1::FriendState) {
        (self.inboxes[0].contacts().friend("bob"), self.inboxes[1].contacts().friend("ada"))
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..2_usize, 0..7_u8).prop_map(|(who, what)| Step::Does(who, what)),
        (0..8_usize, prop::bool::weighted(0.2)).prop_map(|(at, again)| Step::Arrives(at, again)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: Option::None, ..Default::default() })]

    #[test]
    fn two_inboxes_come_to_the_same_friendship_in_whatever_order_they_hear(
        steps in prop::collection::vec(step(), 0..60)
    ) {
        let mut pair = Pair::new();
        steps.iter().for_each(|step| pair.step(step));
        let mut left = 1_000;
        while !pair.way.is_empty() && left > 0 {
            pair.step(&Step::Arrives(0, false));
            left -= 1;
        }
        prop_assert!(pair.way.is_empty(), "they never stop telling each other");
        let states = pair.states();
        let agreed = [(None, None), (Requested, Pending), (Pending, Requested), (Friends, Friends)];
        prop_assert!(agreed.contains(&states), "{states:?}");
        for (mine, other) in [(0, 1), (1, 0)] {
            let follows = pair.inboxes[mine].contacts().follows(USERS[other]);
            let known = pair.inboxes[other].contacts().get(USERS[mine]).is_some_and(|contact| contact.follower);
            prop_assert_eq!(follows, known);
        }
    }

    #[test]
    fn heard_in_order_a_request_is_never_lost(steps in prop::collection::vec((0..2_usize, 0..7_u8), 0..40)) {
        let mut pair = Pair::new();
        for (who, what) in steps {
            pair.step(&Step::Does(who, what));
            while !pair.way.is_empty() {
                pair.step(&Step::Arrives(0, false));
            }
            let agreed = [(None, None), (Requested, Pending), (Pending, Requested), (Friends, Friends)];
            prop_assert!(agreed.contains(&pair.states()), "{:?}", pair.states());
        }
        for inbox in &pair.inboxes {
            let again = RoomState::restore(inbox.id().clone(), inbox.snapshot(SnapshotFor::Store), true).unwrap();
            prop_assert_eq!(again.digest(), inbox.digest());
            prop_assert!(again.contacts().iter().eq(inbox.contacts().iter()));
        }
    }
}

#[test]
fn a_request_for_which_there_was_no_place_is_told_again_when_it_is_made_again() {
    let mut pair = Pair::new();
    let news = |user: &str, event: v1::FriendEvent| {
        let as_of = Some(v1::Position { epoch: 5, seq: 1 });
        let (user, user_name) = (String::from(user), String::from(user));
        Body::FriendNews(v1::FriendNews { user, user_name, event: event.into(), as_of })
    };
    for number in 0..limits::FRIENDS {
        let user = alloc::format!("user-{number}");
        pair.apply(1, &Actor::System, news(&user, v1::FriendEvent::Requested));
    }
    pair.way.clear();
    let ask = || Body::RequestFriend(v1::RequestFriend { user: "bob".into() });
    let ada = actor("ada");
    pair.apply(0, &ada, ask());
    let arrive = |pair: &mut Pair| {
        for (to, body) in core::mem::take(&mut pair.way) {
            pair.apply(to, &Actor::System, body);
        }
    };
    arrive(&mut pair);
    assert_eq!(
        (pair.inboxes[0].contacts().friend("bob"), pair.inboxes[1].contacts().friend("ada")),
        (Requested, None)
    );
    // Somebody's request is taken back, so there is a place, and Ada asks again.
    let withdrawn = Body::FriendNews(v1::FriendNews {
        user: "user-7".into(),
        user_name: "user-7".into(),
        event: v1::FriendEvent::Withdrawn.into(),
        as_of: Some(v1::Position { epoch: 5, seq: 2 }),
    });
    pair.apply(1, &Actor::System, withdrawn);
    pair.way.clear();
    pair.apply(0, &ada, ask());
    arrive(&mut pair);
    assert_eq!(pair.inboxes[1].contacts().friend("ada"), Pending);
}

//! Roles, permissions, sanctions, invitations and modes.

use alloc::string::String;

use super::*;
use v1::{Capability, Role};

const AT: Millis = Millis(1_000_000);

fn lobby(more: &[(&'static str, Body)]) -> RoomState {
    let mut log = vec![("ada", create(v1::Visibility::Public))];
    log.extend(["mod", "mia", "bob", "cid"].map(|user| (user, join())));
    log.extend(["mod", "mia"].map(|user| ("ada", set_role(user, Role::Moderator))));
    log.extend(more.iter().cloned());
    room("lobby", &log)
}

fn set_role(user: &str, role: Role) -> Body {
    Body::SetRole(v1::SetRole { user: user.into(), role: role.into() })
}

fn kick(user: &str) -> Body {
    Body::Kick(v1::Kick { user: user.into(), reason: String::new() })
}

fn ban(user: &str, until: u64, lifted: bool) -> Body {
    Body::Ban(v1::Ban { user: user.into(), until, reason: "spam".into(), lifted })
}

fn mute(user: &str, until: u64, lifted: bool) -> Body {
    Body::Mute(v1::Mute { user: user.into(), until, reason: "loud".into(), lifted })
}

fn invite(user: &str, withdrawn: bool) -> Body {
    Body::Invite(v1::Invite { user: user.into(), withdrawn })
}

fn badges(user: &str, badges: &[&str]) -> Body {
    let badges = badges.iter().map(ToString::to_string).collect();
    Body::SetBadges(v1::SetBadges { user: user.into(), badges, color: "#00ff7F".into() })
}

fn permissions(role: Role, capabilities: &[Capability]) -> Body {
    let capabilities = capabilities.iter().map(|capability| *capability as i32).collect();
    Body::SetPermissions(v1::SetPermissions { role: role.into(), capabilities, reset: false })
}

fn mode(config: v1::SetConfig) -> (&'static str, Body) {
    ("ada", Body::SetConfig(config))
}

fn asked(room: &RoomState, actor: &str, body: &Body) -> Result<(), Code> {
    may_submit(room, &user(actor), body, AT).map_err(|refusal| refusal.code)
}

#[test]
fn nobody_touches_whom_they_do_not_outrank() {
    let state = lobby(&[]);
    for (actor, target, answer) in [
        ("ada", "mod", Ok(())),
        ("ada", "bob", Ok(())),
        ("mod", "bob", Ok(())),
        ("mod", "mia", FORBIDDEN),
        ("mod", "ada", FORBIDDEN),
        ("mod", "mod", FORBIDDEN),
        ("ada", "ada", FORBIDDEN),
        ("bob", "cid", FORBIDDEN),
        ("zoe", "cid", NOT_MEMBER),
    ] {
        for body in [kick(target), ban(target, 0, false), mute(target, 0, false)] {
            assert_eq!(asked(&state, actor, &body), answer, "{actor} {body:?}");
        }
    }
    // Who is not there can be kept out, but not kicked.
    assert_eq!(asked(&state, "mod", &ban("zoe", 0, false)), Ok(()));
    assert_eq!(asked(&state, "mod", &kick("zoe")), Err(Code::UnknownUser));
    let admin = Facts { is_admin: true, follows_owner: None };
    let admin = Actor::User { id: UserId::new("root").unwrap(), name: "Root".into(), facts: admin };
    assert_eq!(may_submit(&state, &admin, &ban("ada", 0, false), AT), Ok(()));
    assert_eq!(may_submit(&state, &Actor::System, &kick("ada"), AT), Ok(()));
}

#[test]
fn roles_are_given_by_owners_and_never_above_ones_own() {
    let state = lobby(&[]);
    assert_eq!(asked(&state, "ada", &set_role("bob", Role::Owner)), Ok(()));
    assert_eq!(asked(&state, "ada", &set_role("zoe", Role::Moderator)), Err(Code::UnknownUser));
    for actor in ["mod", "bob"] {
        assert_eq!(asked(&state, actor, &set_role("cid", Role::Moderator)), FORBIDDEN);
        assert_eq!(asked(&state, actor, &set_role(actor, Role::Owner)), FORBIDDEN);
    }
    let trusted = lobby(&[("ada", permissions(Role::Moderator, &[Capability::Administer]))]);
    assert_eq!(asked(&trusted, "mod", &set_role("bob", Role::Moderator)), Ok(()));
    assert_eq!(asked(&trusted, "mod", &set_role("bob", Role::Owner)), FORBIDDEN);
    assert_eq!(asked(&trusted, "mod", &set_role("ada", Role::Member)), FORBIDDEN);
}

#[test]
fn an_owner_steps_down_only_while_there_is_another() {
    let alone = lobby(&[]);
    assert_eq!(asked(&alone, "ada", &set_role("ada", Role::Member)), FORBIDDEN);
    let two = lobby(&[("ada", set_role("bob", Role::Owner))]);
    assert_eq!(asked(&two, "ada", &set_role("ada", Role::Member)), Ok(()));
    assert_eq!(asked(&two, "ada", &kick("bob")), FORBIDDEN);
    let after = lobby(&[("ada", set_role("bob", Role::Owner)), ("ada", set_role("ada", Role::Member))]);
    assert_eq!(after.info().unwrap().owner, "bob");
}

#[test]
fn permissions_replace_a_roles_default_and_grant_nothing_that_one_lacks() {
    let state = lobby(&[("ada", permissions(Role::Member, &[Capability::React]))]);
    assert_eq!(asked(&state, "bob", &op::post("x")), FORBIDDEN);
    assert_eq!(asked(&state, "mod", &op::post("x")), Ok(()));
    assert!(may(&state, &user("bob"), Capability::React) && !may(&state, &user("bob"), Capability::Post));
    assert!(!may_signal(&state, &user("bob"), AT) && !may_signal(&state, &user("zoe"), AT));
    let reset = v1::SetPermissions { role: Role::Member.into(), capabilities: Vec::new(), reset: true };
    let reset = Body::SetPermissions(reset);
    let again = lobby(&[("ada", permissions(Role::Member, &[])), ("ada", reset)]);
    assert_eq!(asked(&again, "bob", &op::post("x")), Ok(()));
    // A moderator who may administer hands on what they have, to members alone.
    let caps = [Capability::Administer, Capability::Post];
    let trusted = lobby(&[("ada", permissions(Role::Moderator, &caps))]);
    assert_eq!(asked(&trusted, "mod", &permissions(Role::Member, &[Capability::Post])), Ok(()));
    assert_eq!(asked(&trusted, "mod", &permissions(Role::Member, &[Capability::Pin])), FORBIDDEN);
    assert_eq!(asked(&trusted, "mod", &permissions(Role::Moderator, &[])), FORBIDDEN);
    assert_eq!(asked(&trusted, "ada", &permissions(Role::Owner, &[])), FORBIDDEN);
}

#[test]
fn a_muted_user_reads_and_is_told_when_they_may_write_again() {
    let state = lobby(&[("mod", mute("bob", AT.0 + 5_000, false))]);
    let refused = Err(Refusal { code: Code::Muted, retry_after: 5_000 });
    assert_eq!(may_submit(&state, &user("bob"), &op::post("x"), AT), refused);
    assert_eq!(may_submit(&state, &user("bob"), &op::post("x"), AT + 5_000), Ok(()));
    assert!(may_read(&user("bob"), &state) && !may_signal(&state, &user("bob"), AT));
    assert_eq!(asked(&state, "bob", &leave()), Ok(()));
    assert_eq!(asked(&state, "mod", &mute("bob", 0, true)), Ok(()));
    assert_eq!(asked(&state, "mod", &mute("cid", 0, true)), Err(Code::UnknownUser));
    let lifted = lobby(&[("mod", mute("bob", 0, false)), ("mod", mute("bob", 0, true))]);
    assert_eq!(asked(&lifted, "bob", &op::post("x")), Ok(()));
}

#[test]
fn leaving_and_joining_again_ends_no_mute() {
    let state = lobby(&[("mod", mute("bob", 0, false)), ("bob", leave()), ("bob", join())]);
    assert_eq!(asked(&state, "bob", &op::post("x")), Err(Code::Muted));
}

#[test]
fn a_banned_user_stays_out_until_the_ban_ends() {
    let private = ("ada", Body::SetInfo(v1::SetInfo { visibility: Some(2), ..Default::default() }));
    for (more, joins_after) in [(vec![], Ok(())), (vec![private], FORBIDDEN)] {
        let mut log = more;
        log.push(("mod", ban("bob", AT.0 + 9, false)));
        let state = lobby(&log);
        assert!(state.members().get("bob").is_none());
        for body in [join(), op::post("x")] {
            let refused = may_submit(&state, &user("bob"), &body, AT);
            assert_eq!(refused, Err(Refusal { code: Code::Banned, retry_after: 9 }));
        }
        assert_eq!(
            may_submit(&state, &user("bob"), &join(), AT + 9).map_err(|refusal| refusal.code),
            joins_after
        );
        assert_eq!(may_read(&user("bob"), &state), joins_after.is_ok());
        assert_eq!(asked(&state, "mod", &invite("bob", false)), Err(Code::Banned));
    }
}

#[test]
fn a_private_room_is_open_to_whom_it_invites() {
    let private = create(v1::Visibility::Private);
    let mut log = vec![("ada", private), ("ada", invite("bob", false))];
    let state = room("den", &log);
    assert!(may_read(&user("bob"), &state) && !may_read(&user("cid"), &state));
    assert_eq!(asked(&state, "bob", &join()), Ok(()));
    assert_eq!(asked(&state, "ada", &invite("bob", false)), Err(Code::InvalidRequest));
    assert_eq!(asked(&state, "bob", &op::post("x")), NOT_MEMBER);
    log.push(("bob", join()));
    let joined = room("den", &log);
    assert_eq!(joined.access().invited_count(), 0);
    assert_eq!(asked(&joined, "bob", &invite("cid", false)), FORBIDDEN);
    // An invitation is used up by joining, and gone when it is withdrawn.
    log.extend([("ada", kick("bob")), ("ada", invite("cid", false)), ("ada", invite("cid", true))]);
    let state = room("den", &log);
    for outside in ["bob", "cid"] {
        assert!(!may_read(&user(outside), &state));
        assert_eq!(asked(&state, outside, &join()), FORBIDDEN);
    }
}

#[test]
fn slow_mode_is_not_over_for_who_leaves_and_comes_back() {
    let log = [
        ("ada", create(v1::Visibility::Public)),
        ("bob", join()),
        ("ada", slow(30)),
        ("bob", op::post("one")),
        ("bob", leave()),
        ("bob", join()),
    ];
    let state = room("lobby", &log);
    let refused = may_submit(&state, &user("bob"), &op::post("two"), Millis(6_000));
    assert_eq!(refused, Err(Refusal { code: Code::SlowMode, retry_after: 28_000 }));
    // Nor when the room is loaded from a store in between.
    let stored = room("lobby", &log[..5]).snapshot(crate::state::SnapshotFor::Store);
    let mut again = RoomState::restore(RoomId::new("lobby").unwrap(), stored, true).unwrap();
    let body = Some(join());
    let op_id = OpId { client: ClientId(1), counter: 6 };
    let (author, author_name) = ("bob".to_string(), "bob".to_string());
    let (op, at) = (op::encode(join()), Millis(6_000));
    again.apply(&Entry { seq: 6, op_id, author, author_name, at, ordinal: 0, op, body }).unwrap();
    assert!(may_submit(&again, &user("bob"), &op::post("two"), Millis(6_000)).is_err());
}

#[test]
fn a_subscriber_only_room_takes_messages_of_who_has_the_badge() {
    let mode = mode(v1::SetConfig { subscriber_only: Some(true), ..Default::default() });
    for (badge, answer) in [
        ("subscriber", Ok(())),
        ("vip", Ok(())),
        ("moderator", Ok(())),
        ("founder", Err(Code::SubscriberOnly)),
    ] {
        let state = lobby(&[mode.clone(), ("mod", badges("bob", &["x", badge]))]);
        assert_eq!(asked(&state, "bob", &op::post("x")), answer, "{badge}");
        assert_eq!(asked(&state, "mod", &op::post("x")), Ok(()));
    }
}

#[test]
fn a_follower_only_room_takes_messages_of_who_follows_the_owner() {
    let state = lobby(&[mode(v1::SetConfig { follower_only: Some(true), ..Default::default() })]);
    let follows = |follows_owner| {
        let facts = Facts { is_admin: false, follows_owner };
        Actor::User { id: UserId::new("bob").unwrap(), name: "Bob".into(), facts }
    };
    let post = |actor: &Actor| may_submit(&state, actor, &op::post("x"), AT).map_err(|refusal| refusal.code);
    assert_eq!(post(&follows(Some(true))), Ok(()));
    assert_eq!(post(&follows(Some(false))), Err(Code::FollowerOnly));
    // Where nobody has asked, the answer is no, and somebody should.
    assert_eq!(post(&follows(None)), Err(Code::FollowerOnly));
    assert!(asks_for_followers(&state, &follows(None), &op::post("x")));
    assert!(!asks_for_followers(&state, &follows(Some(false)), &op::post("x")));
    assert!(!asks_for_followers(&state, &follows(None), &leave()));
    assert!(!asks_for_followers(&state, &user("mod"), &op::post("x")));
    assert_eq!(post(&user("mod")), Ok(()));
}

#[test]
fn an_emote_only_room_takes_emotes_and_no_edit_into_words() {
    let state = lobby(&[
        mode(v1::SetConfig { emote_only: Some(true), ..Default::default() }),
        ("bob", op::post("🎹")),
    ]);
    assert_eq!(asked(&state, "bob", &op::post("🎹 :wave:")), Ok(()));
    assert_eq!(asked(&state, "bob", &op::post("🎹 hi")), Err(Code::EmoteOnly));
    assert_eq!(asked(&state, "mod", &op::post("calm down")), Ok(()));
    let message_id = state.timeline().last().unwrap().id;
    let edit = |text: &str| {
        Body::EditMessage(v1::EditMessage { message_id, text: text.into(), ..Default::default() })
    };
    assert_eq!(asked(&state, "bob", &edit("hi")), Err(Code::EmoteOnly));
    assert_eq!(asked(&state, "bob", &edit("👍")), Ok(()));
    assert_eq!(asked(&state, "cid", &edit("👍")), FORBIDDEN);
    let delete = Body::DeleteMessage(v1::DeleteMessage { message_id, message_seq: 0 });
    for (actor, answer) in [("bob", Ok(())), ("mod", Ok(())), ("cid", FORBIDDEN), ("zoe", NOT_MEMBER)] {
        assert_eq!(asked(&state, actor, &delete), answer);
    }
}

#[test]
fn ones_own_colour_is_ones_own_and_badges_are_given() {
    let state = lobby(&[("mod", badges("bob", &["vip"]))]);
    assert_eq!(state.members().get("bob").unwrap().color, "#00ff7F");
    assert_eq!(asked(&state, "bob", &badges("bob", &["vip"])), Ok(()));
    assert_eq!(asked(&state, "bob", &badges("bob", &["vip", "subscriber"])), FORBIDDEN);
    assert_eq!(asked(&state, "mod", &badges("mod", &["vip"])), Ok(()));
    assert_eq!(asked(&state, "mod", &badges("ada", &[])), FORBIDDEN);
}

#[test]
fn a_room_has_no_more_members_than_its_capacity() {
    let state = lobby(&[mode(v1::SetConfig { capacity: Some(5), ..Default::default() })]);
    assert_eq!(asked(&state, "zoe", &join()), Err(Code::RoomFull));
    assert_eq!(asked(&state, "bob", &join()), Ok(()));
    let larger = lobby(&[mode(v1::SetConfig { capacity: Some(6), ..Default::default() })]);
    assert_eq!(asked(&larger, "zoe", &join()), Ok(()));
}

#[test]
fn a_room_that_has_members_has_an_owner() {
    let state = lobby(&[("ada", leave())]);
    assert_eq!(state.info().unwrap().owner, "mod");
    assert_eq!((state.members().owners(), state.members().moderators()), (1, 2));
    let gone = ["ada", "mod", "mia"].map(|user| (user, leave()));
    assert_eq!(lobby(&gone).info().unwrap().owner, "bob");
    // Who left last comes back as the owner.
    let log = [("ada", create(v1::Visibility::Public)), ("ada", leave()), ("bob", join()), ("ada", join())];
    let state = room("lobby", &log);
    assert_eq!(state.members().get("ada").unwrap().role(), Role::Owner);
    assert_eq!(state.members().get("bob").unwrap().role(), Role::Member);
}

#[test]
fn a_full_list_of_bans_takes_another_when_one_has_ended() {
    let names: Vec<_> = (0..limits::SANCTIONS).map(|number| alloc::format!("user-{number:05}")).collect();
    let mut log = vec![("ada", create(v1::Visibility::Public))];
    log.extend(names.iter().map(|name| (name.as_str(), ban(name, 0, false))));
    let last = log.len() - 1;
    let full = room("lobby", &log);
    assert_eq!(asked(&full, "ada", &ban("zoe", 0, false)), Err(Code::ListFull));
    assert_eq!(asked(&full, "ada", &ban("user-00007", 9, false)), Ok(()));
    log[last].1 = ban(&names[last - 1], 2_000, false);
    let ended = room("lobby", &log);
    assert_eq!(asked(&ended, "ada", &ban("zoe", 0, false)), Ok(()));
    log.push(("ada", ban("zoe", 0, false)));
    let after = room("lobby", &log);
    assert!(
        after.access().bans().get("zoe").is_some() && after.access().bans().get(&names[last - 1]).is_none()
    );
}

#[test]
fn what_is_known_of_people_survives_a_snapshot() {
    let state = lobby(&[
        ("mod", ban("zoe", 0, false)),
        ("mod", mute("bob", 77, false)),
        ("mod", invite("eve", false)),
        ("ada", permissions(Role::Member, &[Capability::Post, Capability::Administer])),
        ("mod", badges("bob", &["vip"])),
    ]);
    for snapshot in [
        state.snapshot(crate::state::SnapshotFor::Store),
        state.snapshot(crate::state::SnapshotFor::Client { messages: 100 }),
    ] {
        let again = RoomState::restore(state.id().clone(), snapshot.clone(), true).unwrap();
        assert_eq!(again.digest(), state.digest());
        let windows = snapshot.windows.clone();
        assert_eq!(
            v1::RoomSnapshot { windows, ..again.snapshot(crate::state::SnapshotFor::Store) },
            snapshot
        );
        assert_eq!(asked(&again, "zoe", &join()), Err(Code::Banned));
        assert!(again.access().is_invited("eve"));
    }
}

#[test]
fn operations_about_people_are_checked_before_the_room_sees_them() {
    let color = |color: &str| {
        Body::SetBadges(v1::SetBadges { user: "bob".into(), badges: Vec::new(), color: color.into() })
    };
    let bad = [
        kick("a b"),
        ban("bob", 1 << 53, false),
        set_role("", Role::Owner),
        Body::SetRole(v1::SetRole { user: "bob".into(), role: 9 }),
        Body::Kick(v1::Kick { user: "bob".into(), reason: "x".repeat(251) }),
        badges("bob", &["No"]),
        badges("bob", &[""; 9]),
        color("red"),
        color("#12345"),
        color("#12345g"),
        permissions(Role::Owner, &[]),
        permissions(Role::Member, &[Capability::Unspecified]),
    ];
    for body in bad {
        assert!(op::parse(&op::encode(body.clone())).is_err(), "{body:?}");
    }
    for good in
        [color(""), color("#Ff0099"), badges("bob", &["vip"]), ban("bob", 0, true), invite("eve", true)]
    {
        assert_eq!(op::parse(&op::encode(good.clone())), Ok(good));
    }
}

/// Everything that may be tried in a room of five, by number.
fn tried(number: u8) -> Body {
    let user = ["ada", "mod", "mia", "bob", "cid"][usize::from(number / 16) % 5];
    let on = |bit: u8| Some(number & bit != 0);
    match number % 16 {
        0 => join(),
        1 => leave(),
        2 => op::post("words"),
        3 => op::post("🎹"),
        4 => kick(user),
        5 => ban(user, u64::from(number) * 50, number > 200),
        6 => mute(user, u64::from(number) * 50, number > 200),
        7 => invite(user, number > 200),
        8 => set_role(user, [Role::Member, Role::Moderator, Role::Owner][usize::from(number) % 3]),
        9 => badges(user, if number > 128 { &["vip"] } else { &[] }),
        10 => permissions(
            Role::Member,
            if number > 128 { &[Capability::Post, Capability::Moderate] } else { &[] },
        ),
        11 => slow(u32::from(number)),
        12 => {
            Body::SetInfo(v1::SetInfo { visibility: Some(i32::from(number) / 16 % 3), ..Default::default() })
        }
        13 => Body::SetConfig(v1::SetConfig {
            emote_only: on(16),
            subscriber_only: on(32),
            ..Default::default()
        }),
        14 => Body::SetConfig(v1::SetConfig {
            follower_only: on(64),
            capacity: Some(u32::from(number) / 16),
            ..Default::default()
        }),
        _ => Body::SetPermissions(v1::SetPermissions {
            role: number as i32 / 16 % 2,
            reset: true,
            ..Default::default()
        }),
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    /// What was accepted is folded by an authority and by a client that came in halfway, and then both are asked.
    #[test]
    fn a_client_predicts_what_the_authority_decides(
        log in proptest::collection::vec((0..6_usize, proptest::prelude::any::<u8>()), 0..120), cut in 0..100_usize
    ) {
        let users = ["ada", "mod", "mia", "bob", "cid", "zoe"];
        let mut authority = lobby(&[]);
        let mut client = authority.clone();
        for (place, (who, number)) in log.iter().enumerate() {
            if place == cut % (log.len() + 1) {
                let snapshot = authority.snapshot(crate::state::SnapshotFor::Client { messages: 100 });
                client = RoomState::restore(authority.id().clone(), snapshot, false).unwrap();
            }
            let (actor, body) = (user(users[*who]), tried(*number));
            let now = Millis(10_000 + place as u64 * 100);
            let decided = may_submit(&authority, &actor, &body, now);
            proptest::prop_assert_eq!(decided, may_submit(&client, &actor, &body, now));
            proptest::prop_assert_eq!(may_read(&actor, &authority), may_read(&actor, &client));
            if decided.is_err() {
                continue;
            }
            let seq = authority.position().seq + 1;
            let entry = Entry {
                seq,
                op_id: OpId { client: ClientId(1), counter: seq },
                author: users[*who].into(),
                author_name: users[*who].into(),
                at: now,
                ordinal: u64::from(matches!(body, Body::PostMessage(_))) * (authority.timeline().head() + 1),
                op: op::encode(body.clone()),
                body: Some(body),
            };
            authority.apply(&entry).unwrap();
            client.apply(&entry).unwrap();
            proptest::prop_assert_eq!(authority.digest(), client.digest());
            // What is counted is what is there, and a room that was made by somebody has an owner while it has members.
            let owners = authority.members().iter().filter(|member| member.role() == Role::Owner).count();
            proptest::prop_assert_eq!(authority.members().owners(), owners);
            let owner = authority.members().get(&authority.info().unwrap().owner);
            let emptied = authority.members().iter().all(|member| member.joined_at >= 10_000);
            proptest::prop_assert!(owners > 0 || emptied, "nobody owns the room");
            proptest::prop_assert!(owners == 0 || owner.is_some());
        }
    }
}

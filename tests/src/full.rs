//! Rooms that hold as much as may be.

use enfilade_core::{Rng, limits, v1};

/// So many letters that don't repeat, so that nothing can be packed away.
fn letters(rng: &mut Rng, count: usize) -> String {
    (0..count).map(|_| char::from(b'!' + rng.below(90) as u8)).collect()
}

/// As many characters of the longest kind.
fn long(rng: &mut Rng, count: usize) -> String {
    (0..count).filter_map(|_| char::from_u32(0x1_f300 + rng.below(700) as u32)).collect()
}

fn user(rng: &mut Rng, number: usize) -> String {
    let mut id = format!("{number:08}");
    (id.len()..limits::USER_ID_BYTES).for_each(|_| id.push(char::from(b'a' + rng.below(26) as u8)));
    id
}

const LARGE: u64 = limits::INTEGER_BOUND - 1;

fn op_id(counter: usize) -> Option<v1::OpId> {
    Some(v1::OpId { client: LARGE, counter: LARGE - counter as u64 })
}

/// A room of which every list is as long as may be, divided by `part`, and every entry as long as may be. Of an inbox,
/// everything that only inboxes have; of another room, everything else.
pub fn snapshot(is_inbox: bool, part: usize) -> v1::RoomSnapshot {
    let rng = &mut Rng::new(7);
    let name = |rng: &mut Rng| long(rng, limits::NAME_CHARS);
    let mut whole = v1::RoomSnapshot {
        fold_version: 1,
        position: Some(v1::Position { epoch: LARGE, seq: 1 << 40 }),
        last_at: 1 << 41,
        chain: LARGE,
        config: Some(v1::RoomConfig::default()),
        ..Default::default()
    };
    whole.windows = (0..limits::CLIENT_WINDOWS / part)
        .map(|number| v1::ClientWindow {
            user: user(rng, number),
            client: LARGE - number as u64,
            last_counter: LARGE,
            recent: (0..limits::WINDOW_OPS as u64)
                .map(|op| v1::RecentOp {
                    counter: LARGE - 64 + op,
                    seq: (1 << 39) + number as u64 * 64 + op,
                    body_hash: rng.id53(),
                })
                .collect(),
        })
        .collect();
    if is_inbox {
        let followings = limits::FOLLOWINGS / part;
        let mentions = (limits::MENTIONS_HELD / part).div_ceil(followings) as u64;
        whole.followings = (0..followings)
            .map(|number| v1::Following {
                room_id: format!("{number:064}"),
                following: true,
                read: 0,
                mentions: (0..mentions).map(|place| LARGE - mentions + place).collect(),
                as_of: Some(v1::Position { epoch: LARGE, seq: LARGE }),
            })
            .collect();
        whole.notifications = (0..limits::NOTIFICATIONS / part)
            .map(|number| v1::Notification {
                room_id: format!("{number:064}"),
                message_id: op_id(number),
                ordinal: LARGE,
                author: user(rng, number),
                author_name: name(rng),
                excerpt: long(rng, limits::EXCERPT_CHARS),
                at: 1 << 41,
                ..Default::default()
            })
            .collect();
        whole.contacts = (0..limits::CONTACTS / part)
            .map(|number| v1::Contact {
                user: user(rng, number),
                name: name(rng),
                since: 1 << 41,
                follower: true,
                ..Default::default()
            })
            .collect();
        whole.conflicts = (0..limits::CONFLICTS_KNOWN.div_ceil(part))
            .map(|number| v1::Conflict {
                id: op_id(number),
                room_id: format!("{number:064}"),
                mine: letters(rng, limits::CONFLICT_BYTES).into_bytes(),
                deadline: number as u64,
                choice: if number < limits::CONFLICTS { 0 } else { v1::ConflictChoice::Mine.into() },
                ..Default::default()
            })
            .collect();
        return whole;
    }
    let info_name = name(rng);
    let topic = long(rng, limits::TOPIC_CHARS);
    whole.info = Some(v1::RoomInfo { name: info_name, topic, ..Default::default() });
    whole.members = (0..limits::MEMBERS / part)
        .map(|number| v1::Member {
            user: user(rng, number),
            name: name(rng),
            role: v1::Role::Member.into(),
            joined_at: 1 << 41,
            posted_at: 1 << 41,
            badges: (0..limits::BADGES).map(|_| letters(rng, limits::BADGE_BYTES)).collect(),
            color: "#abcdef".into(),
        })
        .collect();
    whole.member_count = whole.members.len() as u32;
    let messages = limits::ACTIVE_MESSAGES / part;
    whole.messages = 1 << 39;
    whole.timeline = (0..messages)
        .map(|number| v1::Message {
            id: op_id(number),
            seq: (1 << 39) + number as u64,
            ordinal: (1 << 39) - (messages - 1 - number) as u64,
            author: user(rng, number),
            author_name: name(rng),
            at: 1 << 41,
            text: letters(rng, 2_500),
            ..Default::default()
        })
        .collect();
    whole.pins = (0..limits::PINS.div_ceil(part))
        .map(|number| v1::Message {
            id: op_id(1 << 20 | number),
            seq: 1 + number as u64,
            ordinal: 1 + number as u64,
            author: user(rng, number),
            author_name: name(rng),
            text: long(rng, limits::TEXT_CHARS),
            mentions: (0..limits::MENTIONS).map(|mention| user(rng, mention)).collect(),
            reactions: (0..limits::REACTIONS)
                .map(|reaction| v1::Reaction {
                    reaction: format!("{reaction:064}"),
                    users: (0..limits::REACTED / limits::REACTIONS).map(|place| user(rng, place)).collect(),
                })
                .collect(),
            pinned: true,
            ..Default::default()
        })
        .collect();
    let elements = limits::ELEMENTS / part;
    let value = limits::MAP_BYTES / limits::ELEMENTS - limits::ELEMENT_OVERHEAD - 8;
    whole.elements = (0..elements)
        .map(|number| v1::Element {
            key: format!("{number:08}"),
            value: letters(rng, value).into_bytes(),
            version: LARGE,
            nonce: LARGE,
            seq: 1 << 39,
            author: user(rng, number),
            ..Default::default()
        })
        .collect();
    let sanction = |rng: &mut Rng, number| v1::Sanction {
        user: user(rng, number),
        until: 1 << 42,
        reason: long(rng, limits::TOPIC_CHARS),
        by: user(rng, number),
    };
    whole.bans = (0..limits::SANCTIONS / part).map(|number| sanction(rng, number)).collect();
    whole.mutes = (0..limits::SANCTIONS / part).map(|number| sanction(rng, number)).collect();
    whole.invited = (0..limits::INVITED / part).map(|number| user(rng, number)).collect();
    whole.departed = (0..limits::DEPARTED / part)
        .map(|number| v1::Departed { user: user(rng, number), posted_at: 1 << 41 })
        .collect();
    whole.counters = Some(v1::Counters {
        teams: (0..limits::TEAMS.div_ceil(part))
            .map(|number| v1::Team { name: format!("{number:064}"), score: LARGE, members: 1 })
            .collect(),
        scores: (0..limits::PLAYERS / part)
            .map(|number| v1::Score {
                user: user(rng, number),
                name: name(rng),
                team: format!("{:064}", number % limits::TEAMS.div_ceil(part)),
                score: LARGE - number as u64,
            })
            .collect(),
        total: LARGE,
    });
    whole
}

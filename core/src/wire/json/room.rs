//! What rooms are made of: positions, entries, messages, members, snapshots.

use alloc::string::String;
use alloc::vec::Vec;

use super::leaf::{Int, Liveness, Role, Visibility};
use super::mirror::messages;
use super::op::Op;

messages! {
    Position {
        epoch: Int,
        seq: Int,
    }
    OpId {
        client: Int,
        counter: Int,
    }
    Entry {
        seq: Int,
        op_id: Option<OpId>,
        author: String,
        author_name: String,
        at: Int,
        op: Op,
        ordinal: Int,
    }
    RoomInfo {
        name: String,
        topic: String,
        visibility: Visibility,
        owner: String,
        created_at: Int,
    }
    RoomConfig {
        slow_mode_enabled: bool,
        slow_mode_duration: u32,
        subscriber_only: bool,
        follower_only: bool,
        emote_only: bool,
    }
    Member {
        user: String,
        name: String,
        role: Role,
        joined_at: Int,
        posted_at: Int,
    }
    Message {
        id: Option<OpId>,
        seq: Int,
        ordinal: Int,
        author: String,
        author_name: String,
        at: Int,
        text: String,
        mentions: Vec<String>,
        reply_to: Option<OpId>,
    }
    Notification {
        room_id: String,
        message_id: Option<OpId>,
        ordinal: Int,
        author: String,
        author_name: String,
        excerpt: String,
        at: Int,
    }
    Following {
        room_id: String,
        following: bool,
        read: Int,
        mentions: Vec<Int>,
        as_of: Option<Position>,
    }
    ClientWindow {
        user: String,
        client: Int,
        last_counter: Int,
        recent: Vec<RecentOp>,
    }
    RecentOp {
        counter: Int,
        seq: Int,
        body_hash: Int,
    }
    RoomSnapshot {
        fold_version: u32,
        position: Option<Position>,
        info: Option<RoomInfo>,
        config: Option<RoomConfig>,
        members: Vec<Member>,
        timeline: Vec<Message>,
        messages: Int,
        last_at: Int,
        chain: Int,
        followings: Vec<Following>,
        notifications: Vec<Notification>,
        windows: Vec<ClientWindow>,
        member_count: u32,
    }
    RoomSummary {
        room_id: String,
        position: Option<Position>,
        messages: Int,
        name: String,
        topic: String,
        visibility: Visibility,
        member_count: u32,
        last_activity: Int,
        last_message: Option<Message>,
        user_count: u32,
        users: Vec<PresentUser>,
        following: Option<bool>,
        created_at: Int,
    }
    PresentUser {
        user: String,
        name: String,
        liveness: Liveness,
        connections: u32,
    }
}

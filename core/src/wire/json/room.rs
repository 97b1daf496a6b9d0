//! What rooms are made of: positions, entries, messages, members, snapshots.

use alloc::string::String;
use alloc::vec::Vec;

use super::leaf::{
    Availability, Base64, Capability, ConflictChoice, ConflictMode, ConflictType, FriendState, Int, Liveness,
    NotificationKind, Role, Visibility,
};
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
        capacity: u32,
    }
    Member {
        user: String,
        name: String,
        role: Role,
        joined_at: Int,
        posted_at: Int,
        badges: Vec<String>,
        color: String,
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
        edited_at: Int,
        deleted: bool,
        reactions: Vec<Reaction>,
        pinned: bool,
        changed_seq: Int,
    }
    Notification {
        room_id: String,
        message_id: Option<OpId>,
        ordinal: Int,
        author: String,
        author_name: String,
        excerpt: String,
        at: Int,
        kind: NotificationKind,
    }
    Following {
        room_id: String,
        following: bool,
        read: Int,
        mentions: Vec<Int>,
        as_of: Option<Position>,
    }
    Departed {
        user: String,
        posted_at: Int,
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
        pins: Vec<Message>,
        elements: Vec<Element>,
        counters: Option<Counters>,
        bans: Vec<Sanction>,
        mutes: Vec<Sanction>,
        invited: Vec<String>,
        permissions: Vec<RolePermissions>,
        conflict_rules: Vec<ConflictRule>,
        contacts: Vec<Contact>,
        status: Option<Status>,
        conflicts: Vec<Conflict>,
        departed: Vec<Departed>,
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
        since: Int,
    }
    Sanction {
        user: String,
        until: Int,
        reason: String,
        by: String,
    }
    RolePermissions {
        role: Role,
        capabilities: Vec<Capability>,
    }
    ConflictRule {
        conflict_type: ConflictType,
        mode: ConflictMode,
        timeout: Int,
        default_choice: ConflictChoice,
    }
    Element {
        key: String,
        value: Base64,
        version: Int,
        nonce: Int,
        index: String,
        deleted_at: Int,
        seq: Int,
        author: String,
    }
    Team {
        name: String,
        score: Int,
        members: u32,
    }
    Score {
        user: String,
        name: String,
        team: String,
        score: Int,
    }
    Counters {
        teams: Vec<Team>,
        scores: Vec<Score>,
        total: Int,
    }
    Reaction {
        reaction: String,
        users: Vec<String>,
    }
    Status {
        availability: Availability,
        text: String,
        until: Int,
    }
    Contact {
        user: String,
        name: String,
        friend: FriendState,
        blocked: bool,
        following: bool,
        follower: bool,
        status: Option<Status>,
        since: Int,
        as_of: Option<Position>,
        status_as_of: Option<Position>,
        follow_as_of: Option<Position>,
    }
    Conflict {
        id: Option<OpId>,
        room_id: String,
        conflict_type: ConflictType,
        key: String,
        base: Base64,
        mine: Base64,
        theirs: Base64,
        theirs_author: String,
        at: Int,
        deadline: Int,
        default_choice: ConflictChoice,
        choice: ConflictChoice,
    }
}

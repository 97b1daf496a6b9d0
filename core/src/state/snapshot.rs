use alloc::sync::Arc;
use alloc::vec::Vec;

use prost::Message as _;

use super::{
    Access, Conflicts, Contacts, Counters, ElementMap, FOLD_VERSION, Inbox, Members, RoomState, Timeline,
    Windows, config_hash, info_hash, rule_of,
};
use crate::compress::LZ4_RATIO;
use crate::{Code, Digest, Millis, Position, RoomId, hash53, limits, v1};

/// For whom a snapshot is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotFor {
    /// A store: everything.
    Store,
    /// A client: without the windows, and with at most this many messages.
    Client {
        /// The newest messages of the timeline.
        messages: usize,
    },
}

/// First byte of a compressed snapshot: the layout that follows.
const LAYOUT: u8 = 1;
/// Layout, checksum (eight bytes, little-endian), length before compression (four bytes).
const HEADER: usize = 1 + 8 + 4;

impl RoomState {
    /// The state as a message, to be stored or sent. Of long messages it holds fewer than were asked for.
    pub fn snapshot(&self, receiver: SnapshotFor) -> v1::RoomSnapshot {
        let (messages, windows) = match receiver {
            SnapshotFor::Store => (self.timeline.len(), self.windows.as_ref()),
            SnapshotFor::Client { messages } => (messages, None),
        };
        // The newest that fit: what is stored must open again, however long its messages are.
        let mut bytes = 0;
        let fits = |message: &&Arc<v1::Message>| {
            bytes += message.encoded_len();
            bytes <= limits::SNAPSHOT_TIMELINE_BYTES
        };
        // Of a window with holes, the newest stretch: the log goes on from there.
        let messages = messages.min(self.timeline.len() - self.timeline.settled());
        let fitting = self.timeline.iter().rev().take(messages).take_while(fits).count();
        let skipped = self.timeline.len() - fitting;
        let mut whole = v1::RoomSnapshot {
            fold_version: self.fold_version,
            position: Some(self.position.wire()),
            info: self.info.clone(),
            config: Some(self.config),
            members: self.members.iter().cloned().collect(),
            timeline: self.timeline.iter().skip(skipped).map(|message| v1::Message::clone(message)).collect(),
            messages: self.timeline.head(),
            last_at: self.last_at.0,
            chain: self.digest.chain,
            followings: self.inbox.followings().cloned().collect(),
            notifications: self.inbox.notifications().cloned().collect(),
            windows: windows.map(Windows::wire).unwrap_or_default(),
            member_count: self.members.len() as u32,
            conflict_rules: self.conflicts.snapshot().0,
            conflicts: self.conflicts.snapshot().1,
            elements: self.map.registers().iter().map(|element| v1::Element::clone(element)).collect(),
            departed: self.members.departed(),
            pins: self.timeline.pins().iter().map(|pin| v1::Message::clone(pin)).collect(),
            ..Default::default()
        };
        self.access.snapshot(&mut whole);
        self.contacts.snapshot(&mut whole);
        whole.counters = self.counters.snapshot();
        whole
    }

    /// The state of a snapshot. An authority asks for the windows, a client does without.
    ///
    /// # Errors
    /// [`Code::Malformed`] when the snapshot contradicts itself, [`Code::FoldTooNew`] when it was folded by rules that
    /// this version lacks.
    pub fn restore(
        id: RoomId,
        mut snapshot: v1::RoomSnapshot,
        with_windows: bool,
    ) -> Result<RoomState, Code> {
        let within = snapshot.members.len() <= limits::MEMBERS
            && snapshot.departed.len() <= limits::DEPARTED
            && snapshot.followings.len() <= limits::FOLLOWINGS
            && snapshot.notifications.len() <= limits::NOTIFICATIONS;
        let position = snapshot.position.map(Position::from).ok_or(Code::Malformed)?;
        // Numbers below this can be counted on without overflow.
        let countable = position.epoch < limits::INTEGER_BOUND && position.seq < limits::INTEGER_BOUND;
        if snapshot.fold_version > FOLD_VERSION {
            return Err(Code::FoldTooNew);
        }
        if snapshot.fold_version == 0 || !within || !countable {
            return Err(Code::Malformed);
        }
        let mut digest = Digest { chain: snapshot.chain, registers: 0 };
        let access = Access::restore(&mut snapshot, &mut digest).ok_or(Code::Malformed)?;
        let contacts = Contacts::restore(&mut snapshot, &mut digest).ok_or(Code::Malformed)?;
        let counters = Counters::restore(snapshot.counters.take(), &mut digest).ok_or(Code::Malformed)?;
        if let Some(info) = &snapshot.info {
            digest.add(info_hash(info));
        }
        let config = snapshot.config.unwrap_or_default();
        digest.add(config_hash(&config));
        let map = ElementMap::restore(rule_of(&id), snapshot.elements, &mut digest).ok_or(Code::Malformed)?;
        let conflicts = Conflicts::restore(snapshot.conflict_rules, snapshot.conflicts, &mut digest);
        let timeline = Timeline::restore(snapshot.timeline, snapshot.messages, snapshot.pins);
        let timeline = timeline.ok_or(Code::Malformed)?;
        timeline.hash_pins(&mut digest);
        Ok(RoomState {
            conflicts: conflicts.ok_or(Code::Malformed)?.into(),
            map: map.into(),
            id,
            fold_version: snapshot.fold_version,
            position,
            info: snapshot.info,
            config,
            members: Members::restore(snapshot.members, snapshot.departed, &mut digest),
            access: access.into(),
            contacts: contacts.into(),
            counters: counters.into(),
            timeline,
            inbox: Inbox::restore(snapshot.followings, snapshot.notifications, &mut digest),
            windows: with_windows.then(|| Windows::restore(snapshot.windows)),
            last_at: Millis(snapshot.last_at),
            digest,
        })
    }
}

/// Packs a snapshot for storage: layout, checksum, length, lz4 block.
pub fn compress(snapshot: &v1::RoomSnapshot) -> Vec<u8> {
    let plain = snapshot.encode_to_vec();
    let block = lz4_flex::block::compress(&plain);
    let mut packed = Vec::with_capacity(HEADER + block.len());
    packed.push(LAYOUT);
    packed.extend_from_slice(&hash53(&block, plain.len() as u64).to_le_bytes());
    packed.extend_from_slice(&(plain.len() as u32).to_le_bytes());
    packed.extend_from_slice(&block);
    packed
}

/// Unpacks what [`compress`] made.
///
/// # Errors
/// [`Code::Malformed`] for anything else: another layout, a wrong checksum, more than a room may hold.
pub fn decompress(packed: &[u8]) -> Result<v1::RoomSnapshot, Code> {
    let (header, block) = packed.split_at_checked(HEADER).ok_or(Code::Malformed)?;
    let checksum = header[1..9].try_into().map(u64::from_le_bytes).map_err(|_| Code::Malformed)?;
    let length = header[9..].try_into().map(u32::from_le_bytes).map_err(|_| Code::Malformed)? as usize;
    let intact = header[0] == LAYOUT
        && length <= limits::STATE_BYTES.min(block.len().saturating_mul(LZ4_RATIO))
        && checksum == hash53(block, length as u64);
    if !intact {
        return Err(Code::Malformed);
    }
    let plain = lz4_flex::block::decompress(block, length).map_err(|_| Code::Malformed)?;
    v1::RoomSnapshot::decode(&plain[..]).map_err(|_| Code::Malformed)
}

//! What people, machines and faults can do.

use enfilade_core::{OpId, RoomId, Tier};

use super::act::Act;
use super::world::{LONG, World};

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Transition {
    /// Time passes, and what is due happens.
    Wait(u64),
    /// Somebody makes a room.
    Create { client: usize },
    /// Somebody opens a room.
    Open { client: usize, room: RoomId },
    /// Somebody lets go of a room.
    Release { client: usize, room: RoomId },
    /// Somebody asks for a tier.
    SetTier { client: usize, room: RoomId, tier: Tier },
    /// Somebody becomes a member.
    Join { client: usize, room: RoomId },
    /// Somebody leaves.
    Leave { client: usize, room: RoomId },
    /// Somebody writes so many messages, and perhaps mentions the others.
    Post { client: usize, room: RoomId, mention: bool, times: usize },
    /// Somebody does something else.
    Act { client: usize, room: RoomId, act: Act },
    /// Two write the same, one of them without a connection.
    Diverge { client: usize, other: usize, room: RoomId },
    /// Somebody takes back what was not sent yet.
    Cancel { client: usize, op_id: OpId },
    /// Somebody has read to the end.
    MarkRead { client: usize, room: RoomId },
    /// Somebody scrolls up.
    LoadOlder { client: usize, room: RoomId },
    /// A connection is cut; what was under way is lost.
    Cut { client: usize },
    /// A client's device has no network.
    Offline { client: usize },
    /// The network is back.
    Online { client: usize },
    /// A client's app is ended without notice, and started again.
    CrashClient { client: usize },
    /// A client does nothing for a time, and then all at once.
    PauseClient { client: usize, time: u64 },
    /// A client's clock is set.
    ClientClock { client: usize, by: i64 },
    /// A client's socket takes nothing for a time.
    Stall { client: usize, time: u64 },
    /// Somebody logs out, and in again.
    Logout { client: usize },
    /// A server process is ended without notice.
    CrashNode { node: usize },
    /// A server does nothing for a time, and then all at once.
    PauseNode { node: usize, time: u64 },
    /// A server's clock is set, within what servers tolerate.
    NodeClock { node: usize, skew: i64 },
    /// A server sends its clients away.
    Drain { node: usize },
    /// The next requests to the store fail: some after they were done, some before.
    FailStore { requests: u32 },
    /// The store is emptied, and has a room back under a new epoch, perhaps without its last entries.
    Reopen { room: RoomId, lost: usize },
    /// From here on frames are lost, doubled and overtaken, or not.
    Disturb { is_disturbed: bool },
    /// Rooms that nobody uses are let go of.
    Unload { node: usize },
}

impl Transition {
    /// The next one, as the run's seed has it.
    pub fn choose(world: &mut World) -> Transition {
        let client = world.pick(world.clients.len());
        let node = world.pick(world.nodes.len());
        let Some(room) = world.some_room() else {
            return if world.pick(2) == 0 { Transition::Create { client } } else { wait(world) };
        };
        if world.pick(3) == 0 && world.clients[client].client.conflicts().next().is_some() {
            return Transition::Act { client, room, act: Act::Choose }.unless_asleep(world);
        }
        let dice = world.pick(236);
        let chosen = match dice {
            0..=49 => wait(world),
            50..=53 if world.rooms.len() < 4 => Transition::Create { client },
            50..=70 => Transition::Open { client, room },
            71..=82 => Transition::Release { client, room },
            83..=90 => Transition::SetTier { client, room, tier: Tier::ALL[world.pick(4)] },
            91..=102 => Transition::Join { client, room },
            103..=104 => Transition::Leave { client, room },
            105..=138 => {
                let times = match world.pick(60) {
                    0 => 40,
                    1 => LONG,
                    _ => 1,
                };
                Transition::Post { client, room, mention: world.pick(4) == 0, times }
            }
            139..=144 => match world.cancellable(client) {
                Some(op_id) => Transition::Cancel { client, op_id },
                None => Transition::Wait(10),
            },
            145..=151 => Transition::MarkRead { client, room },
            152..=155 => {
                let room = world.room_with_older_messages(client).unwrap_or(room);
                Transition::LoadOlder { client, room }
            }
            156..=160 => Transition::Cut { client },
            161..=163 => Transition::Offline { client },
            164..=167 => Transition::Online { client },
            168..=169 => Transition::CrashClient { client },
            170..=171 => Transition::PauseClient { client, time: nap(world) },
            172..=173 => Transition::ClientClock { client, by: leap(world) },
            174..=177 => Transition::Stall { client, time: nap(world) },
            178 => Transition::Logout { client },
            179..=181 => Transition::CrashNode { node },
            182..=183 => Transition::PauseNode { node, time: nap(world) },
            184 => Transition::NodeClock { node, skew: world.pick(8_001) as i64 - 4_000 },
            185 => Transition::Drain { node },
            186..=189 => Transition::FailStore { requests: 1 + world.pick(4) as u32 },
            190..=191 => Transition::Reopen { room, lost: [0, 0, 1, 3][world.pick(4)] },
            192..=196 => Transition::Disturb { is_disturbed: world.pick(2) == 0 },
            197..=200 => Transition::Unload { node },
            201..=210 => Transition::Diverge { client, other: world.pick(world.clients.len()), room },
            _ => Transition::Act { client, room, act: Act::ALL[world.pick(Act::ALL.len())] },
        };
        chosen.unless_asleep(world)
    }

    /// Who is asleep does nothing.
    fn unless_asleep(self, world: &World) -> Transition {
        let client = match &self {
            Transition::Create { client }
            | Transition::Open { client, .. }
            | Transition::Release { client, .. }
            | Transition::SetTier { client, .. }
            | Transition::Join { client, .. }
            | Transition::Leave { client, .. }
            | Transition::Post { client, .. }
            | Transition::Act { client, .. }
            | Transition::Cancel { client, .. }
            | Transition::MarkRead { client, .. }
            | Transition::LoadOlder { client, .. }
            | Transition::Offline { client }
            | Transition::Online { client }
            | Transition::PauseClient { client, .. }
            | Transition::Logout { client } => *client,
            _ => return self,
        };
        if world.clients[client].paused.is_some() { Transition::Wait(100) } else { self }
    }
}

/// Mostly short, so that much is under way at the same time.
fn wait(world: &mut World) -> Transition {
    let longest = [5, 40, 300, 2_000, 12_000, 5, 40, 300, 2_000, 70_000][world.pick(10)];
    Transition::Wait(1 + world.pick(longest) as u64)
}

fn nap(world: &mut World) -> u64 {
    let longest = [500, 8_000, 40_000][world.pick(3)];
    1 + world.pick(longest) as u64
}

/// Clocks are set forwards and back, by a little and by much.
fn leap(world: &mut World) -> i64 {
    let by = match world.pick(5) {
        0 => world.pick(30_000) as i64,
        1 => world.pick(2_000) as i64,
        2 => 3_600_000,
        3 => 40 * 24 * 3_600_000,
        _ => world.pick(60_000) as i64,
    };
    if world.pick(2) == 0 { by } else { -by }
}

//! What can happen in a step.

use enfilade_core::{OpId, RoomId, Tier};

use super::world::World;

/// One step of a run.
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
    /// Somebody writes, and perhaps mentions the other.
    Post { client: usize, room: RoomId, mention: bool },
    /// Somebody takes back what was not sent yet.
    Cancel { client: usize, op_id: OpId },
    /// Somebody has read to the end.
    MarkRead { client: usize, room: RoomId },
    /// Somebody scrolls up.
    LoadOlder { client: usize, room: RoomId },
    /// A connection is cut; what was under way is lost.
    Cut { client: usize },
    /// A client's device has no network, or has it again.
    Offline { client: usize },
    /// The network is back.
    Online { client: usize },
    /// A client's app is ended without notice, and started again.
    CrashClient { client: usize },
    /// A server process is ended without notice.
    CrashNode { node: usize },
    /// The next requests to the store fail: some after they were done, some before.
    FailStore { requests: u32 },
    /// From here on frames are lost, doubled and overtaken, or not.
    Disturb { is_disturbed: bool },
    /// Rooms that nobody uses are let go of.
    Unload { node: usize },
}

impl Transition {
    /// The next step, as the run's seed has it.
    pub fn choose(world: &mut World) -> Transition {
        let client = world.pick(world.clients.len());
        let node = world.pick(world.nodes.len());
        let room = world.some_room();
        match (world.pick(100), room) {
            (0..=27, _) | (_, None) if world.rooms.len() >= 3 || world.pick(2) == 0 => {
                // Mostly short, so that much is under way at the same time.
                let longest = [5, 40, 300, 2_000, 12_000][world.pick(5)];
                Transition::Wait(1 + world.pick(longest) as u64)
            }
            (_, None) => Transition::Create { client },
            (0..=29, Some(_)) if world.rooms.len() < 4 => Transition::Create { client },
            (0..=36, Some(room)) => Transition::Open { client, room },
            (37..=41, Some(room)) => Transition::Release { client, room },
            (42..=44, Some(room)) => Transition::SetTier { client, room, tier: Tier::ALL[world.pick(4)] },
            (45..=51, Some(room)) => Transition::Join { client, room },
            (52, Some(room)) => Transition::Leave { client, room },
            (53..=75, Some(room)) => Transition::Post { client, room, mention: world.pick(4) == 0 },
            (76..=78, Some(_)) => match world.cancellable(client) {
                Some(op_id) => Transition::Cancel { client, op_id },
                None => Transition::Wait(10),
            },
            (79..=82, Some(room)) => Transition::MarkRead { client, room },
            (83..=84, Some(room)) => Transition::LoadOlder { client, room },
            (85..=87, _) => Transition::Cut { client },
            (88..=89, _) => Transition::Offline { client },
            (90..=91, _) => Transition::Online { client },
            (92, _) => Transition::CrashClient { client },
            (93..=94, _) => Transition::CrashNode { node },
            (95..=96, _) => Transition::FailStore { requests: 1 + world.pick(4) as u32 },
            (97..=98, _) => Transition::Disturb { is_disturbed: world.pick(2) == 0 },
            (_, _) => Transition::Unload { node },
        }
    }
}

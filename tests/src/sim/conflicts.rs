//! Conflicts: two write the same, one of them without a connection, and somebody has to choose.

use enfilade_core::op::Body;
use enfilade_core::{Entry, OpId, RoomId, UserId, v1};

use super::transition::Transition;
use super::world::World;

/// After its deadline, a default holds as soon as the inbox is served; retries take as long as faults last.
const OVERDUE: u64 = 60_000;

/// The mark of an entry about a conflict.
pub(super) fn mark(entry: &Entry) -> Option<&'static str> {
    match entry.body.as_ref()? {
        Body::AddConflict(_) => Some("a conflict waits for its author's choice"),
        Body::ResolveConflict(resolve) if resolve.choice() == v1::ConflictChoice::Unspecified => {
            Some("a chosen side has reached its room")
        }
        Body::ResolveConflict(_) if entry.author.is_empty() => Some("a default holds for want of a choice"),
        Body::ResolveConflict(resolve) => {
            let made_by = resolve.conflict_id.map(|id| id.client);
            Some(if made_by == Some(entry.op_id.client.0) {
                "a conflict is resolved where it was made"
            } else {
                "a conflict is resolved on another device"
            })
        }
        _ => None,
    }
}

impl World {
    /// One draws without a connection what another draws meanwhile, in a room that asks, or resolves otherwise.
    pub(super) fn diverge(&mut self, client: usize, other: usize, room: &RoomId) {
        let modes =
            [v1::ConflictMode::UserChoice, v1::ConflictMode::ServerWins, v1::ConflictMode::ClientWins];
        let mode = modes[[0, 0, 0, 1, 2][self.pick(5)]];
        let default_choice = [v1::ConflictChoice::Theirs, v1::ConflictChoice::Mine][self.pick(2)];
        let set = v1::SetConflictMode {
            conflict_type: v1::ConflictType::ComplexMerge.into(),
            mode: mode.into(),
            timeout: [5_000, 120_000][self.pick(2)],
            default_choice: default_choice.into(),
        };
        // Who may not, does not.
        for setter in [client, other] {
            self.submit(setter, room, Body::SetConflictMode(set));
            self.apply(Transition::Join { client: setter, room: room.clone() });
        }
        self.apply(Transition::Wait(500));
        self.apply(Transition::Offline { client });
        let key = format!("shape-{}", self.pick(2));
        for (writer, value) in [(other, 1), (client, 2)] {
            let now = self.clock(writer);
            let written = self.clients[writer].client.set_element(room, &key, Some(vec![value; 20]), now);
            self.noted(writer, room, written.ok());
            self.serve_client(writer);
        }
    }

    /// Somebody chooses, on whichever of their devices.
    pub(super) fn choose(&mut self, client: usize) {
        let open: Vec<OpId> = self.clients[client]
            .client
            .conflicts()
            .filter_map(|conflict| OpId::parse(conflict.id.as_ref()).ok())
            .collect();
        let index = self.pick(open.len().max(1));
        let (Some(id), Some(inbox)) = (open.get(index), self.clients[client].client.own_inbox().cloned())
        else {
            return;
        };
        let choice = [v1::ConflictChoice::Mine, v1::ConflictChoice::Theirs][self.pick(2)];
        let now = self.clock(client);
        let chosen = self.clients[client].client.resolve_conflict(*id, choice, now);
        self.noted(client, &inbox, chosen.ok());
    }
}

/// Its author was told that it waits for a choice: so it does, or did.
pub(super) fn what_is_kept_waits_in_the_inbox(
    world: &World,
    client: usize,
    op_id: OpId,
) -> Result<(), String> {
    let user = &world.clients[client].user;
    let inbox = UserId::new(user).map(|user| RoomId::inbox(&user)).map_err(|code| code.to_string())?;
    let log = world.reference.current(&world.store, &inbox);
    let is_it = |entry: &Entry| match &entry.body {
        Some(Body::AddConflict(v1::AddConflict { conflict: Some(conflict) })) => {
            conflict.id == Some(op_id.wire())
        }
        _ => false,
    };
    if log.is_some_and(|log| log.entries.iter().any(is_it)) {
        Ok(())
    } else {
        Err(format!("{op_id} of {user} was kept for a choice, and is not in the inbox"))
    }
}

/// When all is quiet, nothing waits that is overdue, and what was chosen is where it belongs.
pub(super) fn check_at_rest(world: &World) -> Result<(), String> {
    for host in &world.clients {
        let Ok(inbox) = UserId::new(&host.user).map(|user| RoomId::inbox(&user)) else { continue };
        let Some(log) = world.reference.current(&world.store, &inbox) else { continue };
        let conflicts = log.state.conflicts();
        if let Some(overdue) = conflicts.open().find(|conflict| conflict.deadline + OVERDUE < world.now) {
            return Err(format!("a default for {:?} of {} should hold by now", overdue.id, host.user));
        }
        if let Some(chosen) = conflicts.undelivered().next() {
            return Err(format!("the side of {} in {:?} was chosen, and stays away", host.user, chosen.id));
        }
        let shown: Vec<_> = host.client.conflicts().map(|conflict| conflict.id).collect();
        let open: Vec<_> = conflicts.open().map(|conflict| conflict.id).collect();
        if shown != open {
            return Err(format!("{} is asked about {shown:?}, and open are {open:?}", host.user));
        }
    }
    Ok(())
}

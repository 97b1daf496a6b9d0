use alloc::string::String;

use crate::cache::PolicyKind;
use crate::tier::budget::Budgets;
use crate::{ClientId, limits};

/// What the app sets. The defaults are right for most.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The client's id; made from the seed, and kept in the host's storage, where there is none.
    pub client_id: Option<ClientId>,
    /// Name and version of the app, for the server's log.
    pub agent: String,
    /// Milliseconds that a room stays Active after its last holder has let go.
    pub active_grace: u64,
    /// Milliseconds that it then stays Background.
    pub background_for: u64,
    /// Milliseconds that it then stays Cached, unless something keeps it: if it is little used, and twice or three times
    /// as long if it is used more.
    pub cached_for: u64,
    /// Rooms that are Cached, beyond which one is dropped for each that comes; at most 1,024.
    pub cached_rooms: usize,
    /// Rooms that are fetched ahead of each navigation, because they are likely to be next. The server may lower it.
    pub warm_up: u32,
    /// What chooses the room to drop.
    pub cache_policy: PolicyKind,
    /// Milliseconds between two requests for the room list.
    pub room_list_interval: u64,
    /// Milliseconds after which a changed room is stored.
    pub save_interval: u64,
    /// What a room may take in each tier. The server's own budgets count where they are smaller.
    pub budgets: Budgets,
}

impl Default for ClientConfig {
    fn default() -> Self {
        ClientConfig {
            client_id: None,
            agent: String::from("enfilade"),
            active_grace: 0,
            background_for: 60_000,
            cached_for: limits::CACHED_FOR,
            cached_rooms: 100,
            warm_up: 1,
            cache_policy: PolicyKind::default(),
            room_list_interval: 3_000,
            save_interval: 5_000,
            budgets: Budgets::default(),
        }
    }
}

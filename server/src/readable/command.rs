//! The commands of operators: `enfilade inspect` and `enfilade rebuild-keys`.

use std::sync::Arc;

use clap::Subcommand;
use enfilade_core::{RoomId, UserId};

use super::{Readable, Subject, inspect, rebuild};
use crate::config::Config;
use crate::serve::{Settings, open_store_alone};
use crate::store::{RedisStore, SharedStore};

/// What to show.
#[derive(Debug, Subcommand)]
pub enum Inspect {
    /// All rooms of the list: id, name, members, messages
    Rooms,
    /// What a room is, how it is configured, and who belongs to it
    Room {
        /// The room's id
        room: String,
    },
    /// Who belongs to a room
    Users {
        /// The room's id
        room: String,
    },
    /// The newest messages of a room, in JSON
    Chat {
        /// The room's id
        room: String,
    },
    /// The elements of a room's whiteboard, in JSON
    Board {
        /// The room's id
        room: String,
    },
    /// Players, teams and scores of a room's game
    Game {
        /// The room's id
        room: String,
    },
    /// A user's status, friends, settings, rooms and notifications
    User {
        /// The user's id
        user: String,
    },
    /// The server's settings
    Server,
}

impl Inspect {
    fn subject(&self) -> Result<Subject, String> {
        Ok(match self {
            Inspect::Rooms => Subject::Rooms,
            Inspect::Room { room } => Subject::Room(room_id(room)?),
            Inspect::Users { room } => Subject::Users(room_id(room)?),
            Inspect::Chat { room } => Subject::Chat(room_id(room)?),
            Inspect::Board { room } => Subject::Board(room_id(room)?),
            Inspect::Game { room } => Subject::Game(room_id(room)?),
            Inspect::User { user } => Subject::User(
                UserId::new(user)
                    .map_err(|_| format!("{user:?} is no user id; use 1 to 48 of a-z A-Z 0-9 - _ . :"))?,
            ),
            Inspect::Server => Subject::Server,
        })
    }

    /// What is to be printed.
    ///
    /// # Errors
    /// What stands in the way, and what to do.
    pub async fn run(&self, config: &Config) -> Result<String, String> {
        let subject = self.subject()?;
        let (store, prefix) = open(config).await?;
        let default = Readable::DEFAULT;
        let readable = store.keys().map_or(&default, |keys| keys.shows());
        let text = inspect(&*store, readable, &prefix, &subject).await;
        close(&store).await?;
        text.map_err(|error| error.to_string())
    }
}

/// Rebuilds the readable keys of one room, or of all, and says how many rooms had how many.
///
/// # Errors
/// What stands in the way, and what to do.
pub async fn rebuild_keys(config: &Config, room: Option<&str>) -> Result<String, String> {
    let room = room.map(room_id).transpose()?;
    let (store, _) = open(config).await?;
    let done = rebuild_in(&store, room).await;
    close(&store).await?;
    done
}

async fn rebuild_in(store: &SharedStore, room: Option<RoomId>) -> Result<String, String> {
    let Some(keys) = store.keys() else {
        return Err("the embedded store has no readable keys; `enfilade inspect` shows what is in it".into());
    };
    let (mut rooms, mut count, mut damaged) = (0_usize, 0_usize, Vec::new());
    let mut cursor = None;
    loop {
        let (page, next) = match &room {
            Some(room) => (vec![room.clone()], None),
            None => {
                let page = store.rooms(cursor).await.map_err(|error| error.to_string())?;
                (page.rooms, page.next)
            }
        };
        for room in page {
            match rebuild(&**store, keys, &room).await {
                Ok(of_room) => {
                    rooms += 1;
                    count += of_room;
                }
                Err(error) => damaged.push(error.to_string()),
            }
        }
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    match damaged.is_empty() {
        true => Ok(format!("{count} keys of {rooms} rooms were rebuilt\n")),
        false => Err(format!(
            "{count} keys of {rooms} rooms were rebuilt, those of {} were not: {}",
            damaged.len(),
            damaged.join("; ")
        )),
    }
}

/// The store of the configuration, and the prefix of its keys. Redis is looked into while servers use it; the file of
/// the embedded store is its server's alone.
async fn open(config: &Config) -> Result<(SharedStore, String), String> {
    let settings = Settings::from(config);
    if let Some(redis) = settings.redis {
        let prefix = redis.prefix.clone();
        let store = RedisStore::open(redis).await.map_err(|error| error.to_string())?;
        return Ok((Arc::new(store), prefix));
    }
    if !config.data_dir.is_dir() {
        let folder = config.data_dir.display();
        return Err(format!("there is no folder {folder} (data_dir); name the one that the server uses"));
    }
    let store = open_store_alone(&settings).await.map_err(|error| error.to_string())?;
    Ok((store, config.redis.prefix.clone()))
}

async fn close(store: &SharedStore) -> Result<(), String> {
    store.close().await.map_err(|error| error.to_string())
}

fn room_id(room: &str) -> Result<RoomId, String> {
    RoomId::new(room).map_err(|_| format!("{room:?} is no room id; use 1 to 64 of a-z A-Z 0-9 - _ . :"))
}

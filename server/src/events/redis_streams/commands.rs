use bytes::Bytes;
use enfilade_core::RoomId;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use redis::Script;

use super::{Link, Settings, shard_of};
use crate::events::{Commands, EventsError, Result};

/// Sends commands into the streams.
pub struct StreamCommands {
    settings: Settings,
    link: Link,
    script: Script,
}

impl StreamCommands {
    /// Connects when asked for the first time.
    ///
    /// # Errors
    /// A URL is wrong.
    pub fn open(settings: Settings) -> Result<StreamCommands> {
        let link = Link::new(&settings)?;
        Ok(StreamCommands { settings, link, script: Script::new(include_str!("send.lua")) })
    }
}

impl Commands for StreamCommands {
    fn send<'a>(&'a self, room: &'a RoomId, json: Bytes) -> BoxFuture<'a, Result<()>> {
        async move {
            let keys = [self.settings.commands_of(shard_of(room))];
            let most = self.settings.commands.to_string();
            let arguments = [most.as_bytes(), room.as_str().as_bytes(), &json];
            let is_taken: bool = self.link.run(&self.script, &keys, &arguments).await?;
            if is_taken {
                return Ok(());
            }
            Err(EventsError::Unavailable(format!(
                "{} has as many commands as it may: they are not read",
                keys[0]
            )))
        }
        .boxed()
    }
}

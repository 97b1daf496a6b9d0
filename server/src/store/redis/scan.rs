//! Every room that has a log, by walking through the keys of every server.

use redis::Value;

use super::*;

/// Keys that a server looks at in one step. It may find some more than that at once, which must fit a page too.
const STEP: usize = Limits::PAGE_ROOMS / 4;

impl Inner {
    /// A cursor is the server's address (empty with one server) and the server's own cursor.
    pub(super) async fn rooms(&self, cursor: Option<Bytes>) -> Result<RoomPage> {
        let masters = self.link.masters().await?;
        let (address, at) = match &cursor {
            None => (masters.first().cloned().ok_or_else(reply::unexpected)?, "0"),
            Some(cursor) => {
                let parts = std::str::from_utf8(cursor).ok().and_then(|cursor| cursor.split_once(' '));
                let (address, at) =
                    parts.ok_or_else(|| StoreError::Invalid("this cursor is not one of ours".into()))?;
                (address.to_owned(), at)
            }
        };
        let Some(place) = masters.iter().position(|master| *master == address) else {
            return Err(StoreError::Unavailable(
                "the Cluster's masters have changed while rooms were listed; begin anew".into(),
            ));
        };
        let begin = format!("{}head:{{", self.options.prefix);
        let mut cmd = redis::cmd("SCAN");
        cmd.arg(at).arg("MATCH").arg(format!("{begin}*")).arg("COUNT").arg(STEP);
        let Value::Array(answer) = self.link.command_at(&address, &cmd).await? else {
            return Err(reply::unexpected());
        };
        let [next, keys] = <[Value; 2]>::try_from(answer).map_err(|_| reply::unexpected())?;
        let (next, keys) = (reply::text(next)?, reply::list(keys)?);
        let room = |key: Bytes| {
            let id = std::str::from_utf8(&key).ok()?.strip_prefix(&begin)?.strip_suffix('}')?;
            RoomId::new(id).ok()
        };
        let next = match (next.as_str(), masters.get(place + 1)) {
            ("0", None) => None,
            ("0", Some(master)) => Some(format!("{master} 0")),
            (next, _) => Some(format!("{address} {next}")),
        };
        Ok(RoomPage { rooms: keys.into_iter().filter_map(room).collect(), next: next.map(Bytes::from) })
    }
}

//! Commands out of streams: each stream is one node's at a time, so that what it holds is done in order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};
use redis::Value;
use tokio::time::Instant;

use super::{GROUP, Link, Settings};
use crate::events::owners::{CLAIM_EVERY, Claims};
use crate::events::{DeadLetter, Delivery, EventsError, Inlet, Result, SHARDS, recent};
use crate::store::SharedStore;

/// Commands of one stream in one batch.
const BATCH: usize = 200;
/// Streams are asked so often at first, and after a while without commands so seldom.
const QUICK: Duration = Duration::from_millis(5);
const IDLE: Duration = Duration::from_millis(100);
/// Dead letters that are kept, roughly.
const DEAD_LETTERS: usize = 100_000;
/// Commands that are done stay for an hour: their ids tell which ones are sent twice.
const DONE_STAY: u64 = 3_600_000;
/// A stream is cut when so many of its commands are done.
const CUT_EVERY: u64 = 1_000;
/// Where nodes claim streams.
const CLAIMS: &str = "server:commands";
/// 2020-01-01 in milliseconds: ids of entries begin with a time, and numbers stay below 2^53 until 2089 from here.
const BASE: u64 = 1_577_836_800_000;
/// Bits of a number for entries of the same millisecond; a stream takes no thousand in one.
const PER_MILLISECOND: u32 = 12;

/// Fields of an entry.
type Fields = Vec<(String, Vec<u8>)>;
/// An entry with its id; without fields where it was deleted.
type Row = (String, Option<Fields>);

/// Reads the streams that are this node's.
pub struct StreamInlet {
    settings: Settings,
    link: Arc<Link>,
    node: String,
    claims: Claims,
    renewed: Option<Instant>,
    owned: BTreeSet<u32>,
    /// Streams whose unfinished commands were not asked for yet.
    fresh: BTreeSet<u32>,
    lost: BTreeSet<u32>,
    done: BTreeMap<u32, u64>,
    pause: Duration,
}

impl StreamInlet {
    /// Claims streams among the nodes of the store, once it is asked for commands.
    ///
    /// # Errors
    /// A URL is wrong.
    pub fn open(settings: Settings, store: SharedStore, node: String) -> Result<StreamInlet> {
        let link = Arc::new(Link::new(&settings)?);
        let claims = Claims::new(store, CLAIMS, node.clone())
            .map_err(|code| EventsError::Misconfigured(code.text().into()))?;
        Ok(StreamInlet {
            settings,
            link,
            node,
            claims,
            renewed: None,
            owned: BTreeSet::new(),
            fresh: BTreeSet::new(),
            lost: BTreeSet::new(),
            done: BTreeMap::new(),
            pause: QUICK,
        })
    }

    async fn batch(&mut self) -> Result<Vec<Delivery>> {
        loop {
            self.claim().await?;
            let read = self.read().await;
            if read.is_err() {
                // What was given to us and did not arrive is asked for again.
                self.fresh = self.owned.clone();
            }
            let deliveries = read?;
            if !deliveries.is_empty() {
                self.pause = QUICK;
                return Ok(deliveries);
            }
            tokio::time::sleep(self.pause).await;
            self.pause = (self.pause * 2).min(IDLE);
        }
    }

    async fn claim(&mut self) -> Result<()> {
        if self.renewed.is_some_and(|at| at.elapsed() < CLAIM_EVERY) {
            return Ok(());
        }
        let others = self.claims.renew(Bytes::new()).await;
        let others = others.map_err(|error| EventsError::Unavailable(error.to_string()))?;
        self.renewed = Some(Instant::now());
        for shard in 0..SHARDS {
            let is_ours = self.claims.is_ours(shard, &others);
            if is_ours && !self.owned.contains(&shard) {
                self.create_group(shard).await?;
                self.owned.insert(shard);
                self.fresh.insert(shard);
            } else if !is_ours && self.owned.remove(&shard) {
                self.fresh.remove(&shard);
                self.lost.insert(shard);
            }
        }
        Ok(())
    }

    async fn create_group(&self, shard: u32) -> Result<()> {
        let mut create = redis::cmd("XGROUP");
        create.arg("CREATE").arg(self.settings.commands_of(shard)).arg(GROUP).arg("0").arg("MKSTREAM");
        match self.link.ask::<()>(&create).await {
            Err(EventsError::Unavailable(why)) if !why.contains("BUSYGROUP") => {
                Err(EventsError::Unavailable(why))
            }
            Err(error @ EventsError::Misconfigured(_)) => Err(error),
            _ => Ok(()),
        }
    }

    async fn read(&mut self) -> Result<Vec<Delivery>> {
        let reads = self.owned.iter().map(|shard| async {
            let rows = if self.fresh.contains(shard) {
                self.unfinished(*shard).await?
            } else {
                self.unread(*shard).await?
            };
            Ok((*shard, rows))
        });
        let mut deliveries = Vec::new();
        for read in join_all(reads).await {
            let (shard, rows): (u32, Vec<Row>) = read?;
            if rows.is_empty() {
                self.fresh.remove(&shard);
            }
            deliveries.extend(rows.into_iter().filter_map(|(id, fields)| delivery(shard, &id, fields)));
        }
        Ok(deliveries)
    }

    /// Commands that were given to some node, which did not say that they are done. Ours from now on.
    async fn unfinished(&self, shard: u32) -> Result<Vec<Row>> {
        let mut claim = redis::cmd("XAUTOCLAIM");
        claim.arg(self.settings.commands_of(shard)).arg(GROUP).arg(&self.node);
        claim.arg(0).arg("0-0").arg("COUNT").arg(BATCH);
        let (_, rows, _): (String, Vec<Row>, Value) = self.link.ask(&claim).await?;
        Ok(rows)
    }

    async fn unread(&self, shard: u32) -> Result<Vec<Row>> {
        let mut read = redis::cmd("XREADGROUP");
        read.arg("GROUP").arg(GROUP).arg(&self.node).arg("COUNT").arg(BATCH);
        read.arg("STREAMS").arg(self.settings.commands_of(shard)).arg(">");
        let read: Option<Vec<(String, Vec<Row>)>> = self.link.ask(&read).await?;
        Ok(read.into_iter().flatten().flat_map(|(_, rows)| rows).collect())
    }

    async fn note(&mut self, shard: u32, number: u64) -> Result<()> {
        let stream = self.settings.commands_of(shard);
        // All that is ours up to there: the others of the batch have smaller ids.
        let mut pending = redis::cmd("XPENDING");
        pending.arg(&stream).arg(GROUP).arg("-").arg(id(number)).arg(2 * BATCH).arg(&self.node);
        let rows: Vec<(String, Value, Value, Value)> = self.link.ask(&pending).await?;
        if !rows.is_empty() {
            let mut done = redis::cmd("XACK");
            done.arg(&stream).arg(GROUP);
            for (id, ..) in &rows {
                done.arg(id);
            }
            self.link.ask::<u64>(&done).await?;
        }
        let count = self.done.entry(shard).or_default();
        *count += rows.len() as u64;
        if *count >= CUT_EVERY {
            *count = 0;
            let oldest = (number >> PER_MILLISECOND) + BASE - DONE_STAY;
            let mut cut = redis::cmd("XTRIM");
            cut.arg(&stream).arg("MINID").arg("~").arg(oldest);
            self.link.ask::<u64>(&cut).await?;
        }
        Ok(())
    }
}

/// The number of an entry's id. `None` beyond what numbers hold.
fn number(id: &str) -> Option<u64> {
    let (at, order) = id.split_once('-')?;
    let (at, order): (u64, u64) = (at.parse().ok()?, order.parse().ok()?);
    let number = at.checked_sub(BASE)?.checked_mul(1 << PER_MILLISECOND)?.checked_add(order)?;
    (order < 1 << PER_MILLISECOND && (1..1 << 53).contains(&number)).then_some(number)
}

/// The id of a number.
fn id(number: u64) -> String {
    format!("{}-{}", (number >> PER_MILLISECOND) + BASE, number & ((1 << PER_MILLISECOND) - 1))
}

fn delivery(lane: u32, id: &str, fields: Option<Fields>) -> Option<Delivery> {
    let Some(number) = number(id) else {
        tracing::error!(lane, id, "a command's id can't be numbered: let Redis make the ids (XADD … *)");
        metrics::counter!("enfilade_commands_dead_total", "reason" => "invalid_request").increment(1);
        return None;
    };
    let fields = fields.unwrap_or_default();
    let field = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    // Without the field it is no command, and is put away as such.
    let (key, payload) = (field("room").unwrap_or_default(), field("command").unwrap_or_default());
    Some(Delivery { lane, number, key: key.into(), payload: payload.into() })
}

impl Inlet for StreamInlet {
    fn source(&self) -> String {
        format!("redis/{}", self.settings.prefix)
    }

    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Delivery>>> {
        self.batch().boxed()
    }

    fn before(&mut self, lane: u32, number: u64) -> BoxFuture<'_, Result<Vec<Bytes>>> {
        async move {
            let mut older = redis::cmd("XREVRANGE");
            older.arg(self.settings.commands_of(lane)).arg(format!("({}", id(number))).arg("-");
            let rows: Vec<(String, Fields)> = self.link.ask(older.arg("COUNT").arg(recent::IDS)).await?;
            let payload = |fields: Fields| fields.into_iter().find(|(key, _)| key == "command");
            // Newest first; the oldest is to be forgotten first.
            Ok(rows
                .into_iter()
                .rev()
                .filter_map(|(_, fields)| payload(fields))
                .map(|(_, value)| value.into())
                .collect())
        }
        .boxed()
    }

    fn lost(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.lost).into_iter().collect()
    }

    fn bury<'a>(&'a mut self, letters: &'a [DeadLetter]) -> BoxFuture<'a, Result<()>> {
        async move {
            for DeadLetter { delivery, reason, text } in letters {
                let mut add = redis::cmd("XADD");
                add.arg(self.settings.dead_letters()).arg("MAXLEN").arg("~").arg(DEAD_LETTERS).arg("*");
                add.arg("reason").arg(*reason).arg("reason_text").arg(text);
                add.arg("source")
                    .arg(self.settings.commands_of(delivery.lane))
                    .arg("id")
                    .arg(id(delivery.number));
                add.arg("room").arg(&delivery.key[..]).arg("command").arg(&delivery.payload[..]);
                self.link.ask::<String>(&add).await?;
            }
            Ok(())
        }
        .boxed()
    }

    fn done<'a>(&'a mut self, lanes: &'a [(u32, u64)]) -> BoxFuture<'a, Result<()>> {
        async move {
            for (lane, number) in lanes {
                self.note(*lane, *number).await?;
            }
            Ok(())
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_numbers_lead_to_each_other_in_order() {
        let ids = [
            "1577836800000-1",
            "1700000000000-0",
            "1700000000000-4095",
            "1700000000001-0",
            "3776859055103-4095",
        ];
        let numbers: Vec<u64> = ids.iter().map(|id| number(id).unwrap()).collect();
        assert!(numbers.is_sorted());
        for (number, text) in numbers.iter().zip(ids) {
            assert_eq!(id(*number), text);
        }
        for bad in ["", "1-1", "1700000000000", "1700000000000-4096", "99999999999999-0", "x-1"] {
            assert_eq!(number(bad), None, "{bad}");
        }
    }
}

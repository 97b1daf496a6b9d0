//! The tables of the store file, and what is done with them inside one transaction.

use bytes::Bytes;
use enfilade_core::{Position, RoomId};
use redb::{ReadOnlyTable, ReadTransaction, ReadableTable, Table, TableDefinition, WriteTransaction};

use crate::store::limits::{self, Limits, PageBounds};
use crate::store::{Append, Appended, Follower, Hint, Loaded, Page, Start};

pub(super) type Result<T> = std::result::Result<T, redb::Error>;

type HeadKey = &'static str;
/// Epoch, seq of the last entry, seq of the oldest entry that is left.
type HeadRow = (u64, u64, u64);
/// Room, epoch, seq.
type EntryKey = (&'static str, u64, u64);
/// Epoch and seq at which the snapshot was taken.
type SnapshotRow = (u64, u64, &'static [u8]);

/// Follower, room.
type FollowerKey = (&'static str, &'static str);
/// Epoch and seq of the last entry that is done.
type CursorRow = (u64, u64);

const HEADS: TableDefinition<HeadKey, HeadRow> = TableDefinition::new("heads");
const ENTRIES: TableDefinition<EntryKey, &[u8]> = TableDefinition::new("entries");
/// What has become of entries: by the same keys.
const AMENDED: TableDefinition<EntryKey, &[u8]> = TableDefinition::new("amended");
const SNAPSHOTS: TableDefinition<&str, SnapshotRow> = TableDefinition::new("snapshots");
const SUMMARIES: TableDefinition<&str, &[u8]> = TableDefinition::new("summaries");
/// Rooms of which a follower has not done everything yet.
const WORK: TableDefinition<FollowerKey, ()> = TableDefinition::new("work");
/// How far each follower has come.
const CURSORS: TableDefinition<FollowerKey, CursorRow> = TableDefinition::new("cursors");
/// What the file says about itself.
pub(super) const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");

#[derive(Clone, Copy)]
struct Head {
    epoch: u64,
    seq: u64,
    oldest: u64,
}

impl Head {
    fn position(self) -> Position {
        Position { epoch: self.epoch, seq: self.seq }
    }

    fn row(self) -> HeadRow {
        (self.epoch, self.seq, self.oldest)
    }
}

fn head(heads: &impl ReadableTable<HeadKey, HeadRow>, room: &RoomId) -> Result<Option<Head>> {
    let row = heads.get(room.as_str())?.map(|row| row.value());
    Ok(row.map(|(epoch, seq, oldest)| Head { epoch, seq, oldest }))
}

/// Entries from a seq on, or from the oldest that is left, up to the first that is missing.
fn page(
    entries: &impl ReadableTable<EntryKey, &'static [u8]>,
    room: &RoomId,
    head: Head,
    from: u64,
    mut bounds: PageBounds,
) -> Result<Vec<(u64, Bytes)>> {
    let from = from.max(head.oldest);
    let mut page = Vec::new();
    if from > head.seq {
        return Ok(page);
    }
    let rows = entries.range((room.as_str(), head.epoch, from)..=(room.as_str(), head.epoch, head.seq))?;
    for (expected, row) in (from..).zip(rows) {
        let (key, entry) = row?;
        let (seq, entry) = (key.value().2, entry.value());
        if seq != expected || !bounds.take(entry.len()) {
            break;
        }
        page.push((seq, Bytes::copy_from_slice(entry)));
    }
    Ok(page)
}

/// A table, unless the file is of before there was such a one.
fn if_made<T>(table: std::result::Result<T, redb::TableError>) -> Result<Option<T>> {
    match table {
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        table => Ok(Some(table?)),
    }
}

/// The tables as of one moment.
pub(super) struct View {
    heads: ReadOnlyTable<HeadKey, HeadRow>,
    entries: ReadOnlyTable<EntryKey, &'static [u8]>,
    /// Not there in a file of before there was such a table, until something is written.
    amended: Option<ReadOnlyTable<EntryKey, &'static [u8]>>,
    snapshots: ReadOnlyTable<&'static str, SnapshotRow>,
    summaries: ReadOnlyTable<&'static str, &'static [u8]>,
    /// As `amended`.
    work: Option<ReadOnlyTable<FollowerKey, ()>>,
    /// As `amended`.
    cursors: Option<ReadOnlyTable<FollowerKey, CursorRow>>,
}

impl View {
    pub(super) fn open(transaction: &ReadTransaction) -> Result<View> {
        Ok(View {
            heads: transaction.open_table(HEADS)?,
            entries: transaction.open_table(ENTRIES)?,
            amended: if_made(transaction.open_table(AMENDED))?,
            snapshots: transaction.open_table(SNAPSHOTS)?,
            summaries: transaction.open_table(SUMMARIES)?,
            work: if_made(transaction.open_table(WORK))?,
            cursors: if_made(transaction.open_table(CURSORS))?,
        })
    }

    pub(super) fn load(&self, room: &RoomId) -> Result<Option<Loaded>> {
        let Some(head) = head(&self.heads, room)? else { return Ok(None) };
        let snapshot = self.snapshots.get(room.as_str())?.map(|row| {
            let (epoch, seq, state) = row.value();
            (Position { epoch, seq }, Bytes::copy_from_slice(state))
        });
        let next = snapshot.as_ref().map_or(0, |(position, _)| position.seq) + 1;
        let entries = page(&self.entries, room, head, next, PageBounds::full())?;
        let found = entries.first().map(|(seq, _)| *seq);
        if next <= head.seq && found != Some(next) {
            let lost =
                format!("the log of room {room} goes on to {}, but its entry {next} is missing", head.seq);
            return Err(redb::Error::Corrupted(lost));
        }
        let entries = entries.into_iter().map(|(_, entry)| entry).collect();
        Ok(Some(Loaded { head: head.position(), snapshot, entries }))
    }

    pub(super) fn read(&self, room: &RoomId, from: Position, bounds: PageBounds) -> Result<Page> {
        let Some(head) = head(&self.heads, room)? else {
            return Ok(Page { head: Position::default(), entries: Vec::new() });
        };
        let same = from.epoch == head.epoch;
        let entries = if same { page(&self.entries, room, head, from.seq, bounds)? } else { Vec::new() };
        Ok(Page { head: head.position(), entries })
    }

    pub(super) fn amended(
        &self,
        room: &RoomId,
        from: Position,
        before_seq: u64,
    ) -> Result<Vec<(u64, Bytes)>> {
        let head = head(&self.heads, room)?.filter(|head| head.epoch == from.epoch);
        let Some(head) = head.filter(|_| from.seq < before_seq) else { return Ok(Vec::new()) };
        let Some(amended) = &self.amended else { return Ok(Vec::new()) };
        let key = |seq| (room.as_str(), head.epoch, seq);
        let rows = amended.range(key(from.seq)..key(before_seq))?;
        let row = |row: std::result::Result<(redb::AccessGuard<'_, EntryKey>, _), redb::StorageError>| {
            let (key, message): (_, redb::AccessGuard<'_, &[u8]>) = row?;
            Ok((key.value().2, Bytes::copy_from_slice(message.value())))
        };
        rows.take(Limits::PAGE_ENTRIES).map(row).collect()
    }

    pub(super) fn summaries(&self, after: Option<&RoomId>, limit: usize) -> Result<Vec<(RoomId, Bytes)>> {
        let from = match after {
            Some(room) => std::ops::Bound::Excluded(room.as_str()),
            None => std::ops::Bound::Unbounded,
        };
        let rows = self.summaries.range::<&str>((from, std::ops::Bound::Unbounded))?;
        let mut page = Vec::new();
        for row in rows.take(limit.min(Limits::PAGE_ROWS)) {
            let (room, summary) = row?;
            let room = RoomId::new(room.value()).map_err(|_| {
                redb::Error::Corrupted(format!("the directory has the room {:?}", room.value()))
            })?;
            page.push((room, Bytes::copy_from_slice(summary.value())));
        }
        Ok(page)
    }

    pub(super) fn rooms(&self, after: Option<&RoomId>) -> Result<Vec<RoomId>> {
        let from = match after {
            Some(room) => std::ops::Bound::Excluded(room.as_str()),
            None => std::ops::Bound::Unbounded,
        };
        let rows = self.heads.range::<&str>((from, std::ops::Bound::Unbounded))?;
        let room = |row: std::result::Result<(redb::AccessGuard<'_, HeadKey>, _), redb::StorageError>| {
            let (room, _): (_, redb::AccessGuard<'_, HeadRow>) = row?;
            RoomId::new(room.value())
                .map_err(|_| redb::Error::Corrupted(format!("there is a log of the room {:?}", room.value())))
        };
        rows.take(Limits::PAGE_ROOMS).map(room).collect()
    }

    pub(super) fn pending(
        &self,
        follower: Follower,
        after: Option<&RoomId>,
        limit: usize,
    ) -> Result<Vec<RoomId>> {
        let Some(work) = &self.work else { return Ok(Vec::new()) };
        // No room's id is empty, so that nothing lies before the first.
        let from = (follower.name(), after.map_or("", RoomId::as_str));
        let rows =
            work.range::<(&str, &str)>((std::ops::Bound::Excluded(from), std::ops::Bound::Unbounded))?;
        let mut page = Vec::new();
        for row in rows.take(limit.min(Limits::PAGE_ROOMS)) {
            let (key, _) = row?;
            let (of, room) = key.value();
            if of != follower.name() {
                break;
            }
            let room = RoomId::new(room)
                .map_err(|_| redb::Error::Corrupted(format!("a worklist has the room {room:?}")))?;
            page.push(room);
        }
        Ok(page)
    }

    pub(super) fn cursor(&self, room: &RoomId, follower: Follower) -> Result<Option<Position>> {
        let Some(cursors) = &self.cursors else { return Ok(None) };
        let row = cursors.get((follower.name(), room.as_str()))?.map(|row| row.value());
        Ok(row.map(|(epoch, seq)| Position { epoch, seq }))
    }

    pub(super) fn summaries_of(&self, rooms: &[RoomId]) -> Result<Vec<Option<Bytes>>> {
        let row = |room: &RoomId| {
            let row = self.summaries.get(room.as_str())?;
            Ok(row.map(|row| Bytes::copy_from_slice(row.value())))
        };
        rooms.iter().map(row).collect()
    }
}

/// The tables within the writer's transaction.
pub(super) struct Tables<'t> {
    transaction: &'t WriteTransaction,
    heads: Table<'t, HeadKey, HeadRow>,
    entries: Table<'t, EntryKey, &'static [u8]>,
    amended: Table<'t, EntryKey, &'static [u8]>,
    snapshots: Table<'t, &'static str, SnapshotRow>,
    summaries: Table<'t, &'static str, &'static [u8]>,
    work: Table<'t, FollowerKey, ()>,
    cursors: Table<'t, FollowerKey, CursorRow>,
    /// What to tell watchers after the commit.
    hints: Vec<Hint>,
    changed: bool,
}

/// What became of a transaction, apart from its answers.
pub(super) struct Changes {
    pub(super) hints: Vec<Hint>,
    /// Whether there is anything to commit.
    pub(super) any: bool,
}

impl<'t> Tables<'t> {
    /// Opens the tables, and makes those that are missing.
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Tables<'t>> {
        Ok(Tables {
            transaction,
            heads: transaction.open_table(HEADS)?,
            entries: transaction.open_table(ENTRIES)?,
            amended: transaction.open_table(AMENDED)?,
            snapshots: transaction.open_table(SNAPSHOTS)?,
            summaries: transaction.open_table(SUMMARIES)?,
            work: transaction.open_table(WORK)?,
            cursors: transaction.open_table(CURSORS)?,
            hints: Vec::new(),
            changed: false,
        })
    }

    pub(super) fn finish(self) -> Changes {
        Changes { hints: self.hints, any: self.changed }
    }

    /// Works on tables of the file that are none of these, and says whether it has changed anything.
    pub(super) fn others<T>(
        &mut self,
        work: impl FnOnce(&WriteTransaction) -> Result<(T, bool)>,
    ) -> Result<T> {
        let (done, has_changed) = work(self.transaction)?;
        self.changed |= has_changed;
        Ok(done)
    }

    pub(super) fn claim(&mut self, room: &RoomId, epoch: u64) -> Result<u64> {
        if let Some(head) = head(&self.heads, room)? {
            return Ok(head.epoch);
        }
        self.heads.insert(room.as_str(), Head { epoch, seq: 0, oldest: 1 }.row())?;
        self.changed = true;
        Ok(epoch)
    }

    pub(super) fn start(&mut self, room: &RoomId, start: &Start) -> Result<bool> {
        if head(&self.heads, room)?.is_some() {
            return Ok(false);
        }
        let Position { epoch, seq } = start.at;
        self.heads.insert(room.as_str(), Head { epoch, seq, oldest: seq + 1 }.row())?;
        self.snapshots.insert(room.as_str(), (epoch, seq, start.snapshot.as_ref()))?;
        if !start.summary.is_empty() {
            self.summaries.insert(room.as_str(), start.summary.as_ref())?;
        }
        self.changed = true;
        Ok(true)
    }

    pub(super) fn forget_amended(&mut self, room: &RoomId, epoch: u64, rows: &[(u64, Bytes)]) -> Result<()> {
        for (seq, message) in rows {
            let key = (room.as_str(), epoch, *seq);
            let is_this = self.amended.get(key)?.is_some_and(|row| row.value() == message.as_ref());
            if is_this {
                self.amended.remove(key)?;
                self.changed = true;
            }
        }
        Ok(())
    }

    pub(super) fn append(
        &mut self,
        room: &RoomId,
        append: &Append,
        followers: &[Follower],
    ) -> Result<Appended> {
        // Nobody reads keys here.
        let Append { expected, batch, summary, amended, keys: _ } = append;
        let expected = *expected;
        let Some(head) = head(&self.heads, room)? else {
            return Ok(Appended::Conflict { head: Position::default(), missing: Vec::new() });
        };
        if head.position() != expected {
            let missing = self.missing(room, head, expected)?;
            return Ok(Appended::Conflict { head: head.position(), missing });
        }
        let mut seq = head.seq;
        for entry in batch {
            seq += 1;
            self.entries.insert((room.as_str(), head.epoch, seq), entry.as_ref())?;
        }
        for (of, message) in amended {
            self.amended.insert((room.as_str(), head.epoch, *of), message.as_ref())?;
        }
        let head = Head { seq, ..head };
        self.heads.insert(room.as_str(), head.row())?;
        if summary.is_empty() {
            self.summaries.remove(room.as_str())?;
        } else {
            self.summaries.insert(room.as_str(), summary.as_ref())?;
        }
        for follower in followers {
            let key = (follower.name(), room.as_str());
            if self.work.get(key)?.is_none() {
                self.work.insert(key, ())?;
            }
        }
        self.changed = true;
        self.hints.push(Hint { room: room.clone(), head: head.position() });
        Ok(Appended::Done { head: head.position() })
    }

    /// The entries right after `expected`; none when the first of them can't be had.
    fn missing(&self, room: &RoomId, head: Head, expected: Position) -> Result<Vec<Bytes>> {
        if head.epoch != expected.epoch || expected.seq + 1 < head.oldest {
            return Ok(Vec::new());
        }
        let page = page(&self.entries, room, head, expected.seq + 1, PageBounds::full())?;
        Ok(page.into_iter().map(|(_, entry)| entry).collect())
    }

    pub(super) fn put_snapshot(&mut self, room: &RoomId, position: Position, state: &[u8]) -> Result<bool> {
        let Some(head) = head(&self.heads, room)? else { return Ok(false) };
        let newer = self.covered(room)?.is_none_or(|seq| seq < position.seq);
        let taken = newer && position.epoch == head.epoch && position.seq <= head.seq;
        if taken {
            self.snapshots.insert(room.as_str(), (position.epoch, position.seq, state))?;
            self.changed = true;
        }
        Ok(taken)
    }

    pub(super) fn trim(&mut self, room: &RoomId, before: Position) -> Result<u64> {
        let Some(head) = head(&self.heads, room)? else { return Ok(0) };
        let covered = self.covered(room)?.unwrap_or(0);
        let end = before.seq.min(covered + 1).min(head.oldest + Limits::TRIM_ENTRIES);
        if before.epoch != head.epoch || end <= head.oldest {
            return Ok(head.oldest);
        }
        let (first, last) = ((room.as_str(), head.epoch, head.oldest), (room.as_str(), head.epoch, end));
        self.entries.retain_in(first..last, |_, _| false)?;
        self.heads.insert(room.as_str(), Head { oldest: end, ..head }.row())?;
        self.changed = true;
        Ok(end)
    }

    pub(super) fn set_cursor(
        &mut self,
        room: &RoomId,
        follower: Follower,
        position: Position,
    ) -> Result<bool> {
        let Some(head) = head(&self.heads, room)? else { return Ok(false) };
        let key = (follower.name(), room.as_str());
        let stored = self.cursors.get(key)?.map(|row| row.value());
        let stored = stored.map(|(epoch, seq)| Position { epoch, seq });
        let taken = limits::is_cursor(stored, position, head.position());
        if taken && stored != Some(position) {
            self.cursors.insert(key, (position.epoch, position.seq))?;
            self.changed = true;
        }
        Ok(taken)
    }

    pub(super) fn settle(&mut self, room: &RoomId, follower: Follower, at: Position) -> Result<bool> {
        let settled = head(&self.heads, room)?.is_some_and(|head| head.position() == at);
        if settled && self.work.remove((follower.name(), room.as_str()))?.is_some() {
            self.changed = true;
        }
        Ok(settled)
    }

    /// Puts every room onto the worklist of a follower.
    pub(super) fn list_all(&mut self, follower: Follower) -> Result<()> {
        for row in self.heads.iter()? {
            self.work.insert((follower.name(), row?.0.value()), ())?;
        }
        Ok(())
    }

    /// Seq of the stored snapshot.
    fn covered(&self, room: &RoomId) -> Result<Option<u64>> {
        Ok(self.snapshots.get(room.as_str())?.map(|row| row.value().1))
    }
}

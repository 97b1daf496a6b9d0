//! The contract of [`RoomStore`](super::RoomStore) as tests, the same for every store.
//!
//! `contract!(name, Fixture)` is the one line that a store needs; it runs every case. The cases are listed once, here:
//! a case that is listed and not written doesn't compile, and neither does one that is written and not listed, because
//! dead code is an error in [`cases`].

use std::time::Duration;

use bytes::Bytes;
use enfilade_core::{Position, RoomId};
use futures_util::future::join_all;

use super::{
    Append, Appended, Follower, Hint, KeyCommand, KeyWrite, Limits, Loaded, SharedStore, Start, StoreError,
};

/// Makes empty stores of one kind.
pub(crate) trait Fixture: Sized {
    /// An empty store, and what must live as long as it; `None` where this machine lacks what it needs.
    fn new() -> impl Future<Output = Option<(SharedStore, Self)>>;
}

macro_rules! contract {
    ($store:ident, $fixture:ty) => {
        crate::store::contract::contract!(@tests $store, $fixture, [
            a_room_that_nobody_claimed_has_no_log,
            the_first_claim_is_in_force,
            claimers_that_race_get_the_same_epoch,
            epochs_outside_53_bits_are_refused,
            appended_entries_are_loaded_and_read_in_order,
            an_append_elsewhere_is_a_conflict_with_the_missing_entries,
            an_append_of_an_unclaimed_room_conflicts_with_no_log,
            an_append_of_another_epoch_conflicts_without_entries,
            an_append_beyond_the_head_conflicts_without_entries,
            the_same_append_twice_is_stored_once,
            what_becomes_of_entries_is_stored_with_the_batch_that_says_so,
            an_append_that_loses_amends_nothing,
            appenders_that_race_lose_and_double_nothing,
            rooms_do_not_see_each_other,
            appends_outside_the_limits_are_refused_and_change_nothing,
            the_largest_append_is_taken,
            a_conflict_over_many_entries_is_capped,
            pages_keep_their_bounds_and_always_advance,
            reading_another_epoch_gives_the_head_alone,
            a_load_starts_after_the_snapshot,
            a_load_of_many_entries_is_capped,
            a_snapshot_never_goes_backwards,
            a_snapshot_outside_the_log_is_not_taken,
            trim_keeps_order_and_what_the_snapshot_does_not_cover,
            a_trimmed_room_takes_appends_and_reports_what_it_can,
            trim_of_another_epoch_does_nothing,
            a_long_trim_goes_in_steps,
            a_log_starts_after_a_snapshot_where_there_is_none,
            every_room_with_a_log_is_found,
            the_directory_is_paged_by_id,
            an_empty_summary_takes_the_row_away,
            a_refused_append_leaves_the_directory_alone,
            rows_are_found_by_id,
            watchers_are_told_of_appends,
            leases_are_replaced_dropped_and_expire,
            leases_outside_the_limits_are_refused,
            writes_of_keys_are_taken_with_the_append_and_checked,
            an_append_puts_the_room_on_every_worklist,
            an_append_that_loses_puts_the_room_on_no_worklist,
            worklists_are_paged_by_id,
            a_cursor_never_goes_backwards_nor_beyond_the_log,
            a_room_that_has_grown_stays_on_the_worklist,
            a_closed_store_says_so,
        ]);
    };
    (@tests $store:ident, $fixture:ty, [$($case:ident),* $(,)?]) => {
        mod $store {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    if let Some((store, _fixture)) = <$fixture as crate::store::contract::Fixture>::new().await {
                        crate::store::contract::cases::$case(store).await;
                    }
                }
            )*
        }
    };
}
pub(crate) use contract;

/// The cases, and what they share.
#[deny(dead_code)]
pub(crate) mod cases {
    pub(crate) use super::follow::*;
    pub(crate) use super::kept::*;
    pub(crate) use super::log::*;
}

mod follow;
mod kept;
mod log;

const EPOCH: u64 = 4_242;

fn room(name: &str) -> RoomId {
    RoomId::new(name).unwrap()
}

fn at(seq: u64) -> Position {
    Position { epoch: EPOCH, seq }
}

fn entry(seq: u64) -> Bytes {
    Bytes::from(format!("entry {seq}"))
}

/// Entries with the seqs from `first` to `last`.
fn entries(first: u64, last: u64) -> Vec<Bytes> {
    (first..=last).map(entry).collect()
}

fn numbered(first: u64, last: u64) -> Vec<(u64, Bytes)> {
    (first..=last).map(|seq| (seq, entry(seq))).collect()
}

/// A room with `count` entries.
async fn filled(store: &SharedStore, name: &str, count: u64) -> RoomId {
    let room = room(name);
    assert_eq!(store.claim(&room, EPOCH).await, Ok(EPOCH));
    let mut seq = 0;
    while seq < count {
        let last = count.min(seq + Limits::BATCH_ENTRIES as u64);
        append(store, &room, seq, entries(seq + 1, last)).await;
        seq = last;
    }
    room
}

async fn append(store: &SharedStore, room: &RoomId, seq: u64, batch: Vec<Bytes>) {
    let head = at(seq + batch.len() as u64);
    let appended = store.append(room, Append::new(at(seq), batch, Bytes::from_static(b"row"))).await;
    assert_eq!(appended, Ok(Appended::Done { head }));
}

async fn load(store: &SharedStore, room: &RoomId) -> Loaded {
    store.load(room).await.unwrap().unwrap()
}

fn is_invalid<T: std::fmt::Debug>(result: Result<T, StoreError>) {
    assert!(matches!(result, Err(StoreError::Invalid(_))), "{result:?}");
}

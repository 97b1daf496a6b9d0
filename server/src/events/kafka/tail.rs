//! Reads back what a partition holds at its end.

use std::time::Instant;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::{Offset, TopicPartitionList};

use super::{PATIENCE, Settings, meaning};
use crate::events::{EventsError, Result};

/// Reading back takes this long at most; a foreign transaction that is left open ends before it.
const READING: std::time::Duration = std::time::Duration::from_secs(90);

/// Reads committed records of the partition before `end` (before its end, where there is none), from some place on, to
/// its end: so many that `take` has said yes to at least `wanted`, or all. Blocks.
///
/// Records of aborted transactions and markers have offsets too, so that the place is found by trying.
pub(super) fn read_back<T>(
    settings: &Settings,
    topic: &str,
    partition: i32,
    end: Option<i64>,
    wanted: usize,
    take: impl Fn(&BorrowedMessage<'_>) -> Option<T>,
) -> Result<Vec<T>> {
    let committed = consumer(settings, "read_committed")?;
    let marks = |consumer: &BaseConsumer| {
        consumer.fetch_watermarks(topic, partition, PATIENCE).map_err(|error| meaning(&error))
    };
    let deadline = Instant::now() + READING;
    let (low, high) = marks(&consumer(settings, "read_uncommitted")?)?;
    // What was written before is readable when every transaction before it has ended.
    while marks(&committed)?.1 < high {
        if Instant::now() > deadline {
            let open =
                format!("a transaction of somebody else is open in {topic}: nobody else may write there");
            return Err(EventsError::Unavailable(open));
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let end = end.unwrap_or(high).min(high);
    // Some aborted ones and a marker beside.
    let mut stretch = (wanted as i64).saturating_add(1_000);
    loop {
        let start = end.saturating_sub(stretch).max(low);
        if start >= end {
            return Ok(Vec::new());
        }
        let found = read(&committed, topic, partition, start..end, deadline, &take)?;
        if found.len() >= wanted || start == low {
            return Ok(found);
        }
        stretch = stretch.saturating_mul(4);
    }
}

fn consumer(settings: &Settings, isolation: &str) -> Result<BaseConsumer> {
    let mut config = settings.client();
    config
        .set("group.id", format!("{}-tail", settings.group))
        .set("isolation.level", isolation)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "earliest")
        .set("fetch.wait.max.ms", "50");
    config.create().map_err(|error| settings.unusable(&error))
}

fn read<T>(
    consumer: &BaseConsumer,
    topic: &str,
    partition: i32,
    offsets: std::ops::Range<i64>,
    deadline: Instant,
    take: impl Fn(&BorrowedMessage<'_>) -> Option<T>,
) -> Result<Vec<T>> {
    use rdkafka::Message as _;

    let mut assignment = TopicPartitionList::new();
    let added = assignment.add_partition_offset(topic, partition, Offset::Offset(offsets.start));
    added.and_then(|()| consumer.assign(&assignment)).map_err(|error| meaning(&error))?;
    let mut found = Vec::new();
    while Instant::now() < deadline {
        match consumer.poll(PATIENCE) {
            Some(Ok(message)) if message.offset() >= offsets.end => return Ok(found),
            Some(Ok(message)) => found.extend(take(&message)),
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(found),
            // Brokers come and go; the deadline ends it.
            Some(Err(_)) | None => {}
        }
    }
    Err(EventsError::Unavailable(format!("reading {topic} back takes too long")))
}

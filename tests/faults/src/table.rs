//! What came out, as a table.

use std::time::Duration;

/// One fault.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) operations: u64,
    pub(crate) acked: u64,
    pub(crate) doubled: u64,
    pub(crate) reordered: u64,
    /// Acknowledged, and not in the log.
    pub(crate) lost: u64,
    /// What the nodes have reported as lost.
    pub(crate) reported: u64,
    /// Lost, and reported by nobody.
    pub(crate) unreported: u64,
    /// People who were told that writes are not taken.
    pub(crate) told: u64,
    pub(crate) recovery: Option<Duration>,
    pub(crate) took: Duration,
    pub(crate) failures: Vec<String>,
}

impl Row {
    pub(crate) fn new(name: &'static str) -> Row {
        Row {
            name,
            operations: 0,
            acked: 0,
            doubled: 0,
            reordered: 0,
            lost: 0,
            reported: 0,
            unreported: 0,
            told: 0,
            recovery: None,
            took: Duration::ZERO,
            failures: Vec::new(),
        }
    }
}

/// Failures of one row that are printed.
const SHOWN: usize = 12;

/// Says how one went, as soon as that is known.
pub(crate) fn tell(row: &Row) {
    let Row { name, acked, operations, lost, recovery, took, failures, .. } = row;
    eprintln!("{name}: {acked} of {operations} acknowledged, {lost} lost, recovery {recovery:?}, {took:?}");
    for failure in failures.iter().take(SHOWN) {
        eprintln!("{name}: {failure}");
    }
}

/// Prints the rows, and what has failed below them.
pub(crate) fn print(rows: &[Row]) {
    println!(
        "{:<34} {:>7} {:>7} {:>7} {:>9} {:>5} {:>8} {:>10} {:>11} {:>6}",
        "fault", "ops", "acked", "doubled", "reordered", "lost", "reported", "unreported", "recovery ms", "s"
    );
    for row in rows {
        let recovery = row.recovery.map_or("-".into(), |recovery| recovery.as_millis().to_string());
        println!(
            "{:<34} {:>7} {:>7} {:>7} {:>9} {:>5} {:>8} {:>10} {:>11} {:>6.1}{}",
            row.name,
            row.operations,
            row.acked,
            row.doubled,
            row.reordered,
            row.lost,
            row.reported,
            row.unreported,
            recovery,
            row.took.as_secs_f64(),
            if row.failures.is_empty() { "" } else { "  FAILED" }
        );
    }
    let total: u64 = rows.iter().map(|row| row.operations).sum();
    println!("{total} operations");
    for row in rows {
        for failure in row.failures.iter().take(SHOWN) {
            println!("{}: {failure}", row.name);
        }
        if row.failures.len() > SHOWN {
            println!("{}: and {} more", row.name, row.failures.len() - SHOWN);
        }
    }
}

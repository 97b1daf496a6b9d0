//! Makes what is merged, and merges it natively, one round at a time, beside what `scripts/merge.mjs` measures.

use std::error::Error;
use std::hint::black_box;
use std::io::BufRead;
use std::path::Path;
use std::time::Instant;
use std::{env, fs, io};

use enfilade_core::{Rng, v1};
use enfilade_merge::{Timeline, merge_stored, order_stored};
use prost::Message as _;

/// Messages of each side.
const COUNT: u64 = 5_000;
/// Messages that a screen shows.
const SHOWN: usize = 50;
const HOUR: u64 = 3_600_000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["make", folder] => make(Path::new(folder)),
        ["serve", folder] => serve(Path::new(folder)),
        _ => Err("merge make FOLDER | merge serve FOLDER".into()),
    }
}

/// Writes both sides of each case, in protobuf and in JSON.
fn make(folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut rng = Rng::new(8);
    let whole: Vec<_> = (1..=COUNT).map(|n| message(&mut rng, 1 + n % 40, n, n, 1_000 * n)).collect();
    // Nothing of this is sequenced yet, and many were written in the same second.
    let mut alone = |client: u64, skew: u64, jitter: u64| -> Vec<v1::Message> {
        let mut one = |n: u64| {
            let at = HOUR + skew + 1_000 * (n / 2) + rng.below(jitter);
            message(&mut rng, client, n, 0, at)
        };
        (1..=COUNT).map(&mut one).collect()
    };
    let concurrent = (alone(1, 0, 1), alone(2, 0, 1));
    let skewed = (alone(1, 0, 60_000), alone(2, HOUR, 60_000));
    for (case, (a, b)) in
        [("duplicate", (whole.clone(), whole)), ("concurrent", concurrent), ("skewed", skewed)]
    {
        for (side, timeline) in [("a", a), ("b", b)] {
            fs::write(folder.join(format!("{case}-{side}.json")), serde_json::to_vec(&json(&timeline))?)?;
            let snapshot = v1::RoomSnapshot { timeline, ..Default::default() };
            fs::write(folder.join(format!("{case}-{side}.bin")), snapshot.encode_to_vec())?;
        }
    }
    Ok(())
}

fn message(rng: &mut Rng, client: u64, counter: u64, seq: u64, at: u64) -> v1::Message {
    let words = ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "and", "then", "some"];
    let text: Vec<&str> = (0..8 + rng.below(12)).map(|_| words[rng.below(12) as usize]).collect();
    v1::Message {
        id: Some(v1::OpId { client, counter }),
        seq,
        ordinal: seq,
        author: format!("user-{client}"),
        author_name: format!("User {client}"),
        at,
        text: text.join(" "),
        ..Default::default()
    }
}

fn json(timeline: &[v1::Message]) -> serde_json::Value {
    let row = |message: &v1::Message| {
        let id = message.id.unwrap_or_default();
        serde_json::json!({
            "id": { "client": id.client, "counter": id.counter },
            "seq": message.seq,
            "ordinal": message.ordinal,
            "author": message.author,
            "author_name": message.author_name,
            "at": message.at,
            "text": message.text,
        })
    };
    timeline.iter().map(row).collect()
}

/// For each line with what is wanted and the name of a case: nanoseconds of one merge, or the order that it gives.
fn serve(folder: &Path) -> Result<(), Box<dyn Error>> {
    for line in io::stdin().lock().lines() {
        let line = line?;
        let (wanted, case) = line.split_once(' ').ok_or("WANTED CASE")?;
        let [a, b] = ["a", "b"].map(|side| fs::read(folder.join(format!("{case}-{side}.bin"))));
        let (a, b) = (black_box(a?), black_box(b?));
        let began = Instant::now();
        match wanted {
            "decoded" => drop(black_box(Timeline::merge(&a, &b))),
            "stored" => drop(black_box(merge_stored(&a, &b, SHOWN))),
            _ => {
                println!("{}", serde_json::to_string(&order_stored(&a, &b))?);
                continue;
            }
        }
        println!("{}", began.elapsed().as_nanos());
    }
    Ok(())
}

//! The scripts against the store in memory: two nodes, random requests from a seed, the same answers.

use enfilade_core::Rng;

use super::*;
use crate::store::MemoryStore;

const SEEDS: u64 = 8;
const STEPS: usize = 400;

/// What a node knows of the log: sometimes it is late.
#[derive(Clone, Copy)]
struct Known {
    head: Position,
}

struct Run {
    rng: Rng,
    nodes: [RedisStore; 2],
    model: MemoryStore,
    known: [Known; 2],
    entries: u64,
}

impl Run {
    fn below(&mut self, bound: u64) -> u64 {
        self.rng.id53() % bound
    }

    /// A position near the end of what a node knows.
    fn position(&mut self, node: usize) -> Position {
        let head = self.known[node].head;
        let epoch = if self.below(12) == 0 { head.epoch + 1 } else { head.epoch };
        let seq = (head.seq + self.below(4)).saturating_sub(self.below(12));
        Position { epoch: epoch.max(1), seq }
    }

    fn batch(&mut self) -> Vec<Bytes> {
        let count = 1 + self.below(4);
        (0..count)
            .map(|_| {
                self.entries += 1;
                let size = self.below(40) as usize;
                entry(&format!("{}{}", self.entries, "x".repeat(size)))
            })
            .collect()
    }

    async fn step(&mut self) {
        let node = self.below(2) as usize;
        let at = self.position(node);
        match self.below(12) {
            0..=4 => {
                // Mostly where the node believes the log to end.
                let expected = if self.below(4) == 0 { at } else { self.known[node].head };
                let batch = self.batch();
                let amended = match self.below(3) {
                    0 => vec![(1 + self.below(expected.seq.max(1)), entry(&format!("a{}", self.entries)))],
                    _ => Vec::new(),
                };
                let summary = entry(if self.below(5) == 0 { "" } else { "row" });
                let append = Append { amended, ..Append::new(expected, batch, summary) };
                let answer = self.nodes[node].append(&room(), append.clone()).await;
                assert_eq!(answer, self.model.append(&room(), append).await);
                if let Ok(Appended::Done { head } | Appended::Conflict { head, .. }) = answer {
                    self.known[node].head = head;
                }
            }
            5 => {
                let epoch = 1 + self.below(1 << 40);
                let answer = self.nodes[node].claim(&room(), epoch).await;
                assert_eq!(answer, self.model.claim(&room(), epoch).await);
            }
            6 => {
                let (limit, bytes) = (self.below(6) as usize, self.below(120) as usize);
                let answer = self.nodes[node].read(&room(), at, limit, bytes).await;
                assert_eq!(answer, self.model.read(&room(), at, limit, bytes).await);
            }
            7 => {
                let state = entry(&format!("state {}", self.entries));
                let answer = self.nodes[node].put_snapshot(&room(), at, state.clone()).await;
                assert_eq!(answer, self.model.put_snapshot(&room(), at, state).await);
            }
            8 => {
                let answer = self.nodes[node].trim(&room(), at).await;
                assert_eq!(answer, self.model.trim(&room(), at).await);
            }
            9 => {
                let answer = self.nodes[node].set_cursor(&room(), Follower::Events, at).await;
                assert_eq!(answer, self.model.set_cursor(&room(), Follower::Events, at).await);
                let answer = self.nodes[1 - node].cursor(&room(), Follower::Events).await;
                assert_eq!(answer, self.model.cursor(&room(), Follower::Events).await);
            }
            10 => {
                let rows = self.nodes[node].amended(&room(), Position { seq: 1, ..at }, at.seq + 3).await;
                assert_eq!(rows, self.model.amended(&room(), Position { seq: 1, ..at }, at.seq + 3).await);
                let some: Vec<_> = rows.unwrap().into_iter().take(1).collect();
                self.nodes[node].forget_amended(&room(), at.epoch, some.clone()).await.unwrap();
                self.model.forget_amended(&room(), at.epoch, some).await.unwrap();
            }
            _ => {
                let answer = self.nodes[node].load(&room()).await.unwrap();
                assert_eq!(answer, self.model.load(&room()).await.unwrap());
                if let Some(loaded) = answer {
                    self.known[node].head = loaded.head;
                }
                let rows = self.nodes[node].summaries(None, 10).await;
                assert_eq!(rows, self.model.summaries(None, 10).await);
            }
        }
    }
}

#[tokio::test]
async fn two_nodes_get_the_answers_of_the_model_whatever_they_ask_in_turn() {
    let Some(redis) = or_skip("Redis", Redis::start_with(&FORGETFUL)) else { return };
    for seed in 1..=SEEDS {
        let options = options(redis.url(), Mode::Standalone);
        let open = || RedisStore::open(options.clone());
        let nodes = [open().await.unwrap(), open().await.unwrap()];
        let known = [Known { head: Position { epoch: 1, seq: 0 } }; 2];
        let mut run = Run { rng: Rng::new(seed), nodes, model: MemoryStore::new(), known, entries: 0 };
        for step in 0..STEPS {
            eprintln!("seed {seed} step {step}");
            run.step().await;
        }
        assert!(run.entries > 100, "too little was appended");
    }
}

//! Which rooms are next: the core's prediction beside what people usually build, at equal budgets of fetches.
//!
//! ```text
//! cargo run --release -p enfilade-studies --bin prediction [visits] [tuning] [once] [beginning]
//! ```
//!
//! `once` plays one seed of each family instead of all, `beginning` the first visits alone. Figures are hits by those of a cache that knows the future but fetches nothing ahead. *Useful* are fetches that were
//! visited while they were held, a visit.

use enfilade_core::cache::PolicyKind;
use enfilade_studies::{
    Core, FAMILIES, Popular, Ppm, Prefetcher, RESULT_SEEDS, TUNING_FAMILIES, TUNING_SEEDS, belady_hits,
    prefetch,
};

/// Rooms that fit.
const CAPACITY: usize = 100;
/// Visits of people who have just come.
const BEGINNINGS: [usize; 5] = [150, 300, 500, 1_000, 2_000];

const PEERS: [&str; 4] = ["most popular", "Markov-1", "PPM-4", "core"];

fn peer(which: usize) -> Box<dyn Prefetcher> {
    match which {
        0 => Box::new(Popular::default()),
        1 => Box::new(Ppm::markov()),
        2 => Box::new(Ppm::four()),
        _ => Box::new(Core::default()),
    }
}

/// Means over families: hits by Belady's without and with each peer, what they gain and what is useful, a visit.
#[derive(Default)]
struct Means {
    families: f64,
    none: f64,
    hits: [f64; 4],
    gain: [f64; 4],
    useful: [f64; 4],
    bytes: usize,
}

impl Means {
    fn add(&mut self, trace: &[u32], budget: u32) {
        let best = belady_hits(trace, CAPACITY) as f64;
        let none = prefetch(trace, CAPACITY, PolicyKind::Gf, None, 0);
        self.families += 1.0;
        self.none += none.hits as f64 / best;
        for which in 0..PEERS.len() {
            let mut peer = peer(which);
            let outcome = prefetch(trace, CAPACITY, PolicyKind::Gf, Some(&mut *peer), budget);
            self.hits[which] += outcome.hits as f64 / best;
            self.gain[which] += (outcome.hits as f64 - none.hits as f64) / trace.len() as f64;
            self.useful[which] += outcome.useful as f64 / trace.len() as f64;
            self.bytes = self.bytes.max(peer.bytes());
        }
    }

    /// Takes in a family's means as one.
    fn join(&mut self, family: &Means) {
        let mean = |sum: &mut [f64; 4], of: &[f64; 4]| {
            sum.iter_mut().zip(of).for_each(|(sum, of)| *sum += of / family.families);
        };
        self.families += 1.0;
        self.none += family.none / family.families;
        mean(&mut self.hits, &family.hits);
        mean(&mut self.gain, &family.gain);
        mean(&mut self.useful, &family.useful);
        self.bytes = self.bytes.max(family.bytes);
    }

    fn print(&self) {
        let mean = |sums: [f64; 4]| sums.map(|sum| format!("{:>13.3}", sum / self.families)).concat();
        println!("{:22}{:>7.3}{}", "mean", self.none / self.families, mean(self.hits));
        println!("{:29}{}", "gain in hits a visit", mean(self.gain));
        println!("{:29}{}", "useful fetches a visit", mean(self.useful));
        println!(
            "useful by Markov-1's {:.3}, by PPM-4's {:.3}; gain by Markov-1's {:.3}, by PPM-4's {:.3}; {} bytes",
            self.useful[3] / self.useful[1],
            self.useful[3] / self.useful[2],
            self.gain[3] / self.gain[1],
            self.gain[3] / self.gain[2],
            self.bytes
        );
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let visits = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(30_000);
    let (families, seeds) = if arguments.iter().any(|argument| argument == "tuning") {
        (TUNING_FAMILIES, TUNING_SEEDS)
    } else {
        (FAMILIES, RESULT_SEEDS)
    };
    let seeds = if arguments.iter().any(|argument| argument == "once") { &seeds[..1] } else { seeds };
    let budgets: &[u32] =
        if arguments.iter().any(|argument| argument == "beginning") { &[] } else { &[1_000, 500] };
    for budget in budgets.iter().copied() {
        println!(
            "\n{visits} visits, {CAPACITY} rooms fit, {:.1} fetches a visit",
            f64::from(budget) / 1_000.0
        );
        println!("{:22}{:>7}{}", "", "none", PEERS.map(|name| format!("{name:>13}")).concat());
        let mut means = Means::default();
        for family in families {
            let mut of_family = Means::default();
            for seed in seeds {
                let trace = (family.trace)(*seed, visits);
                of_family.add(&trace, budget);
            }
            means.join(&of_family);
            let hits = of_family.hits.map(|sum| format!("{:>13.3}", sum / of_family.families)).concat();
            println!("{:22}{:>7.3}{hits}", family.name, of_family.none / of_family.families);
        }
        means.print();
    }
    println!("\nThe beginning: hits with the core's prediction by those without, one fetch a visit");
    for visits in BEGINNINGS {
        let mut ratios = Vec::new();
        for family in families {
            let (mut with, mut none) = (0, 0);
            for seed in seeds {
                let trace = (family.trace)(*seed, visits);
                none += prefetch(&trace, CAPACITY, PolicyKind::Gf, None, 0).hits;
                with += prefetch(&trace, CAPACITY, PolicyKind::Gf, Some(&mut Core::default()), 1_000).hits;
            }
            ratios.push((with.max(1) as f64 / none.max(1) as f64, family.name));
        }
        let mean = ratios.iter().map(|(ratio, _)| ratio).sum::<f64>() / ratios.len() as f64;
        let (worst, name) =
            ratios.into_iter().min_by(|one, other| one.0.total_cmp(&other.0)).unwrap_or((0.0, ""));
        println!("{visits:>6} visits: mean {mean:.3}, worst {worst:.3} ({name})");
    }
}

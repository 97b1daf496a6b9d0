//! Runs the servers in turns and prints what they cost.

use std::collections::BTreeMap;
use std::io;

use clap::Parser;
use enfilade_peers::burst::{Burst, Outcome};
use enfilade_peers::dialect::Dialect;
use enfilade_peers::idle;
use enfilade_peers::process::{Server, raise_file_limit};
use enfilade_peers::report::{median, print_table, ratio};

#[derive(Parser)]
#[command(about = "Measures Enfilade beside its peers")]
struct Options {
    /// A server: NAME=DIALECT:COMMAND, dialect `plain` or `enfilade`. The first one is held against the others. In the
    /// command `{port}` is the port and `{data}` an empty folder; servers also find the port in PORT.
    #[arg(long = "server", required = true)]
    servers: Vec<String>,
    /// Rounds; each runs every server once, in an order that is turned round from one to the next.
    #[arg(long, default_value_t = 8)]
    rounds: usize,
    /// Messages of a measurement of bursts.
    #[arg(long, default_value_t = 2_048)]
    messages: usize,
    /// Subscribers of a burst.
    #[arg(long, default_value_t = 1_000)]
    subscribers: usize,
    /// Idle connections.
    #[arg(long, default_value_t = 5_000)]
    connections: usize,
    /// Only these: burst-16, burst-64, slow, idle.
    #[arg(long = "only")]
    only: Vec<String>,
}

struct Peer {
    name: String,
    dialect: Dialect,
    command: Vec<String>,
}

impl Peer {
    fn parse(text: &str) -> io::Result<Peer> {
        let parts = text.split_once('=').and_then(|(name, rest)| Some((name, rest.split_once(':')?)));
        let Some((name, (dialect, command))) = parts else {
            return Err(io::Error::other(format!("not NAME=DIALECT:COMMAND: {text}")));
        };
        let dialect = if dialect == "enfilade" { Dialect::Enfilade } else { Dialect::Plain };
        Ok(Peer {
            name: name.into(),
            dialect,
            command: command.split_whitespace().map(str::to_owned).collect(),
        })
    }

    /// Starts it with nothing from before.
    fn start(&self, data: &str) -> io::Result<Server> {
        let _ = std::fs::remove_dir_all(data);
        std::fs::create_dir_all(data)?;
        let command: Vec<String> = self.command.iter().map(|word| word.replace("{data}", data)).collect();
        Server::start(&command, &[])
    }
}

fn main() -> io::Result<()> {
    raise_file_limit();
    let options = Options::parse();
    let peers = options.servers.iter().map(|text| Peer::parse(text)).collect::<io::Result<Vec<_>>>()?;
    let wanted = |name: &str| options.only.is_empty() || options.only.iter().any(|only| only == name);
    let data = std::env::temp_dir().join(format!("enfilade-peers-{}", std::process::id()));
    let data = data.display().to_string();
    for (name, outstanding, slow) in
        [("burst-16", 16, 0), ("burst-64", 64, 0), ("slow", 64, options.subscribers / 10)]
    {
        if wanted(name) {
            bursts(&options, &peers, &data, outstanding, slow)?;
        }
    }
    if wanted("idle") {
        for rooms in [1, 20] {
            idle_memory(&options, &peers, &data, rooms)?;
        }
    }
    let _ = std::fs::remove_dir_all(&data);
    Ok(())
}

/// Every server once a round, forwards and backwards in turns.
fn in_turns(
    rounds: usize,
    peers: &[Peer],
    mut run: impl FnMut(usize, &Peer) -> io::Result<()>,
) -> io::Result<()> {
    for round in 0..rounds {
        let mut order: Vec<&Peer> = peers.iter().collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for peer in order {
            run(round, peer).map_err(|error| io::Error::other(format!("{}: {error}", peer.name)))?;
        }
    }
    Ok(())
}

fn bursts(options: &Options, peers: &[Peer], data: &str, outstanding: usize, slow: usize) -> io::Result<()> {
    let burst = Burst {
        subscribers: options.subscribers - slow,
        slow,
        outstanding,
        bytes: 128,
        bursts: (options.messages / outstanding).max(1),
    };
    println!(
        "\nBurst: {} subscribers{}, 128 B, {outstanding} outstanding, {} messages, {} rounds",
        options.subscribers,
        if slow > 0 { format!(" of which {slow} do not read") } else { String::new() },
        burst.bursts * outstanding,
        options.rounds,
    );
    let mut outcomes: BTreeMap<&str, Vec<Outcome>> = BTreeMap::new();
    // The bound can't have readers that do not read: it would wait for them.
    let peers_now: Vec<&Peer> = peers.iter().filter(|peer| slow == 0 || peer.name != "bound").collect();
    in_turns(options.rounds, peers, |round, peer| {
        if slow > 0 && peer.name == "bound" {
            return Ok(());
        }
        let server = peer.start(&format!("{data}/{}", peer.name))?;
        let outcome = burst.measure(&server, peer.dialect, round as u64 + 1)?;
        if let Some(known) = peers_now.iter().find(|known| known.name == peer.name) {
            outcomes.entry(&known.name).or_default().push(outcome);
        }
        Ok(())
    })?;
    let ours = &peers[0].name;
    let cpu = |name: &str| -> Vec<f64> {
        outcomes.get(name).into_iter().flatten().map(|outcome| outcome.cpu).collect()
    };
    let mut rows = vec![
        [
            "server",
            "CPU/delivery",
            "of it user",
            "at once",
            "deliveries/s",
            "p99",
            &format!("{ours} / it"),
            "ahead",
        ]
        .map(String::from)
        .to_vec(),
    ];
    for peer in peers_now {
        let all = outcomes.get(&peer.name[..]).map(Vec::as_slice).unwrap_or_default();
        let middle = |of: fn(&Outcome) -> f64| median(&all.iter().map(of).collect::<Vec<_>>());
        let ratio = ratio(&cpu(ours), &cpu(&peer.name));
        let mut row = vec![
            peer.name.clone(),
            format!("{:.3} us", middle(|outcome| outcome.cpu)),
            format!("{:.3} us", middle(|outcome| outcome.user)),
            format!("{:.1}", middle(|outcome| outcome.joined)),
            format!("{:.0}", middle(|outcome| outcome.rate)),
            format!("{:.1} ms", middle(|outcome| outcome.p99)),
        ];
        if peer.name != *ours {
            row.push(format!("{:.2}", ratio.median));
            row.push(format!("{} of {}", ratio.ahead, ratio.rounds));
        }
        rows.push(row);
    }
    print_table(&rows);
    Ok(())
}

fn idle_memory(options: &Options, peers: &[Peer], data: &str, rooms: usize) -> io::Result<()> {
    // Memory varies little, so three rounds do.
    let rounds = options.rounds.min(3);
    println!(
        "\nIdle: {} connections in {rooms} rooms, resident memory each, {rounds} rounds",
        options.connections
    );
    let mut outcomes: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    in_turns(rounds, peers, |_, peer| {
        if peer.name != "bound" {
            let server = peer.start(&format!("{data}/{}", peer.name))?;
            let bytes = idle::measure(&server, peer.dialect, options.connections, rooms)?;
            outcomes.entry(peer.name.clone()).or_default().push(bytes);
        }
        Ok(())
    })?;
    let ours = &peers[0].name;
    let mut rows =
        vec![["server", "resident/connection", &format!("{ours} / it")].map(String::from).to_vec()];
    for peer in peers.iter().filter(|peer| peer.name != "bound") {
        let mut row = vec![peer.name.clone(), format!("{:.0} B", median(&outcomes[&peer.name]))];
        if peer.name != *ours {
            row.push(format!("{:.2}", ratio(&outcomes[ours], &outcomes[&peer.name]).median));
        }
        rows.push(row);
    }
    print_table(&rows);
    Ok(())
}

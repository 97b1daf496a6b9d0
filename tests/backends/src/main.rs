//! Starts one of each, says where they are, and then obeys: a line of standard input is a command, a line of standard
//! output its answer. All of them end when the input does.

use std::io::{BufRead as _, Write as _, stdin, stdout};
use std::process::ExitCode;

use enfilade_backends::redis::Redis;
use enfilade_backends::{Kafka, Mongo};

struct Backends {
    redis: Redis,
    mongo: Mongo,
    kafka: Kafka,
}

fn main() -> ExitCode {
    match Backends::start() {
        Ok(mut backends) => {
            backends.serve();
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

impl Backends {
    fn start() -> Result<Backends, String> {
        let redis = Redis::start().map_err(|error| format!("Redis: {error}"))?;
        say(&format!("redis {}", redis.url()));
        let mongo = Mongo::start().map_err(|error| format!("MongoDB: {error}"))?;
        say(&format!("mongo {}", mongo.url()));
        let kafka = Kafka::start().map_err(|error| format!("Kafka: {error}"))?;
        say(&format!("kafka {}", kafka.brokers()));
        Ok(Backends { redis, mongo, kafka })
    }

    fn serve(&mut self) {
        for line in stdin().lock().lines().map_while(Result::ok) {
            say(&self.obey(&line));
        }
    }

    fn obey(&mut self, line: &str) -> String {
        let mut words = line.split_whitespace();
        let (command, name) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let Backends { redis, mongo, kafka } = self;
        let failed = |error: std::io::Error| error.to_string();
        let mut done = Ok(());
        match (name, command) {
            ("redis", "kill") => redis.kill(),
            ("redis", "pause") => redis.pause(),
            ("redis", "resume") => redis.resume(),
            ("redis", "restart") => done = redis.restart().map_err(failed),
            ("redis", "flush") => drop(redis.ask(&["FLUSHALL"])),
            ("mongo", "kill") => mongo.kill(),
            ("mongo", "pause") => mongo.pause(),
            ("mongo", "resume") => mongo.resume(),
            ("mongo", "restart") => mongo.restart(),
            ("kafka", "kill") => kafka.kill(),
            ("kafka", "pause") => kafka.pause(),
            ("kafka", "resume") => kafka.resume(),
            ("kafka", "restart") => done = kafka.restart().map_err(failed),
            _ => done = Err("kill, pause, resume, restart or flush, and redis, mongo or kafka".into()),
        }
        match done {
            Ok(()) => format!("{name}: {command} is done"),
            Err(message) => message,
        }
    }
}

fn say(line: &str) {
    // Whoever asked is gone when this fails, and the input ends then.
    let _ = writeln!(stdout(), "{line}");
}

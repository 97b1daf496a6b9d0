//! The command line. `enfilade` alone serves; the rest is for operators.

use std::ffi::OsString;
use std::io::{IsTerminal, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use enfilade_core::{Code, UserId, limits};

use crate::auth::{self, Claims, Tokens};
use crate::config::{Problem, Resolved, Sources};
use crate::folder::DataFolder;
use crate::readable::command::{Inspect, rebuild_keys};
use crate::transfer::{self, Import, Moved, Place, Progress, TransferError};
use crate::{serve, telemetry};

/// The command line or the configuration is wrong; the same start fails again.
const EXIT_USAGE: u8 = 2;
/// Something failed.
const EXIT_FAILURE: u8 = 1;

/// Real-time rooms: demo, API and WebSocket on one port, on a store of its own.
///
/// Without a command it serves. Settings come from enfilade.toml (or --config), then from variables such as
/// ENFILADE_LOG__LEVEL (two underscores between the parts of a key), then from flags; the last one counts.
/// `enfilade config check` prints every key with its value and source.
#[derive(Debug, Parser)]
#[command(name = "enfilade", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the demo, the API and the WebSocket (the default)
    Serve,
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Make tokens, and look into them
    #[command(subcommand)]
    Token(TokenCommand),
    /// Make keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// Print what is in the store, under the names of its readable keys
    #[command(subcommand)]
    Inspect(Inspect),
    /// Write the readable keys anew from the logs, of one room or of all
    RebuildKeys {
        /// The room's id; all rooms when it is absent
        room: Option<String>,
    },
    /// Write all rooms into a file, for a backup or a move to another store; goes on where it was interrupted
    Export {
        /// The file; it must not be there yet
        file: PathBuf,
    },
    /// Put the rooms of such a file into the store; goes on where it was interrupted
    Import(ImportFile),
}

#[derive(Debug, Args)]
struct ImportFile {
    /// The file that `enfilade export` has made
    file: PathBuf,
    /// Leave rooms as they are that the store has already with another log
    #[arg(long)]
    skip_existing: bool,
    /// Leave out what came before a room's snapshot where there is no archive for it
    #[arg(long)]
    without_history: bool,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Print a new signing key; keep it in a file of its own, and name that to all nodes with `signing_key`
    New,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print every key with its value and where it comes from, or everything that is wrong (exit code 2)
    Check,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Print a token for a user, signed with the key of the data folder
    Mint(Mint),
    /// Print what a token says, or why it is not valid (exit code 1)
    Inspect {
        /// The token; read from the standard input when it is absent
        token: Option<String>,
    },
}

#[derive(Debug, Args)]
struct Mint {
    /// The user's id: 1 to 48 of a-z A-Z 0-9 - _ . :
    #[arg(long)]
    user: String,
    /// The name that others see
    #[arg(long)]
    name: String,
    /// How long the token holds
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3_650))]
    days: u32,
}

/// Settings that are common enough for a flag of their own; `--set` is for the rest.
#[derive(Debug, Args)]
#[command(next_help_heading = "Settings")]
struct Settings {
    /// File with settings, in TOML [default: enfilade.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE", env = crate::config::FILE_VARIABLE)]
    config: Option<PathBuf>,
    /// Address and port to listen on; port 0 takes a free one [default: 127.0.0.1:7700]
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Folder of the store and the signing key [default: data]
    #[arg(long, global = true, value_name = "FOLDER")]
    data_dir: Option<String>,
    /// human or json [default: human]
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<String>,
    /// error, warn, info, debug or trace [default: info]
    #[arg(long, global = true, value_name = "LEVEL")]
    log_level: Option<String>,
    /// Whether people without an account may come in: true or false [default: true]
    #[arg(long, global = true, value_name = "BOOL")]
    guests: Option<String>,
    /// Threads that own sockets; 0 is one a core [default: 0]
    #[arg(long, global = true, value_name = "NUMBER")]
    shards: Option<String>,
    /// Any other key, such as limits.connections=500; may be given several times
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Settings {
    fn resolve(self) -> Result<Resolved, Vec<Problem>> {
        let named = [
            ("listen", "--listen", self.listen),
            ("data_dir", "--data-dir", self.data_dir),
            ("log.format", "--log-format", self.log_format),
            ("log.level", "--log-level", self.log_level),
            ("guests.allowed", "--guests", self.guests),
            ("shards", "--shards", self.shards),
        ];
        let named =
            named.into_iter().filter_map(|(key, flag, value)| Some((key.into(), value?, flag.into())));
        let mut flags: Vec<(String, String, String)> = named.collect();
        for setting in self.set {
            let Some((key, value)) = setting.split_once('=') else {
                let message = format!("{setting:?} has no value; write it as KEY=VALUE");
                return Err(vec![Problem { source: "--set".into(), message }]);
            };
            flags.push((key.trim().into(), value.trim().into(), format!("--set {}", key.trim())));
        }
        Sources { file: self.config, flags, ..Sources::of_process() }.resolve()
    }
}

/// Runs what the command line asks for. The whole of `main`.
pub fn run() -> ExitCode {
    run_with(std::env::args_os())
}

/// The same with these arguments, of which the first is the program's name.
pub fn run_with(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    // Prints help, version and mistakes itself; the code of a mistake is 2.
    let Cli { command, settings } = Cli::parse_from(arguments);
    let resolved = match settings.resolve() {
        Ok(resolved) => resolved,
        Err(problems) => {
            for problem in problems {
                complain(&problem.to_string());
            }
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let done = match command.unwrap_or(Command::Serve) {
        Command::Serve => self::serve(&resolved),
        Command::Config(ConfigCommand::Check) => print(&resolved.to_toml()),
        Command::Token(TokenCommand::Mint(mint)) => self::mint(&resolved, &mint),
        Command::Token(TokenCommand::Inspect { token }) => inspect(&resolved, token),
        Command::Inspect(what) => run_to_end(what.run(&resolved.config)),
        Command::RebuildKeys { room } => run_to_end(rebuild_keys(&resolved.config, room.as_deref())),
        Command::Key(KeyCommand::New) => {
            Tokens::new_key().map_err(|error| error.to_string()).and_then(|key| print(&key))
        }
        Command::Export { file } => transfer(&resolved, async |place| {
            let moved = transfer::export(place, &file, &mut Progress::on_stderr("exporting")).await?;
            Ok(format!("exported {} into {}", told(moved), file.display()))
        }),
        Command::Import(ImportFile { file, skip_existing, without_history }) => {
            transfer(&resolved, async |place| {
                let how = Import { skip_existing, without_history };
                let moved =
                    transfer::import(place, &file, how, &mut Progress::on_stderr("importing")).await?;
                Ok(format!("imported {} out of {}, and read each back", told(moved), file.display()))
            })
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            complain(&message);
            ExitCode::from(EXIT_FAILURE)
        }
    }
}

fn serve(resolved: &Resolved) -> Result<(), String> {
    let config = &resolved.config;
    telemetry::start_log(&config.log);
    let metrics = telemetry::start_metrics();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| format!("the runtime can't be started ({error}); look at the limits"))?;
    runtime.block_on(async {
        let upkeep = tokio::spawn(telemetry::upkeep(metrics.clone()));
        let served = serve::run(config.into(), metrics).await;
        upkeep.abort();
        served.map_err(|failure| failure.to_string())
    })
}

/// Prints what a command has to say.
fn run_to_end(command: impl Future<Output = Result<String, String>>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| format!("the runtime can't be started ({error}); look at the limits"))?;
    print(&runtime.block_on(command)?)
}

/// Moves rooms into or out of the configured store, and says what was moved.
fn transfer(
    resolved: &Resolved,
    work: impl AsyncFnOnce(&Place) -> Result<String, TransferError>,
) -> Result<(), String> {
    telemetry::start_log(&resolved.config.log);
    run_to_end(async {
        let place = serve::open_place(&(&resolved.config).into()).await.map_err(|error| error.to_string())?;
        let done = work(&place).await.map_err(|error| error.to_string());
        let closed = place.store.close().await.map_err(|error| error.to_string());
        let said = done?;
        closed?;
        Ok(format!("{said}\n"))
    })
}

fn told(Moved { rooms, skipped, entries }: Moved) -> String {
    format!("{rooms} rooms with {entries} entries ({skipped} were there already)")
}

fn mint(resolved: &Resolved, mint: &Mint) -> Result<(), String> {
    let user = UserId::new(&mint.user)
        .map_err(|_| format!("{:?} is no user id; use 1 to 48 of a-z A-Z 0-9 - _ . :", mint.user))?;
    let lifetime = Duration::from_secs(u64::from(mint.days) * 86_400);
    let minted = tokens(resolved)?.mint(user, &mint.name, lifetime, auth::now());
    let (token, _) = minted.map_err(|code: Code| code.text().to_owned())?;
    print(&format!("{token}\n"))
}

fn inspect(resolved: &Resolved, token: Option<String>) -> Result<(), String> {
    let token = match token {
        Some(token) => token,
        None => {
            let input = std::io::stdin();
            if input.is_terminal() {
                return Err("there is no token; give it as an argument or on the standard input".into());
            }
            let mut text = String::new();
            // One byte more than a token may have, so that a longer one is seen to be too long.
            let read = input.take(limits::TOKEN_BYTES as u64 + 1).read_to_string(&mut text);
            read.map_err(|error| format!("the standard input can't be read: {error}"))?;
            text
        }
    };
    let verified = tokens(resolved)?.verify(token.trim(), auth::now());
    let Claims { user, name, guest, issued, expires } = verified.map_err(|code| code.text().to_owned())?;
    let claims = serde_json::json!({
        "user": user.as_str(), "name": name, "guest": guest,
        "issued": issued.0 / 1_000, "expires": expires.0 / 1_000,
    });
    print(&format!("{claims:#}\n"))
}

/// The key that is shared, or that of the data folder, whether a server uses the folder or not.
fn tokens(resolved: &Resolved) -> Result<Tokens, String> {
    let config = &resolved.config;
    if let Some(file) = config.signing_key() {
        return Tokens::open_file(&file, config.guest_lifetime()).map_err(|error| error.to_string());
    }
    let tokens = match Tokens::open_existing(&config.data_dir, config.guest_lifetime()) {
        Ok(Some(tokens)) => Ok(tokens),
        Ok(None) => DataFolder::open(&config.data_dir)
            .and_then(|folder| Tokens::open(&folder, config.guest_lifetime())),
        Err(error) => Err(error),
    };
    tokens.map_err(|error| error.to_string())
}

fn print(text: &str) -> Result<(), String> {
    let mut output = std::io::stdout().lock();
    let printed = output.write_all(text.as_bytes()).and_then(|()| output.flush());
    printed.map_err(|error| format!("the standard output can't be written: {error}"))
}

fn complain(message: &str) {
    // Without a standard error stream there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "enfilade: {message}");
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn settings(arguments: &[&str]) -> Result<Resolved, Vec<Problem>> {
        let line = ["enfilade"].iter().chain(arguments);
        let mut settings = Cli::try_parse_from(line).unwrap().settings;
        // The environment of the test's own process doesn't matter, and neither does a file beside it.
        settings.config.get_or_insert("/dev/null".into());
        settings.resolve()
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_are_taken_before_and_after_a_command_and_without_one() {
        let lines: [&[&str]; 4] = [
            &["--listen", "127.0.0.1:0"],
            &["serve", "--listen", "127.0.0.1:0"],
            &["--listen", "127.0.0.1:0", "config", "check"],
            &["config", "check", "--listen", "127.0.0.1:0"],
        ];
        for line in lines {
            assert_eq!(settings(line).unwrap().config.listen.port(), 0, "{line:?}");
        }
    }

    #[test]
    fn every_flag_sets_its_key() {
        let line = [
            "--data-dir",
            "/tmp/x",
            "--log-format=json",
            "--log-level=warn",
            "--guests=false",
            "--shards=3",
            "--set",
            "limits.connections=5",
            "--set=store.reserve_bytes = 0",
        ];
        let config = settings(&line).unwrap().config;
        assert_eq!(config.data_dir, PathBuf::from("/tmp/x"));
        assert_eq!((config.log.format, config.log.level.as_str()), (crate::config::LogFormat::Json, "warn"));
        assert_eq!((config.guests.allowed, config.shards), (false, 3));
        assert_eq!((config.limits.connections, config.store.reserve_bytes), (5, 0));
    }

    #[test]
    fn mistakes_name_the_flag() {
        let said = |line: &[&str]| settings(line).unwrap_err()[0].to_string();
        assert!(said(&["--listen", "7700"]).starts_with("--listen: "));
        assert!(said(&["--set", "limits"]).contains("KEY=VALUE"));
        assert!(said(&["--set", "limits.conections=3"]).contains("did you mean `limits.connections`?"));
    }
}

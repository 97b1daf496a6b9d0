//! Where settings come from, and which one counts.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use figment::providers::{Format, Serialized, Toml};
use figment::value::{Dict, Value};
use figment::{Figment, Profile, Provider};

use super::Config;

/// Read when no other file is named, if it is there.
const DEFAULT_FILE: &str = "enfilade.toml";
/// Variables that begin so are settings; `__` stands between the parts of a key.
const PREFIX: &str = "ENFILADE_";
/// Names the file; not a setting itself.
pub(crate) const FILE_VARIABLE: &str = "ENFILADE_CONFIG";
/// What other programs call an address, and our key for it.
const COMMON_VARIABLES: [(&str, &str); 1] = [("REDIS_URL", "redis.url")];
/// Names that are this much alike are probably meant to be the same.
const ALIKE: f64 = 0.7;
/// Stands for a password.
const MASK: &str = "***";

/// What was said about the configuration, apart from the defaults.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// A file that must be there; otherwise `enfilade.toml` of the working folder, if it is there.
    pub file: Option<PathBuf>,
    /// Variables of the environment; those that don't begin with `ENFILADE_` don't matter.
    pub environment: Vec<(String, String)>,
    /// Key, value, and what the operator wrote, ascending in weight.
    pub flags: Vec<(String, String, String)>,
}

/// A configuration, and who had the say in each key.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The configuration.
    pub config: Config,
    settings: BTreeMap<String, Setting>,
}

/// Something that is wrong with the configuration, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it was said: a file, a variable or a flag.
    pub source: String,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.source, self.message)
    }
}

#[derive(Clone, Debug)]
struct Setting {
    value: Value,
    source: String,
}

impl Sources {
    /// The environment of this process, and no more.
    pub fn of_process() -> Sources {
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        let environment = std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect();
        Sources { environment, ..Sources::default() }
    }

    /// Resolves every key, or says everything that is wrong.
    pub fn resolve(self) -> Result<Resolved, Vec<Problem>> {
        let defaults =
            settings_of(&Serialized::defaults(Config::default()), "default").map_err(|e| vec![e])?;
        let mut settings: BTreeMap<String, Setting> = defaults.into_iter().collect();
        let mut problems = Vec::new();
        let is_text: Vec<String> = settings
            .iter()
            .filter(|(_, setting)| matches!(setting.value, Value::String(..)))
            .map(|(key, _)| key.clone())
            .collect();
        // What is text stays as it was written; the rest is written as in a TOML file.
        let written = |key: &str, value: String| match value.parse() {
            Ok(parsed) if !is_text.iter().any(|text| text == key) => parsed,
            _ => Value::from(value),
        };
        let mut said = self.file().unwrap_or_else(|problem| {
            problems.push(problem);
            Vec::new()
        });
        for (name, value) in &self.environment {
            // Our own names come later, and outweigh these.
            if let Some((_, key)) = COMMON_VARIABLES.iter().find(|(common, _)| common == name) {
                said.push(((*key).to_owned(), Setting { value: value.clone().into(), source: name.clone() }));
            }
        }
        for (name, value) in self.environment {
            if let Some(key) = name.strip_prefix(PREFIX).filter(|_| name != FILE_VARIABLE) {
                let key = key.to_lowercase().replace("__", ".");
                let value = written(&key, value);
                said.push((key, Setting { value, source: name }));
            }
        }
        for (key, value, source) in self.flags {
            let value = written(&key, value);
            said.push((key, Setting { value, source }));
        }
        for (key, setting) in said {
            match check(&key, &setting, &settings) {
                Ok(()) => drop(settings.insert(key, setting)),
                Err(message) => problems.push(Problem { source: setting.source, message }),
            }
        }
        let values = settings.iter().map(|(key, setting)| (key.as_str(), &setting.value));
        let config = match extract(values) {
            Ok(config) => config,
            Err(error) => {
                problems.push(Problem { source: "configuration".into(), message: error.to_string() });
                return Err(problems);
            }
        };
        for (key, fault) in config.faults() {
            let (value, source) = settings.get(key).map_or_else(Default::default, |setting| {
                (shown(key, &setting.value), setting.source.clone())
            });
            problems.push(Problem { source, message: format!("{key} is {value}; {fault}") });
        }
        if problems.is_empty() { Ok(Resolved { config, settings }) } else { Err(problems) }
    }

    fn file(&self) -> Result<Vec<(String, Setting)>, Problem> {
        let path = self.file.clone().unwrap_or_else(|| DEFAULT_FILE.into());
        let source = path.display().to_string();
        let problem = |message: String| Problem { source: source.clone(), message };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && self.file.is_none() => {
                return Ok(Vec::new());
            }
            Err(error) => {
                return Err(problem(format!("it can't be read ({error}); name another with --config")));
            }
        };
        settings_of(&Toml::string(&text), &source)
    }
}

impl Resolved {
    /// Every key with its value and source, as a TOML file that says the same.
    pub fn to_toml(&self) -> String {
        let line = |key: &String, setting: &Setting| format!("{key} = {}", shown(key, &setting.value));
        let lines: Vec<_> =
            self.settings.iter().map(|(key, setting)| (line(key, setting), &setting.source)).collect();
        let width = lines.iter().map(|(line, _)| line.len()).max().unwrap_or(0);
        lines.iter().map(|(line, source)| format!("{line:width$}  # {source}\n")).collect()
    }
}

/// The leaves of what a provider says, with their keys.
fn settings_of(provider: &impl Provider, source: &str) -> Result<Vec<(String, Setting)>, Problem> {
    let problem = |error: figment::Error| Problem { source: source.into(), message: error.kind.to_string() };
    let mut profiles = provider.data().map_err(problem)?;
    let mut settings = Vec::new();
    if let Some(root) = profiles.remove(&Profile::Default) {
        flatten(String::new(), root, source, &mut settings);
    }
    Ok(settings)
}

fn flatten(prefix: String, dict: Dict, source: &str, settings: &mut Vec<(String, Setting)>) {
    for (name, value) in dict {
        let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
        match value {
            // An empty table says nothing, but its name may be wrong.
            Value::Dict(_, dict) if !dict.is_empty() => flatten(key, dict, source, settings),
            value => settings.push((key, Setting { value, source: source.into() })),
        }
    }
}

/// Whether the key exists, and the value is of its kind.
fn check(key: &str, setting: &Setting, known: &BTreeMap<String, Setting>) -> Result<(), String> {
    if !known.contains_key(key) {
        let is_group =
            known.keys().any(|other| other.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')));
        return match nearest(key, known) {
            _ if is_group && matches!(setting.value, Value::Dict(..)) => Ok(()),
            _ if is_group => Err(format!("`{key}` is a group of keys, and takes no value itself")),
            Some(near) if setting.source.starts_with(PREFIX) => {
                let near = near.to_uppercase().replace('.', "__");
                Err(format!("there is no key `{key}`; did you mean {PREFIX}{near}?"))
            }
            Some(near) => Err(format!("there is no key `{key}`; did you mean `{near}`?")),
            None => Err(format!("there is no key `{key}`; `enfilade config check` lists the keys")),
        };
    }
    let wrong = |error: Box<figment::Error>| {
        let is = known.get(key).map(|setting| shown(key, &setting.value)).unwrap_or_default();
        format!("{key} can't be {}: {}; write it like {is}", shown(key, &setting.value), error.kind)
    };
    extract([(key, &setting.value)]).map(drop).map_err(wrong)
}

/// The defaults with these values in their place.
fn extract<'a>(
    values: impl IntoIterator<Item = (&'a str, &'a Value)>,
) -> Result<Config, Box<figment::Error>> {
    let mut figment = Figment::from(Serialized::defaults(Config::default()));
    for (key, value) in values {
        // An empty table says nothing.
        if !matches!(value, Value::Dict(..)) {
            figment = figment.merge((key, value));
        }
    }
    figment.extract().map_err(Box::new)
}

/// The key that was probably meant: the whole of it is alike, or its last part.
fn nearest<'a>(key: &str, known: &'a BTreeMap<String, Setting>) -> Option<&'a str> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let likeness = |other: &str| {
        let whole = strsim::normalized_damerau_levenshtein(key, other);
        // A key under the wrong group counts for a little less than one that is misspelt.
        whole.max(strsim::normalized_damerau_levenshtein(&last(key), &last(other)) - 0.1)
    };
    let best = known.keys().map(|other| (likeness(other), other)).max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.filter(|(likeness, _)| *likeness >= ALIKE).map(|(_, key)| key.as_str())
}

/// A value as it may be shown: without passwords, be they values of their own or within addresses.
fn shown(key: &str, value: &Value) -> String {
    match value.as_str() {
        Some(text) if key.ends_with("password") && !text.is_empty() => toml_value(&Value::from(MASK)),
        Some(urls) if key == "redis.url" => {
            let urls: Vec<String> = urls.split(',').map(without_password).collect();
            toml_value(&Value::from(urls.join(",")))
        }
        Some(url) if key.ends_with("url") => toml_value(&Value::from(without_password(url))),
        _ => toml_value(value),
    }
}

fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return MASK.into() };
    // Passwords may hold any character where they are not escaped: up to the last `@` nothing is shown but the user.
    match rest.rsplit_once('@') {
        Some((login, host)) => {
            let user = login.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}:{MASK}@{host}")
        }
        None => url.into(),
    }
}

/// A value as it is written in a TOML file.
fn toml_value(value: &Value) -> String {
    match toml::Value::try_from(value) {
        Ok(value) => value.to_string(),
        Err(_) => format!("{value:?}"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::{LogFormat, StoreKind};

    fn flags(flags: &[(&str, &str)]) -> Sources {
        let flag = |(key, value): &(&str, &str)| (key.to_string(), value.to_string(), format!("--{key}"));
        Sources { flags: flags.iter().map(flag).collect(), ..Sources::default() }
    }

    fn environment(variables: &[(&str, &str)]) -> Sources {
        let variable = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
        Sources { environment: variables.iter().map(variable).collect(), ..Sources::default() }
    }

    fn problems(sources: Sources) -> Vec<String> {
        sources.resolve().unwrap_err().iter().map(Problem::to_string).collect()
    }

    #[test]
    fn without_a_word_from_anybody_the_defaults_hold() {
        let resolved = Sources::default().resolve().unwrap();
        assert_eq!(resolved.config, Config::default());
        assert!(resolved.settings.values().all(|setting| setting.source == "default"));
    }

    #[test]
    fn the_profiles_and_the_example_of_an_environment_are_good() {
        let deploy = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let example = fs::read_to_string(deploy.join(".env.example")).unwrap();
        let variables: Vec<(&str, &str)> = example
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
            .map(|line| line.split_once('=').unwrap())
            .collect();
        assert!(variables.len() > 3);
        for (profile, kind) in [
            ("development", StoreKind::Embedded),
            ("staging", StoreKind::Redis),
            ("production", StoreKind::Redis),
        ] {
            let file = deploy.join(format!("deploy/profiles/{profile}.toml"));
            let resolved = Sources { file: Some(file), ..environment(&variables) }.resolve();
            let config = resolved.unwrap_or_else(|problems| panic!("{profile}: {problems:?}")).config;
            assert_eq!(config.store.kind, kind);
            assert_eq!(config.redis.url, "redis://redis:6379", "what is in the environment counts");
        }
    }

    #[test]
    fn flags_outweigh_the_environment_which_outweighs_the_file() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("server.toml");
        fs::write(
            &file,
            "shards = 1\nheartbeat_interval_ms = 1111\n[log]\nformat = \"json\"\nlevel = \"warn\"",
        )
        .unwrap();
        let sources = Sources {
            file: Some(file.clone()),
            environment: environment(&[("ENFILADE_SHARDS", "2"), ("ENFILADE_LOG__LEVEL", "debug")])
                .environment,
            flags: flags(&[("shards", "3")]).flags,
        };
        let resolved = sources.resolve().unwrap();
        let config = &resolved.config;
        assert_eq!((config.shards, config.heartbeat_interval_ms), (3, 1_111));
        assert_eq!((config.log.format, config.log.level.as_str()), (LogFormat::Json, "debug"));
        let source = |key: &str| resolved.settings[key].source.clone();
        assert_eq!(source("shards"), "--shards");
        assert_eq!(source("log.level"), "ENFILADE_LOG__LEVEL");
        assert_eq!(source("log.format"), file.display().to_string());
        assert_eq!(source("listen"), "default");
    }

    #[test]
    fn what_is_printed_is_a_file_that_says_the_same() {
        let said =
            flags(&[("cors.origins", "[https://example.org]"), ("data_dir", "007"), ("listen", "[::1]:80")]);
        let resolved = said.resolve().unwrap();
        assert_eq!(resolved.config.data_dir, PathBuf::from("007"));
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("printed.toml");
        fs::write(&file, resolved.to_toml()).unwrap();
        assert!(resolved.to_toml().contains("# --data_dir"), "{}", resolved.to_toml());
        let again = Sources { file: Some(file), ..Sources::default() }.resolve().unwrap();
        assert_eq!(again.config, resolved.config);
    }

    #[test]
    fn unknown_keys_are_errors_that_name_the_nearest() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("server.toml");
        fs::write(&file, "lisen = \"127.0.0.1:1\"\n[limit]\nconnections = 5\n[guests]\nalowed = true\nx = 1")
            .unwrap();
        let found = problems(Sources { file: Some(file), ..environment(&[("ENFILADE_LOG_LEVEL", "info")]) });
        assert_eq!(found.len(), 5, "{found:#?}");
        for hint in ["`listen`", "`limits.connections`", "`guests.allowed`", "ENFILADE_LOG__LEVEL"] {
            assert!(
                found.iter().any(|problem| problem.contains(&format!("did you mean {hint}?"))),
                "{hint} {found:#?}"
            );
        }
        assert!(found.iter().any(|problem| problem.contains("no key `guests.x`")), "{found:#?}");
    }

    #[test]
    fn values_of_the_wrong_kind_are_named_with_their_source() {
        let found = problems(flags(&[
            ("listen", "somewhere"),
            ("shards", "many"),
            ("guests.allowed", "perhaps"),
            ("log.format", "xml"),
            ("limits.connections", "-1"),
            ("log", "info"),
        ]));
        assert_eq!(found.len(), 6, "{found:#?}");
        assert!(found[0].starts_with("--listen: listen can't be \"somewhere\""), "{}", found[0]);
        assert!(found[0].contains("127.0.0.1:7700"), "{}", found[0]);
        assert!(found[3].contains("human"), "{}", found[3]);
        assert!(found[5].contains("group of keys"), "{}", found[5]);
    }

    #[test]
    fn values_out_of_range_are_named_with_what_they_may_be() {
        let found = problems(flags(&[
            ("limits.frame_bytes", "10"),
            ("reconnect.max_ms", "100"),
            ("guests.lifetime_days", "0"),
            ("log.level", "a=b=c"),
            ("cors.origins", "[\"*\"]"),
            ("data_dir", ""),
        ]));
        assert_eq!(found.len(), 6, "{found:#?}");
        for key in [
            "limits.frame_bytes is 10",
            "reconnect.max_ms is 100",
            "log.level is",
            "cors.origins is",
            "data_dir is",
        ] {
            assert!(found.iter().any(|problem| problem.contains(key)), "{key} {found:#?}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        let url = "mongodb://ann:se:c@ret@host:1/x";
        let shown = flags(&[("mongodb.url", url)]).resolve().unwrap().to_toml();
        assert!(shown.contains("\"mongodb://ann:***@host:1/x\"") && !shown.contains("c@ret"), "{shown}");
        let found = problems(flags(&[("mongodb.url", "http://ann:secret@host"), ("mongodb.pool_size", "0")]));
        assert_eq!(found.len(), 2, "{found:#?}");
        assert!(!found.iter().any(|problem| problem.contains("secret")), "{found:#?}");
        assert!(found.iter().any(|problem| problem.contains("mongodb://user:password@host")), "{found:#?}");
    }

    #[test]
    fn what_events_need_is_checked_and_its_passwords_are_not_shown() {
        let said = flags(&[("kafka.password", "hush"), ("events.streams_url", "redis://me:hush@host:1/0")]);
        let shown = said.resolve().unwrap().to_toml();
        assert!(shown.contains("redis://me:***@host:1/0") && !shown.contains("hush"), "{shown}");
        let found = problems(flags(&[
            ("events.kind", "rabbit"),
            ("events.batch_entries", "0"),
            ("kafka.brokers", "somewhere"),
            ("kafka.topic", "a b"),
            ("kafka.properties", "[\"x\"]"),
        ]));
        assert!(found.iter().any(|problem| problem.contains("redis_streams")), "{found:#?}");
        assert!(found.iter().any(|problem| problem.contains("host:9092")), "{found:#?}");
        assert_eq!(found.len(), 5, "{found:#?}");
    }

    #[test]
    fn a_file_that_is_named_must_be_there_and_be_toml() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("server.toml");
        let found = problems(Sources { file: Some(file.clone()), ..Sources::default() });
        assert!(found[0].contains("server.toml") && found[0].contains("can't be read"), "{found:?}");
        fs::write(&file, "listen = = 3").unwrap();
        let found = problems(Sources { file: Some(file), ..Sources::default() });
        assert!(found[0].contains("server.toml") && found[0].contains("line 1"), "{found:?}");
    }

    #[test]
    fn passwords_are_not_printed() {
        let said = flags(&[
            ("redis.url", "rediss://ann:secret@a:1/0,redis://:secret@b:2,redis://c:3"),
            ("redis.sentinel_password", "secret"),
            ("redis.mode", "cluster"),
        ]);
        let printed = said.resolve().unwrap().to_toml();
        assert!(!printed.contains("secret\"") && !printed.contains(":secret"), "{printed}");
        assert!(printed.contains("rediss://ann:***@a:1/0,redis://:***@b:2,redis://c:3"), "{printed}");
        let found = problems(flags(&[("redis.url", "http://ann:secret@a")]));
        assert!(found[0].contains("http://ann:***@a"), "{found:?}");
    }

    #[test]
    fn the_common_name_of_an_address_is_known_and_ours_outweighs_it() {
        let common = ("REDIS_URL", "redis://common:1");
        let config = environment(&[common]).resolve().unwrap().config;
        assert_eq!(config.redis.url, "redis://common:1");
        let both = environment(&[("ENFILADE_REDIS__URL", "redis://ours:1"), common]);
        assert_eq!(both.resolve().unwrap().config.redis.url, "redis://ours:1");
    }

    #[test]
    fn variables_of_other_programs_do_not_matter() {
        let sources =
            environment(&[("PATH", "/bin"), ("HOME", ""), (FILE_VARIABLE, "x.toml"), ("enfilade_x", "1")]);
        assert_eq!(sources.resolve().unwrap().config, Config::default());
    }
}

//! The repository's own rules, checked on every run: who may depend on whom, which names are not used, what the core
//! does without, and that the documents tell the truth.

#![allow(clippy::unwrap_used, reason = "a test that can't read the repository has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use enfilade_proto::Code;
use serde_json::Value;

/// What crosses crates sees all of them.
const SEES_ALL: &[&str] = &["enfilade-tests", "enfilade-peers", "enfilade-faults"];

/// Which of our crates each other crate may use.
const MAY_USE: &[(&str, &[&str])] = &[
    ("enfilade-proto", &["enfilade-proto-derive"]),
    ("enfilade-proto-derive", &[]),
    ("enfilade-core", &["enfilade-proto"]),
    ("enfilade-wasm-testing", &["enfilade-core"]),
    ("enfilade-wasm-module", &["enfilade-wasm"]),
    ("enfilade-wasm", &["enfilade-conformance", "enfilade-core", "enfilade-proto"]),
    ("enfilade-ffi", &["enfilade-conformance", "enfilade-core", "enfilade-proto"]),
    ("enfilade-conformance", &["enfilade-core"]),
    // The backends are for its tests alone.
    ("enfilade-server", &["enfilade-backends", "enfilade-core", "enfilade-proto"]),
    ("enfilade-backends", &[]),
    ("enfilade-peers", &["enfilade-proto"]),
    ("enfilade-merge", &["enfilade-core"]),
    ("enfilade-studies", &["enfilade-core"]),
    ("enfilade-wasm-bindgen", &[]),
    ("enfilade-uniffi-bindgen", &[]),
];

/// Names that say nothing about what a thing does.
const EMPTY_NAMES: &[&str] = &["manager", "helper", "helpers", "util", "utils"];

/// A name that the API was asked for by its users' requirements.
const GIVEN_NAME: &str = "useRoomStateManager";

/// Words that the core must not say outside its tests, and why.
const NOT_IN_CORE: &[(&str, &str)] = &[
    ("std", "the core is no_std"),
    ("Instant", "time is handed in"),
    ("SystemTime", "time is handed in"),
    ("HashMap", "its order differs between runs"),
    ("HashSet", "its order differs between runs"),
    ("f32", "floats differ between platforms"),
    ("f64", "floats differ between platforms"),
    ("target_arch", "the core is the same everywhere"),
    ("target_os", "the core is the same everywhere"),
    ("target_family", "the core is the same everywhere"),
    ("wasm_bindgen", "bindings are thin, and elsewhere"),
    ("uniffi", "bindings are thin, and elsewhere"),
];

/// A longer file has a second story in it.
const MAX_LINES: usize = 600;

/// Files that are one story all the same, and why.
const LONG_FILES: &[(&str, &str)] = &[];

const SOURCE: &[&str] = &["rs", "ts", "tsx", "mts", "mjs", "js", "kt", "swift", "css", "proto", "sh"];

#[test]
fn dependencies_point_one_way() {
    let packages = workspace_packages();
    let ours: BTreeSet<&str> = packages.iter().map(|package| package["name"].as_str().unwrap()).collect();
    let mut wrong = Vec::new();
    for package in &packages {
        let name = package["name"].as_str().unwrap();
        if SEES_ALL.contains(&name) {
            continue;
        }
        let Some((_, allowed)) = MAY_USE.iter().find(|(crate_name, _)| *crate_name == name) else {
            wrong.push(format!("{name} is new: say in tests/tidy.rs what it may use"));
            continue;
        };
        for dependency in package["dependencies"].as_array().unwrap() {
            let used = dependency["name"].as_str().unwrap();
            if ours.contains(used) && !allowed.contains(&used) {
                wrong.push(format!("{name} must not use {used}"));
            }
        }
    }
    assert_none(wrong);
}

#[test]
fn the_demo_uses_the_npm_package_like_anybody_else() {
    let mut wrong = Vec::new();
    for path in files().filter(|path| path.starts_with("web-demo")).filter(|path| is_source(path)) {
        for specifier in quoted_after_import(&read(&path)) {
            let outside = specifier.starts_with('.') && !resolve(&path, &specifier).starts_with("web-demo");
            if outside || specifier.contains("enfilade_wasm") || specifier.contains("/dist/") {
                wrong.push(format!("{} imports {specifier}", path.display()));
            }
        }
    }
    assert_none(wrong);
}

#[test]
fn every_npm_script_of_ours_runs_without_packages() {
    let mut wrong = Vec::new();
    for path in files().filter(|path| path.starts_with("scripts") && extension(path) == "mjs") {
        for specifier in quoted_after_import(&read(&path)) {
            if !specifier.starts_with('.') && !specifier.starts_with("node:") {
                wrong.push(format!("{} imports {specifier}", path.display()));
            }
        }
    }
    assert_none(wrong);
}

#[test]
fn names_say_what_a_thing_does() {
    let mut wrong = Vec::new();
    for path in files().filter(|path| is_source(path)) {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        if is_empty_name(stem) {
            wrong.push(format!("{}: the file's name", path.display()));
        }
        for line in read(&path).lines() {
            if let Some(name) = declared_name(line).filter(|name| is_empty_name(name)) {
                wrong.push(format!("{}: {name}", path.display()));
            }
        }
    }
    assert_none(wrong);
}

#[test]
fn the_core_is_the_same_on_every_platform() {
    let lib = read("core/src/lib.rs".as_ref());
    assert!(lib.contains("#![no_std]"), "core/src/lib.rs must say #![no_std]");
    assert!(lib.contains("#![forbid(unsafe_code)]"), "core/src/lib.rs must say #![forbid(unsafe_code)]");
    let mut wrong = Vec::new();
    for path in files().filter(|path| path.starts_with("core/src") && extension(path) == "rs") {
        if path.file_stem().is_some_and(|stem| stem == "tests") || path.iter().any(|part| part == "tests") {
            continue;
        }
        let text = read(&path);
        for (number, line) in code_lines(&text) {
            for (word, why) in NOT_IN_CORE {
                if words(line).any(|found| found == *word) {
                    wrong.push(format!("{}:{number} says {word}, but {why}", path.display()));
                }
            }
        }
    }
    assert_none(wrong);
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let mut wrong = Vec::new();
    for package in workspace_packages() {
        let manifest = PathBuf::from(package["manifest_path"].as_str().unwrap());
        // uniffi generates unsafe code into this crate, which the workspace forbids.
        if package["name"] == "enfilade-ffi" {
            continue;
        }
        if !fs::read_to_string(&manifest).unwrap().contains("[lints]\nworkspace = true") {
            wrong.push(manifest.display().to_string());
        }
    }
    assert_none(wrong);
}

#[test]
fn a_file_tells_one_story() {
    let mut wrong = Vec::new();
    for path in files().filter(|path| is_source(path)) {
        let lines = read(&path).lines().count();
        let allowed = LONG_FILES.iter().any(|(long, _)| Path::new(long) == path);
        if lines > MAX_LINES && !allowed {
            wrong.push(format!("{} has {lines} lines, the limit is {MAX_LINES}", path.display()));
        }
        if lines <= MAX_LINES && allowed {
            wrong.push(format!("{} is short now: take it off the list of long files", path.display()));
        }
    }
    assert_none(wrong);
}

#[test]
fn documents_name_commands_that_exist() {
    let package: Value = serde_json::from_str(&read("package.json".as_ref())).unwrap();
    let stages = read("scripts/test.mjs".as_ref());
    let crates: Vec<Value> = workspace_packages();
    let mut wrong = Vec::new();
    for path in files().filter(|path| path.components().count() == 1 && extension(path) == "md") {
        let text = read(&path);
        let mut complain = |what: String| wrong.push(format!("{}: {what}", path.display()));
        for line in text.lines() {
            for command in line.split('`').flat_map(|part| part.split("&&")).map(str::trim) {
                let words: Vec<&str> = command.split_whitespace().collect();
                match words.as_slice() {
                    ["npm", "test", "--", stage, ..]
                        if !stage.starts_with("--")
                            && !is_placeholder(stage)
                            && !stages.contains(&format!("name: \"{stage}\"")) =>
                    {
                        complain(format!("no stage {stage}"));
                    }
                    ["npm", script @ ("start" | "test"), ..] | ["npm", "run", script, ..] => {
                        let elsewhere = words.contains(&"-w");
                        if package["scripts"][*script].is_null() && !elsewhere {
                            complain(format!("no npm script {script}"));
                        }
                    }
                    ["node", script, ..] if script.ends_with("js") && !root().join(script).exists() => {
                        complain(format!("no file {script}"));
                    }
                    ["cargo", rest @ ..] => {
                        let named = rest.windows(2).filter(|pair| pair[0] == "-p").map(|pair| pair[1]);
                        for name in
                            named.filter(|name| !crates.iter().any(|package| package["name"] == *name))
                        {
                            complain(format!("no crate {name}"));
                        }
                    }
                    _ => {}
                }
            }
        }
    }
    assert_none(wrong);
}

#[test]
fn documents_link_to_files_that_exist() {
    let mut wrong = Vec::new();
    for path in files().filter(|path| extension(path) == "md") {
        for target in read(&path).split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            // A path of Rust's is a link that rustdoc checks.
            let elsewhere = ["://", "mailto:", "::"].iter().any(|mark| target.contains(mark));
            let local = !target.is_empty() && !elsewhere;
            if local && !root().join(resolve(&path, target)).exists() {
                wrong.push(format!("{} links to {target}", path.display()));
            }
        }
    }
    assert_none(wrong);
}

#[test]
fn nothing_is_left_over_in_the_files() {
    // Put together here, so that this file does not find itself.
    let left_over = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("arti", "factory"),
        concat!("<<<<", "<<<"),
    ];
    let mut wrong = Vec::new();
    for path in files() {
        let Ok(text) = fs::read_to_string(root().join(&path)) else { continue };
        for (index, line) in text.lines().enumerate() {
            for word in left_over.iter().filter(|word| line.contains(*word)) {
                wrong.push(format!("{}:{} has {word}", path.display(), index + 1));
            }
        }
    }
    assert_none(wrong);
}

#[test]
fn locks_name_public_registries_alone() {
    let cargo = read("Cargo.lock".as_ref());
    let npm = read("package-lock.json".as_ref());
    let sources = cargo.lines().filter_map(|line| line.strip_prefix("source = "));
    let elsewhere = sources.filter(|source| !source.contains("github.com/rust-lang/crates.io-index"));
    let resolved = npm.lines().filter_map(|line| line.trim().strip_prefix("\"resolved\": "));
    // What the workspace itself holds is resolved to its folder.
    let strangers =
        resolved.filter(|url| url.contains("://") && !url.starts_with("\"https://registry.npmjs.org/"));
    assert_none(elsewhere.chain(strangers).map(str::to_string).collect());
}

#[test]
fn every_code_is_in_the_list_for_typescript() {
    let list = read("wasm/ts/codes.ts".as_ref());
    let entry = |code: &Code| {
        let number = format!("code: {},", code.number());
        let start = list.find(&format!("\n  {}: {{", code.name()))?;
        let end = start + list[start..].find('}')?;
        list[start..end].contains(&number).then_some(())
    };
    assert_none(Code::ALL.iter().filter(|code| entry(code).is_none()).map(Code::to_string).collect());
}

#[test]
fn every_test_that_crosses_crates_is_run() {
    let packages = workspace_packages();
    let tests = packages.iter().find(|package| package["name"] == "enfilade-tests").unwrap();
    let registered: Vec<&str> = tests["targets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|target| target["src_path"].as_str().unwrap())
        .collect();
    let forgotten = files()
        .filter(|path| path.parent() == Some("tests".as_ref()) && extension(path) == "rs")
        .map(|path| root().join(path).display().to_string())
        .filter(|path| !registered.contains(&path.as_str()));
    assert_none(forgotten.map(|path| format!("{path} is no [[test]] of tests/Cargo.toml")).collect());
}

#[test]
fn ci_runs_npm_test_and_nothing_of_its_own() {
    let script = read(".ci/run".as_ref());
    let commands: Vec<&str> =
        script.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::trim).collect();
    assert_eq!(commands, ["set -euo pipefail", "cd \"$(dirname \"$0\")/..\"", "exec npm test </dev/null"]);
}

fn assert_none(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn read(path: &Path) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file that is committed or could be: paths from the root.
fn files() -> impl Iterator<Item = PathBuf> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(listed.status.success(), "git can't list the files: {}", String::from_utf8_lossy(&listed.stderr));
    let text = String::from_utf8(listed.stdout).unwrap();
    let paths: BTreeSet<PathBuf> = text.split_terminator('\0').map(PathBuf::from).collect();
    paths.into_iter().filter(|path| root().join(path).is_file())
}

fn workspace_packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|extension| extension.to_str()).unwrap_or_default()
}

fn is_source(path: &Path) -> bool {
    SOURCE.contains(&extension(path))
}

fn is_placeholder(word: &str) -> bool {
    word.chars().all(|letter| !letter.is_lowercase())
}

/// The path that `target`, written in `file`, means.
fn resolve(file: &Path, target: &str) -> PathBuf {
    let mut path = file.parent().unwrap().to_path_buf();
    for part in Path::new(target).components() {
        match part {
            Component::ParentDir if path.pop() => {}
            Component::ParentDir => path.push("outside"),
            Component::CurDir => {}
            other => path.push(other),
        }
    }
    path
}

/// What JavaScript or CSS imports: the strings after `from`, `import`, `import(` and `@import`.
fn quoted_after_import(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for keyword in ["from", "import"] {
        for (index, _) in text.match_indices(keyword) {
            // A method of that name imports nothing.
            if text[..index].ends_with('.') {
                continue;
            }
            let rest = text[index + keyword.len()..].trim_start_matches([' ', '(']);
            let Some(quote) = rest.chars().next().filter(|first| matches!(first, '"' | '\'')) else {
                continue;
            };
            found.extend(rest[1..].split(quote).next().map(str::to_string));
        }
    }
    found
}

/// The name that a line of Rust, TypeScript or Kotlin declares, if it declares a type, a function or a module.
fn declared_name(line: &str) -> Option<&str> {
    const KEYWORDS: &[&str] =
        &["struct", "enum", "trait", "type", "class", "interface", "object", "mod", "fn", "function", "fun"];
    let mut rest = words(line);
    rest.find(|word| KEYWORDS.contains(word))?;
    rest.next()
}

fn is_empty_name(name: &str) -> bool {
    if name == GIVEN_NAME {
        return false;
    }
    let lower = name.to_lowercase();
    EMPTY_NAMES.iter().any(|empty| {
        let Some(before) = lower.strip_suffix(empty) else { return false };
        let begins_a_word = name[before.len()..].starts_with(char::is_uppercase);
        before.is_empty() || before.ends_with(['_', '-', '.']) || begins_a_word
    })
}

/// The lines of a Rust file without comments, up to its tests.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
        .map(|(index, line)| (index + 1, line.split("//").next().unwrap_or_default()))
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|letter: char| !letter.is_alphanumeric() && letter != '_').filter(|word| !word.is_empty())
}

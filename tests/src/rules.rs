//! The questions in `tests/vectors/rules`: how they are read and written.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// A question about a rule, and its answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// What it shows.
    pub name: String,
    /// The question.
    pub input: Box<RawValue>,
    /// The answer. Missing only until `make-vectors` has filled it in.
    #[serde(default, deserialize_with = "there")]
    pub output: Option<Value>,
}

/// An answer that is there may be `null`.
fn there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl Question {
    /// Answers it.
    ///
    /// # Errors
    /// What is wrong with the question.
    pub fn answer(&mut self, kind: &str) -> Result<(), String> {
        let answer = enfilade_conformance::answer(kind, self.input.get())?;
        self.output = Some(serde_json::from_str(&answer).map_err(|error| error.to_string())?);
        Ok(())
    }
}

/// All files: where they lie, what kind of question they hold, and the questions.
pub fn files() -> Vec<(PathBuf, String, Vec<Question>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/rules");
    let entries = fs::read_dir(folder).expect("tests/vectors/rules is there");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let questions =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let kind = path.file_stem().and_then(|kind| kind.to_str()).unwrap_or_default().to_string();
        (path, kind, questions)
    };
    paths.into_iter().map(read).collect()
}

/// One line a field, so that a difference between two versions is read easily.
pub fn text(questions: &[Question]) -> String {
    let mut text = String::from("[");
    for (index, question) in questions.iter().enumerate() {
        let separator = if index == 0 { "" } else { "," };
        let name = Value::from(question.name.as_str());
        let output = question.output.as_ref().unwrap_or(&Value::Null);
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "{separator}\n  {{\n    \"name\": {name},\n    \"input\": {},\n    \"output\": {output}\n  }}",
            question.input.get(),
        );
    }
    text.push_str("\n]\n");
    text
}

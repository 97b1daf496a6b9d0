//! Completes new golden vectors: a case that has no `binary` yet gets it, and its JSON is written in full; a question
//! without an `output` is answered. Cases that are complete stay as they are, for they are frozen.

use std::fmt::Write as _;
use std::fs;

use enfilade_core::Code;
use enfilade_core::limits::FRAME_BYTES;
use enfilade_core::wire::{binary, json};
use enfilade_tests::rules::{self, Question};
use enfilade_tests::vectors::{Case, Direction, files, hex};
use serde_json::value::RawValue;

fn main() {
    for (path, mut cases) in files() {
        let fresh: Vec<&mut Case> = cases.iter_mut().filter(|case| case.binary.is_none()).collect();
        if fresh.is_empty() {
            continue;
        }
        println!("{}: {} new", path.display(), fresh.len());
        for case in fresh {
            complete(case).unwrap_or_else(|code| panic!("{}: {}: {code}", path.display(), case.name));
        }
        fs::write(&path, text(&cases)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    for (path, kind, mut questions) in rules::files() {
        let fresh: Vec<&mut Question> =
            questions.iter_mut().filter(|question| question.output.is_none()).collect();
        if fresh.is_empty() {
            continue;
        }
        println!("{}: {} new", path.display(), fresh.len());
        for question in fresh {
            question
                .answer(&kind)
                .unwrap_or_else(|problem| panic!("{}: {}: {problem}", path.display(), question.name));
        }
        fs::write(&path, rules::text(&questions))
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

fn complete(case: &mut Case) -> Result<(), Code> {
    let text = case.json.get().as_bytes();
    let (json, binary) = match case.direction {
        Direction::Client => {
            let frame = json::decode_client(text, FRAME_BYTES)?;
            (json::encode_client(&frame), binary::encode_client(&frame))
        }
        Direction::Server => {
            let frame = json::decode_server(text, FRAME_BYTES)?;
            (json::encode_server(&frame), binary::encode_server(&frame))
        }
    };
    let json = String::from_utf8(json).map_err(|_| Code::Malformed)?;
    case.json = RawValue::from_string(json).map_err(|_| Code::Malformed)?;
    case.binary = Some(hex(&binary));
    Ok(())
}

/// One line a field, so that a difference between two versions is read easily.
fn text(cases: &[Case]) -> String {
    let mut text = String::from("[");
    for (index, case) in cases.iter().enumerate() {
        let direction = match case.direction {
            Direction::Client => "client",
            Direction::Server => "server",
        };
        let separator = if index == 0 { "" } else { "," };
        let name = serde_json::Value::from(case.name.as_str());
        let json = case.json.get();
        let binary = case.binary.as_deref().unwrap_or_default();
        let decode_only = if case.decode_only { ",\n    \"decode_only\": true" } else { "" };
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "{separator}\n  {{\n    \"name\": {name},\n    \"direction\": \"{direction}\",\n    \"json\": {json},\n    \
             \"binary\": \"{binary}\"{decode_only}\n  }}",
        );
    }
    text.push_str("\n]\n");
    text
}

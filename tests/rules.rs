//! Holds the core against the questions in `tests/vectors/rules`: what a rule said once, it says for ever.

#![allow(clippy::unwrap_used, reason = "a vector that can't be read is a failure")]

use std::collections::BTreeSet;

use enfilade_tests::{rules, vectors};
use serde_json::Value;

#[test]
fn every_question_is_answered_as_it_stands() {
    for (path, kind, questions) in rules::files() {
        for question in questions {
            let place = format!("{}: {}", path.display(), question.name);
            let answer = enfilade_conformance::answer(&kind, question.input.get());
            let answer: Value = serde_json::from_str(&answer.expect(&place)).unwrap();
            let expected = question
                .output
                .expect("cargo run -p enfilade-tests --bin make-vectors answers new questions");
            assert_eq!(answer, expected, "{place}");
        }
    }
}

#[test]
fn every_kind_has_a_file_and_every_question_a_name_of_its_own() {
    let kinds: BTreeSet<String> = enfilade_conformance::kinds().map(String::from).collect();
    let files: BTreeSet<String> = rules::files().into_iter().map(|(_, kind, _)| kind).collect();
    assert_eq!(files, kinds);
    for (path, _, questions) in rules::files() {
        let names: BTreeSet<&str> = questions.iter().map(|question| question.name.as_str()).collect();
        assert_eq!(names.len(), questions.len(), "{}", path.display());
        assert!(!names.is_empty(), "{}", path.display());
    }
}

#[test]
fn the_pack_has_at_least_four_hundred_cases() {
    let frames: usize = vectors::files().iter().map(|(_, cases)| cases.len()).sum();
    let questions: usize = rules::files().iter().map(|(.., questions)| questions.len()).sum();
    assert!(frames + vectors::bad().len() + questions >= 400, "{frames} frames, {questions} questions");
}

#[test]
fn a_question_of_the_wrong_shape_is_an_error_and_no_panic() {
    for kind in enfilade_conformance::kinds() {
        for input in ["", "null", "[]", "{}", "{\"room\":7}", "{\"room\":\"a b\"}", "{\"entries\":[1]}"] {
            let _ = enfilade_conformance::answer(kind, input);
        }
    }
    assert!(enfilade_conformance::answer("no such kind", "{}").is_err());
}

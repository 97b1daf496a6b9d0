//! The questions of the golden vectors, answered by the core as it runs in a browser.

#![allow(missing_docs, clippy::unwrap_used, reason = "a vector that can't be read is a failure")]

macro_rules! files {
    ($($name:literal)*) => {
        const FILES: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../tests/vectors/rules/", $name, ".json")))),*];
    };
}

files! {
    "cache_eviction" "cache_score" "delta" "element_merge" "fold" "fractional_index" "fractional_index_heal" "hash"
    "message_digest" "packed_snapshot"
    "policy" "prediction" "room_id" "room_merge" "signal_clock" "signal_delay" "text" "tier_transition"
    "timeline_merge" "version_vector"
}

/// A browser can't list the folder.
#[cfg(not(target_arch = "wasm32"))]
#[test]
fn every_kind_of_question_is_asked_in_the_browser() {
    let asked: Vec<&str> =
        FILES.iter().map(|(name, text)| if text.is_empty() { "" } else { *name }).collect();
    let mut kinds: Vec<&str> = enfilade_conformance::kinds().collect();
    kinds.sort_unstable();
    assert_eq!(asked, kinds);
}

#[cfg(target_arch = "wasm32")]
mod browser {
    use js_sys::{Array, JSON, Reflect};
    use wasm_bindgen::{JsCast, JsValue};
    use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

    use super::FILES;

    wasm_bindgen_test_configure!(run_in_browser);

    #[wasm_bindgen_test]
    fn every_question_is_answered_as_it_stands() {
        let text = |value: &JsValue| String::from(JSON::stringify(value).unwrap());
        let mut asked = 0;
        for (kind, file) in FILES {
            let questions: Array = JSON::parse(file).unwrap().unchecked_into();
            for question in questions.iter() {
                let get = |field: &str| Reflect::get(&question, &field.into()).unwrap();
                let name = get("name").as_string().unwrap();
                let answer = enfilade_conformance::answer(kind, &text(&get("input")));
                let answer = JSON::parse(&answer.expect(&name)).unwrap();
                assert_eq!(sorted(&text(&answer)), sorted(&text(&get("output"))), "{kind}: {name}");
                asked += 1;
            }
        }
        assert!(asked > 500, "{asked} questions");
    }

    /// Objects are equal whatever the order of their keys: both are brought into one.
    fn sorted(json: &str) -> String {
        enfilade_conformance::sorted(json).unwrap()
    }
}

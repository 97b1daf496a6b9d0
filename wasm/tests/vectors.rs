//! The golden vectors, through the core as it runs in a browser. Browsers speak the binary codec alone.

#![allow(missing_docs, clippy::unwrap_used, reason = "a vector that can't be read is a failure")]

macro_rules! files {
    ($($name:literal)*) => {
        const FILES: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../tests/vectors/v1/", $name, ".json")))),*];
    };
}

files! {
    "client_heartbeat" "client_hello" "client_history" "client_room_list" "client_set_tier" "client_signal"
    "client_submit" "client_time_request" "client_token_refresh" "client_unknown"
    "server_ack" "server_advice" "server_error" "server_heartbeat" "server_history_page" "server_rejection"
    "server_room_list" "server_room_state_sync" "server_signals" "server_time_reply" "server_unknown" "server_welcome"
    "bad"
}

/// A browser can't list the folder.
#[cfg(not(target_arch = "wasm32"))]
#[test]
fn every_file_of_vectors_is_tried_in_the_browser() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/v1");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .filter_map(|file| Some(file.unwrap().file_name().to_str()?.strip_suffix(".json")?.to_string()))
        .filter(|name| name != "codes")
        .collect();
    names.sort();
    let mut tried: Vec<&str> =
        FILES.iter().map(|(name, text)| if text.is_empty() { "" } else { *name }).collect();
    tried.sort_unstable();
    assert_eq!(names, tried);
}

#[cfg(target_arch = "wasm32")]
mod browser {
    use enfilade_core::wire::binary;
    use enfilade_core::{Code, limits};
    use js_sys::{Array, JSON, Reflect};
    use wasm_bindgen::{JsCast, JsValue};
    use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

    use super::FILES;

    wasm_bindgen_test_configure!(run_in_browser);

    struct Case(JsValue);

    impl Case {
        fn get(&self, name: &str) -> JsValue {
            Reflect::get(&self.0, &name.into()).unwrap()
        }

        fn text(&self, name: &str) -> String {
            self.get(name).as_string().unwrap_or_default()
        }

        fn bytes(&self) -> Option<Vec<u8>> {
            let digits = self.get("binary").as_string()?;
            let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
            Some((0..digits.len()).step_by(2).map(byte).collect())
        }

        /// Reads the frame, and writes it again.
        fn pass_through(&self, bytes: &[u8], max: usize) -> Result<Vec<u8>, Code> {
            match self.text("direction").as_str() {
                "client" => Ok(binary::encode_client(&binary::decode_client(bytes, max)?)),
                "server" => Ok(binary::encode_server(&binary::decode_server(bytes, max)?)),
                other => panic!("no such direction: {other:?}"),
            }
        }
    }

    fn cases(only: impl Fn(&str) -> bool) -> Vec<(&'static str, Case)> {
        let of_file = |(name, text): &(&'static str, &str)| {
            let cases: Array = JSON::parse(text).unwrap().unchecked_into();
            let name = *name;
            cases.iter().map(move |case| (name, Case(case))).collect::<Vec<_>>()
        };
        FILES.iter().filter(|(name, _)| only(name)).flat_map(of_file).collect()
    }

    #[wasm_bindgen_test]
    fn every_vector_is_read_and_written_as_it_stands() {
        let cases = cases(|name| name != "bad");
        assert!(cases.len() > 80, "{} cases", cases.len());
        for (file, case) in cases {
            let bytes = case.bytes().unwrap();
            let written = case.pass_through(&bytes, limits::FRAME_BYTES);
            let decode_only = case.get("decode_only").is_truthy();
            assert_eq!(
                written.map(|written| written == bytes),
                Ok(!decode_only),
                "{file}: {}",
                case.text("name")
            );
        }
    }

    #[wasm_bindgen_test]
    fn what_is_no_frame_gets_its_code() {
        let mut tried = 0;
        for (_, case) in cases(|name| name == "bad") {
            // The others are of the JSON codec.
            let Some(bytes) = case.bytes() else { continue };
            let max = case.get("max").as_f64().map_or(limits::FRAME_BYTES, |max| max as usize);
            let code = case.pass_through(&bytes, max).err().map(Code::name);
            assert_eq!(code, Some(&*case.text("code")), "{}", case.text("name"));
            tried += 1;
        }
        assert!(tried > 30, "{tried} cases");
    }
}

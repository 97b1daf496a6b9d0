#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (enfilade_tests::fuzzing::target("trace_session").run)(bytes));

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (enfilade_tests::fuzzing::target("alone_session").run)(bytes));

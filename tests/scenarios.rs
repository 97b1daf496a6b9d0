//! Every scenario as a test of its own, and what keeps their patches true. `npm run mutations` applies the patches.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use enfilade_tests::scenarios::{ALL, scenario};

macro_rules! tests {
    ($($module:ident :: $name:ident $complaint:literal;)*) => {
        $(
            #[test]
            fn $name() {
                let scenario = scenario(stringify!($name)).expect("it is in the table");
                (scenario.run)();
            }
        )*
    };
}

enfilade_tests::scenarios!(tests);

fn patches() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("mutations")
}

#[test]
fn each_scenario_has_a_patch_that_takes_its_rule_out_and_no_patch_is_without_one() {
    let files = fs::read_dir(patches()).expect("there are patches").flatten();
    let patches: BTreeSet<String> = files
        .filter_map(|file| Some(file.file_name().to_str()?.strip_suffix(".patch")?.to_owned()))
        .collect();
    let scenarios: BTreeSet<String> = ALL.iter().map(|scenario| scenario.name.to_owned()).collect();
    assert_eq!(patches, scenarios);
}

#[test]
fn each_patch_still_applies_to_the_sources_and_leaves_the_tests_alone() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for scenario in ALL {
        let patch = patches().join(scenario.name).with_extension("patch");
        let text = fs::read_to_string(&patch).expect("a patch is text");
        let touched: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("+++ b/")).collect();
        assert!(!touched.is_empty(), "{} changes nothing", scenario.name);
        assert!(touched.iter().all(|path| path.starts_with("core/src/")), "{}: {touched:?}", scenario.name);
        let git = Command::new("git")
            .args(["apply", "--check", "--recount", "-C1"])
            .arg(&patch)
            .current_dir(&root)
            .output();
        let git = git.expect("git is there");
        assert!(git.status.success(), "{}: {}", scenario.name, String::from_utf8_lossy(&git.stderr));
    }
}

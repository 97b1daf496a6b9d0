//! Writes the seeds of one fuzz target into a folder: `make-seeds TARGET FOLDER`. Without arguments, names the targets.

use std::env;
use std::fs;
use std::path::Path;

use enfilade_tests::fuzzing::{TARGETS, target};

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [name, folder] = &arguments[..] else {
        for target in TARGETS {
            println!("{}", target.name);
        }
        return Ok(());
    };
    fs::create_dir_all(folder)?;
    for (index, seed) in (target(name).seeds)().iter().enumerate() {
        fs::write(Path::new(folder).join(format!("seed-{index}")), seed)?;
    }
    Ok(())
}

//! Generates the Kotlin and Swift bindings of a library: `generate-bindings LIBRARY CRATE_FOLDER OUT_FOLDER`.

mod status_pool;

use std::fs;

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use uniffi_bindgen::bindings::{GenerateOptions, TargetLanguage, generate_with_bindgen_paths};
use uniffi_bindgen::{BindgenPaths, BindgenPathsLayer};

fn main() -> Result<()> {
    let args: Vec<Utf8PathBuf> = std::env::args().skip(1).map(Utf8PathBuf::from).collect();
    let [library, crate_folder, out] = args.as_slice() else {
        bail!("usage: generate-bindings LIBRARY CRATE_FOLDER OUT_FOLDER");
    };
    generate(TargetLanguage::Kotlin, library, crate_folder, &out.join("kotlin"))?;
    generate(TargetLanguage::Swift, library, crate_folder, &out.join("swift"))?;
    patch_all(&out.join("kotlin"))
}

fn generate(
    language: TargetLanguage,
    library: &Utf8Path,
    crate_folder: &Utf8Path,
    out: &Utf8Path,
) -> Result<()> {
    let options = GenerateOptions {
        languages: vec![language],
        source: library.to_owned(),
        out_dir: out.to_owned(),
        ..GenerateOptions::default()
    };
    let mut paths = BindgenPaths::default();
    paths.add_layer(OneFolder(crate_folder.to_owned()));
    generate_with_bindgen_paths(options, paths).with_context(|| format!("bindings of {library} in {out}"))
}

/// Finds the settings of every crate in one folder, where cargo's metadata would take seconds to say the same.
struct OneFolder(Utf8PathBuf);

impl BindgenPathsLayer for OneFolder {
    fn get_crate_root(&self, _crate_name: &str) -> Option<Utf8PathBuf> {
        Some(self.0.clone())
    }
}

/// Applies the pool of call statuses to every Kotlin file below the folder.
fn patch_all(folder: &Utf8Path) -> Result<()> {
    for entry in folder.read_dir_utf8()? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            patch_all(entry.path())?;
        } else if entry.path().extension() == Some("kt") {
            let source = fs::read_to_string(entry.path())?;
            fs::write(entry.path(), status_pool::apply(&source).with_context(|| entry.path().to_string())?)?;
        }
    }
    Ok(())
}

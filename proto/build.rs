//! Compiles the protocol with a compiler written in Rust, so nobody has to install `protoc`.

/// Frames, what they are made of, what can be asked for, and what clients store.
const FILES: [&str; 4] = ["enfilade.proto", "room.proto", "op.proto", "stored.proto"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for file in FILES {
        println!("cargo::rerun-if-changed={file}");
    }
    let descriptors = protox::compile(FILES, ["."])?;
    prost_build::Config::new()
        // Ordered maps and sets only: an unordered one would make encodings differ between runs.
        .btree_map(["."])
        .compile_fds(descriptors)?;
    // The same traits by derives whose code is small: see `compact`.
    let path = std::path::PathBuf::from(std::env::var("OUT_DIR")?).join("enfilade.v1.rs");
    let generated = std::fs::read_to_string(&path)?
        .replace("::prost::Message)]", "Debug, Default, ::enfilade_proto::Message)]")
        .replace("::prost::Oneof)]", "Debug, ::enfilade_proto::Oneof)]");
    std::fs::write(&path, generated)?;
    Ok(())
}

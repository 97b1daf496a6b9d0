//! Compiles `enfilade.proto` with a compiler written in Rust, so nobody has to install `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=enfilade.proto");
    let descriptors = protox::compile(["enfilade.proto"], ["."])?;
    prost_build::Config::new()
        // Ordered maps and sets only: an unordered one would make encodings differ between runs.
        .btree_map(["."])
        .compile_fds(descriptors)?;
    Ok(())
}

//! Compiles the protocol with a compiler written in Rust, so nobody has to install `protoc`.

/// Frames, what they are made of, what can be asked for, and what clients store.
const FILES: [&str; 4] = ["enfilade.proto", "room.proto", "op.proto", "stored.proto"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for file in FILES {
        println!("cargo::rerun-if-changed={file}");
    }
    let descriptors = protox::compile(FILES, ["."])?;
    std::fs::write(
        std::path::PathBuf::from(std::env::var("OUT_DIR")?).join("schema.rs"),
        schema(&descriptors),
    )?;
    prost_build::Config::new()
        // Ordered maps and sets only: an unordered one would make encodings differ between runs.
        .btree_map(["."])
        .compile_fds(descriptors)?;
    if std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
        derive_small()?;
    }
    Ok(())
}

/// Where bytes are dear, the same traits by derives whose code is small: see `compact`.
fn derive_small() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::path::PathBuf::from(std::env::var("OUT_DIR")?).join("enfilade.v1.rs");
    let generated = std::fs::read_to_string(&path)?
        .replace("::prost::Message)]", "::enfilade_proto::Message)]")
        .replace("::prost::Oneof)]", "::enfilade_proto::Oneof)]");
    std::fs::write(&path, generated)?;
    Ok(())
}

/// Texts that name something: rooms, users, elements, kinds. All others are what people wrote.
const IDENTIFIERS: &[&str] = &[
    "author",
    "badges",
    "by",
    "color",
    "connection_id",
    "cursor",
    "gone",
    "id",
    "index",
    "invited",
    "key",
    "kind",
    "mentions",
    "next",
    "owner",
    "reaction",
    "room_id",
    "stream_status",
    "team",
    "teams",
    "theirs_author",
    "user",
    "users",
];

/// What is in which field of which message, as a Rust table.
fn schema(descriptors: &prost_types::FileDescriptorSet) -> String {
    let messages = descriptors.file.iter().flat_map(|file| &file.message_type);
    let table = messages.map(|message| {
        let fields = message.field.iter().map(|field| {
            let name = field.name();
            let content = match field.r#type().as_str_name() {
                "TYPE_STRING" if IDENTIFIERS.contains(&name) => "Identifier".to_string(),
                "TYPE_STRING" => "Text".to_string(),
                "TYPE_BYTES" if name == "op" => "Op".to_string(),
                "TYPE_BYTES" => "Bytes".to_string(),
                "TYPE_MESSAGE" => {
                    format!("Message({:?})", field.type_name().rsplit('.').next().unwrap_or_default())
                }
                _ if name == "state_digest" => "Digest".to_string(),
                _ => "Number".to_string(),
            };
            format!("Field {{ tag: {}, content: Content::{content} }}", field.number())
        });
        let fields = fields.collect::<Vec<_>>().join(", ");
        format!("Message {{ name: {:?}, fields: &[{fields}] }}", message.name())
    });
    format!("&[{}]", table.collect::<Vec<_>>().join(",\n"))
}

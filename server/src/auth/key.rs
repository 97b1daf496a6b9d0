use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use jsonwebtoken::{DecodingKey, EncodingKey};

use crate::folder::{DataFolder, io_error};
use crate::store::{Result, StoreError};

/// The file within the data folder.
const NAME: &str = "signing-key.pem";
/// A key file is 120 bytes; whatever is much larger isn't one.
const FILE_BYTES: u64 = 4_096;

/// The server's own Ed25519 key, in both the forms that tokens need.
pub(super) struct Key {
    /// Names the key in a token's header.
    pub(super) id: String,
    pub(super) signing: EncodingKey,
    pub(super) verifying: DecodingKey,
}

impl Key {
    /// Reads the data folder's key, and makes one where there is none (mode 0600). An existing file is never
    /// replaced, whatever is in it: all tokens would be void.
    pub(super) fn open(folder: &DataFolder) -> Result<Key> {
        match Key::read(folder.path())? {
            Some(key) => Ok(key),
            None => {
                create(folder)?;
                let gone = || unreadable(&folder.path().join(NAME), "it vanished");
                Key::read(folder.path())?.ok_or_else(gone)
            }
        }
    }

    /// Reads the folder's key, if there is one.
    pub(super) fn read(folder: &Path) -> Result<Option<Key>> {
        Key::read_file(&folder.join(NAME))
    }

    /// Reads the key in a file, if there is one.
    pub(super) fn read_file(path: &Path) -> Result<Option<Key>> {
        let failed = |error: std::io::Error| io_error(&error, path);
        let file = match fs::metadata(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        warn_of_readers(&file, path);
        if file.len() > FILE_BYTES {
            return Err(unreadable(path, "it is too large"));
        }
        let pem = fs::read_to_string(path).map_err(|error| match error.kind() {
            ErrorKind::InvalidData => unreadable(path, "it is not text"),
            _ => failed(error),
        })?;
        let key = SigningKey::from_pkcs8_pem(&pem).map_err(|error| unreadable(path, &error.to_string()))?;
        Key::new(&key).map(Some).ok_or_else(|| unreadable(path, "it can't be encoded"))
    }

    fn new(key: &SigningKey) -> Option<Key> {
        let public = key.verifying_key().to_bytes();
        let id = public.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let signing = EncodingKey::from_ed_der(key.to_pkcs8_der().ok()?.as_bytes());
        Some(Key { id, signing, verifying: DecodingKey::from_ed_der(&public) })
    }
}

/// A new key, as a key file holds it.
pub(super) fn new_pem() -> Result<String> {
    let mut seed = [0; 32];
    let unavailable = |error: String| StoreError::Unavailable(format!("no signing key can be made: {error}"));
    getrandom::fill(&mut seed).map_err(|error| unavailable(error.to_string()))?;
    let pem = SigningKey::from_bytes(&seed).to_pkcs8_pem(LineEnding::LF);
    Ok(pem.map_err(|error| unavailable(error.to_string()))?.to_string())
}

fn create(folder: &DataFolder) -> Result<()> {
    let pem = new_pem()?;
    folder.create(NAME, |path| {
        let file = fs::OpenOptions::new().write(true).open(path);
        file.and_then(|mut file| file.write_all(pem.as_bytes())).map_err(|error| io_error(&error, path))
    })?;
    tracing::info!(file = %folder.path().join(NAME).display(), "made a signing key for tokens");
    Ok(())
}

fn warn_of_readers(file: &fs::Metadata, path: &Path) {
    if file.permissions().mode() & 0o077 != 0 {
        let file = path.display();
        tracing::warn!(%file, "others can read the signing key, and with it be anybody; run: chmod 600 {file}");
    }
}

fn unreadable(path: &Path, what: &str) -> StoreError {
    StoreError::Damaged(format!(
        "the signing key {} can't be read ({what}); put a copy of it back, or move it away to have a new one made, \
         which makes all tokens void",
        path.display()
    ))
}

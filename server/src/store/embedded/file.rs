//! The store's file: made, opened, and what its errors mean.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::backends::FileBackend;
use redb::{Builder, Database, DatabaseError, ReadableDatabase};

use super::tables::{META, Tables};
use crate::folder::{DataFolder, io_error};
use crate::store::{Follower, Result, StoreError};

/// The file within the data folder.
const NAME: &str = "rooms.redb";
/// Rises when a build can't read what an older one wrote, or the reverse.
const FORMAT: u32 = 1;
const FORMAT_KEY: &str = "format";
const FOLLOWERS_KEY: &str = "followers";
const STORE_ID_KEY: &str = "store_id";
/// Files up to this size are checked whole at every start, which takes half a second; larger ones only after a crash,
/// when the file says so itself.
const CHECKED_BYTES: u64 = 128 * 1024 * 1024;

/// Where the file is, and how it is opened.
pub(super) struct StoreFile {
    folder: Arc<DataFolder>,
    path: PathBuf,
    cache_bytes: usize,
}

impl StoreFile {
    pub(super) fn new(folder: Arc<DataFolder>, cache_bytes: usize) -> StoreFile {
        let path = folder.path().join(NAME);
        StoreFile { folder, path, cache_bytes }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes that the server's user may still write to the disk.
    pub(super) fn free_bytes(&self) -> u64 {
        // A folder that can't be asked shows its trouble when it is written.
        rustix::fs::statvfs(self.folder.path())
            .map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// Opens the file, and makes it where there is none. An existing file is never replaced, whatever is in it.
    pub(super) fn open(&self) -> Result<Database> {
        match std::fs::metadata(&self.path) {
            Ok(existing) => self.open_existing(existing.len()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                self.create()?;
                self.open_existing(0)
            }
            Err(error) => Err(io_error(&error, &self.path)),
        }
    }

    fn create(&self) -> Result<()> {
        self.folder.create(NAME, |path| {
            let failed = |error: redb::Error| self.error(error);
            let file = std::fs::File::options().read(true).write(true).open(path);
            let backend = FileBackend::new(file.map_err(|error| io_error(&error, path))?);
            let database = self.builder().create_with_backend(backend.map_err(|error| failed(error.into()))?);
            let database = database.map_err(|error| failed(error.into()))?;
            describe(&database).map_err(failed)?;
            database.close().map_err(|error| failed(error.into()))
        })
    }

    fn open_existing(&self, size: u64) -> Result<Database> {
        if size == 0 && std::fs::metadata(&self.path).is_ok_and(|file| file.len() == 0) {
            return Err(self.damaged("it is empty"));
        }
        let mut builder = self.builder();
        if size <= CHECKED_BYTES {
            builder.set_check_integrity_on_open(true);
        } else {
            builder.set_repair_callback(|repair| {
                let percent = (repair.progress() * 100.0) as u32;
                tracing::info!(percent, "the store was not closed; it is checked before it is used");
            });
        }
        // The library promises errors for what it checks; for the rest, a panic is as good a message.
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let database = builder.open(&self.path)?;
            let format = format(&database)?;
            Ok::<_, redb::Error>((database, format))
        }));
        match opened {
            Ok(Ok((database, FORMAT))) => Ok(database),
            Ok(Ok((_, format))) => Err(StoreError::Inaccessible(format!(
                "{} has the format {format}, and this server reads {FORMAT}; start the version that wrote it",
                self.path.display()
            ))),
            Ok(Err(error)) => Err(self.error(error)),
            Err(_) => Err(self.damaged("reading it failed")),
        }
    }

    fn builder(&self) -> Builder {
        let mut builder = Builder::new();
        builder.set_cache_size(self.cache_bytes);
        builder
    }

    /// What an error of the library means.
    pub(super) fn error(&self, error: redb::Error) -> StoreError {
        match error {
            redb::Error::Io(error) => match error.kind() {
                std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof => {
                    self.damaged(&error.to_string())
                }
                _ => io_error(&error, &self.path),
            },
            redb::Error::DatabaseAlreadyOpen => StoreError::Locked(format!(
                "{} is in use by another process; stop that one, or give this server another folder with --data-dir",
                self.path.display()
            )),
            redb::Error::Corrupted(what) => self.damaged(&what),
            redb::Error::TableTypeMismatch { .. }
            | redb::Error::TableIsMultimap(_)
            | redb::Error::TableIsNotMultimap(_)
            | redb::Error::TypeDefinitionChanged { .. }
            | redb::Error::TableDoesNotExist(_)
            | redb::Error::UpgradeRequired(_)
            | redb::Error::RepairAborted => self.damaged(&error.to_string()),
            other => StoreError::Unavailable(format!("{} does not answer: {other}", self.path.display())),
        }
    }

    pub(super) fn damaged(&self, what: &str) -> StoreError {
        StoreError::Damaged(format!(
            "{} is damaged ({what}); it was left as it is: put a copy of it in its place, or move it away to start \
             with an empty store",
            self.path.display()
        ))
    }
}

/// Writes what a new file says about itself, and makes its tables.
fn describe(database: &Database) -> std::result::Result<(), redb::Error> {
    let mut store_id = [0; 16];
    getrandom::fill(&mut store_id).map_err(|error| redb::Error::Io(std::io::Error::other(error)))?;
    let transaction = database.begin_write()?;
    {
        let mut meta = transaction.open_table(META)?;
        meta.insert(FORMAT_KEY, FORMAT.to_le_bytes().as_slice())?;
        meta.insert(STORE_ID_KEY, store_id.as_slice())?;
        Tables::open(&transaction)?;
    }
    transaction.commit()?;
    Ok(())
}

/// Notes who follows. Whoever did not until now finds every room on the worklist; whoever does not any more finds, when
/// it comes back, every room again.
pub(super) fn admit(database: &Database, followers: &[Follower]) -> std::result::Result<(), redb::Error> {
    let names = |followers: &[Follower]| {
        followers.iter().map(|follower| follower.name()).collect::<Vec<_>>().join(" ")
    };
    let known = {
        let meta = database.begin_read()?.open_table(META)?;
        let row = meta.get(FOLLOWERS_KEY)?;
        row.map(|row| String::from_utf8_lossy(row.value()).into_owned()).unwrap_or_default()
    };
    if known == names(followers) {
        return Ok(());
    }
    let transaction = database.begin_write()?;
    {
        let mut tables = Tables::open(&transaction)?;
        for follower in followers {
            if !known.split(' ').any(|name| name == follower.name()) {
                tables.list_all(*follower)?;
            }
        }
        let mut meta = transaction.open_table(META)?;
        meta.insert(FOLLOWERS_KEY, names(followers).as_bytes())?;
    }
    transaction.commit()?;
    Ok(())
}

fn format(database: &Database) -> std::result::Result<u32, redb::Error> {
    let meta = database.begin_read()?.open_table(META)?;
    let row = meta.get(FORMAT_KEY)?;
    let format = row.and_then(|row| row.value().try_into().ok()).map(u32::from_le_bytes);
    format.ok_or_else(|| redb::Error::Corrupted("it does not say which format it has".into()))
}

/// Closes a file whose state no longer matters.
pub(super) fn discard(database: Database) {
    match database.close() {
        Ok(()) | Err(DatabaseError::Storage(_)) => {}
        Err(error) => tracing::warn!(%error, "the store's file did not close"),
    }
}

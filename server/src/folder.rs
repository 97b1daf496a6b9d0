//! The data folder: one process at a time, and messages for whatever may be the matter with it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::store::{Result, StoreError};

/// Held by the process that uses the folder; holds its process id, for the message to others.
const LOCK_FILE: &str = "lock";

/// A process that has just been started by the one before holds its files for a moment, until it is another program.
const PATIENCE: Duration = Duration::from_millis(200);

/// The folder in which the server keeps its store and its signing key, locked for as long as this lives.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    _lock: File,
}

impl DataFolder {
    /// Locks the folder, and makes it where there is none (for its user alone: mode 0700).
    ///
    /// [`StoreError::Locked`] when another process has it, [`StoreError::Inaccessible`] when it can't be written.
    pub fn open(path: &Path) -> Result<DataFolder> {
        let failed = |error| io_error(&error, path);
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let path = path.canonicalize().map_err(failed)?;
        let failed = |error| io_error(&error, &path);
        let mut lock =
            private_file().create(true).truncate(false).open(path.join(LOCK_FILE)).map_err(failed)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(PATIENCE / 10)
                }
                Err(TryLockError::WouldBlock) => return Err(locked(&path, &mut lock)),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
        // On a full disk the number can't be written; the lock holds all the same.
        let _ = lock.set_len(0).and_then(|()| lock.write_all(std::process::id().to_string().as_bytes()));
        Ok(DataFolder { path, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts a file into the folder in one step: after a crash it is there whole, or not at all. `write` gets the open
    /// file (mode 0600) and the path that it has until then. A file of that name must not exist.
    pub(crate) fn create<T>(
        &self,
        name: &str,
        write: impl FnOnce(&Path) -> std::result::Result<T, StoreError>,
    ) -> Result<T> {
        let unfinished = self.path.join(format!("{name}.new"));
        let failed = |error: io::Error| io_error(&error, &unfinished);
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let file = private_file().create_new(true).open(&unfinished).map_err(failed)?;
        let written = write(&unfinished)?;
        file.sync_all().map_err(failed)?;
        fs::rename(&unfinished, self.path.join(name)).map_err(failed)?;
        File::open(&self.path).and_then(|folder| folder.sync_all()).map_err(failed)?;
        Ok(written)
    }
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

fn locked(path: &Path, lock: &mut File) -> StoreError {
    let mut holder = String::new();
    // The number is a courtesy; without it the message is still right.
    let _ = lock.rewind().and_then(|()| lock.take(20).read_to_string(&mut holder));
    let holder = if holder.is_empty() { String::new() } else { format!(" (process {holder})") };
    StoreError::Locked(format!(
        "the data folder {} is in use by another server{holder}; stop that one, or give this one another folder with \
         --data-dir",
        path.display()
    ))
}

/// What an input or output error on a file of the folder means to the operator.
pub(crate) fn io_error(error: &io::Error, path: &Path) -> StoreError {
    let path = path.display();
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            StoreError::Full(format!(
                "there is no space left for {path} ({error}); free some, and the server goes on by itself; nothing that \
             was acknowledged is lost"
            ))
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => StoreError::Inaccessible(format!(
            "{path} can't be written ({error}); give the server's user the right to write there, or choose another \
             folder with --data-dir"
        )),
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => StoreError::Inaccessible(format!(
            "{path} is no folder ({error}); choose another with --data-dir, or move away what is in its place"
        )),
        _ => StoreError::Unavailable(format!("{path} can't be read or written ({error}); look at the disk")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_process_is_told_who_has_the_folder() {
        let place = tempfile::tempdir().unwrap();
        let first = DataFolder::open(place.path()).unwrap();
        let second = DataFolder::open(place.path()).unwrap_err();
        assert!(matches!(second, StoreError::Locked(_)));
        let message = second.to_string();
        assert!(message.contains(&format!("(process {})", std::process::id())), "{message}");
        assert!(message.contains("--data-dir"), "{message}");
        drop(first);
        DataFolder::open(place.path()).unwrap();
    }

    #[test]
    fn a_file_in_place_of_the_folder_is_named_and_left_alone() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("taken");
        fs::write(&file, "mine").unwrap();
        for path in [file.clone(), file.join("below")] {
            let error = DataFolder::open(&path).unwrap_err();
            assert!(matches!(error, StoreError::Inaccessible(_)), "{error:?}");
            assert!(error.to_string().contains("taken"), "{error}");
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    }

    #[test]
    fn an_unfinished_file_is_never_seen_under_its_name() {
        let place = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(place.path()).unwrap();
        let failed = folder.create::<()>("thing", |path| {
            fs::write(path, "half").unwrap();
            Err(StoreError::Overloaded)
        });
        assert_eq!(failed, Err(StoreError::Overloaded));
        assert!(!place.path().join("thing").exists());
        folder.create("thing", |path| fs::write(path, "whole").map_err(|e| io_error(&e, path))).unwrap();
        assert_eq!(fs::read_to_string(place.path().join("thing")).unwrap(), "whole");
    }
}

//! The file: records that name each other by their sums.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use prost::Message;
use xxhash_rust::xxh64::xxh64;

use super::{Result, TransferError};

const MAGIC: &[u8; 8] = b"ENFILADE";
/// Rises when an older version could not read the file any more.
const VERSION: u32 = 1;
/// A record: a snapshot at its largest, with room around it.
const RECORD_BYTES: usize = 32 * 1024 * 1024;

#[derive(Clone, PartialEq, Message)]
pub(super) struct Room {
    #[prost(string, tag = "1")]
    pub(super) room_id: String,
    #[prost(uint64, tag = "2")]
    pub(super) epoch: u64,
    #[prost(uint64, tag = "3")]
    pub(super) head: u64,
    #[prost(uint64, tag = "4")]
    pub(super) snapshot_seq: u64,
    #[prost(bytes = "bytes", tag = "5")]
    pub(super) snapshot: Bytes,
    #[prost(bytes = "bytes", tag = "6")]
    pub(super) summary: Bytes,
    #[prost(uint64, tag = "7")]
    pub(super) first: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Entries {
    #[prost(uint64, tag = "1")]
    pub(super) first: u64,
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub(super) entries: Vec<Bytes>,
    #[prost(message, repeated, tag = "3")]
    pub(super) amended: Vec<Amended>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Amended {
    #[prost(uint64, tag = "1")]
    pub(super) seq: u64,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) message: Bytes,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct RoomEnd {
    #[prost(uint64, tag = "1")]
    pub(super) entries: u64,
    #[prost(uint64, tag = "2")]
    pub(super) chain: u64,
    #[prost(uint64, tag = "3")]
    pub(super) registers: u64,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct FileEnd {
    #[prost(uint64, tag = "1")]
    pub(super) rooms: u64,
    #[prost(uint64, tag = "2")]
    pub(super) entries: u64,
}

/// One record.
#[derive(Debug, PartialEq)]
pub(super) enum Record {
    Room(Room),
    Entries(Entries),
    RoomEnd(RoomEnd),
    FileEnd(FileEnd),
}

impl Record {
    fn kind(&self) -> u8 {
        match self {
            Record::Room(_) => 1,
            Record::Entries(_) => 2,
            Record::RoomEnd(_) => 3,
            Record::FileEnd(_) => 4,
        }
    }

    fn encode(&self) -> Vec<u8> {
        match self {
            Record::Room(message) => message.encode_to_vec(),
            Record::Entries(message) => message.encode_to_vec(),
            Record::RoomEnd(message) => message.encode_to_vec(),
            Record::FileEnd(message) => message.encode_to_vec(),
        }
    }

    fn decode(kind: u8, payload: Vec<u8>) -> Option<Record> {
        let payload = Bytes::from(payload);
        match kind {
            1 => Room::decode(payload).ok().map(Record::Room),
            2 => Entries::decode(payload).ok().map(Record::Entries),
            3 => RoomEnd::decode(payload).ok().map(Record::RoomEnd),
            4 => FileEnd::decode(payload).ok().map(Record::FileEnd),
            _ => None,
        }
    }
}

/// The sum of a record that follows one with the sum `before`.
fn sum(kind: u8, payload: &[u8], before: u64) -> u64 {
    xxh64(payload, before ^ u64::from(kind))
}

/// Writes a file, record by record.
pub(super) struct Writer {
    path: PathBuf,
    file: BufWriter<File>,
    sum: u64,
}

impl Writer {
    /// Begins a file.
    pub(super) fn create(path: &Path) -> Result<Writer> {
        let failed = |error| TransferError::File(path.into(), error);
        let mut file = File::options().write(true).create_new(true).open(path).map_err(failed)?;
        file.write_all(MAGIC).and_then(|()| file.write_all(&VERSION.to_le_bytes())).map_err(failed)?;
        Ok(Writer { path: path.into(), file: BufWriter::new(file), sum: 0 })
    }

    /// Goes on in a file that is good up to a mark; what comes after it is dropped.
    pub(super) fn resume(path: &Path, mark: Mark) -> Result<Writer> {
        let failed = |error| TransferError::File(path.into(), error);
        let mut file = File::options().write(true).open(path).map_err(failed)?;
        file.set_len(mark.bytes).and_then(|()| file.seek(SeekFrom::End(0))).map_err(failed)?;
        Ok(Writer { path: path.into(), file: BufWriter::new(file), sum: mark.sum })
    }

    pub(super) fn write(&mut self, record: &Record) -> Result<()> {
        let (kind, payload) = (record.kind(), record.encode());
        let length = u32::try_from(payload.len()).ok().filter(|length| *length as usize <= RECORD_BYTES);
        let Some(length) = length else {
            let why = format!("a record of {} bytes is above the limit of {RECORD_BYTES}", payload.len());
            return Err(TransferError::Refused(self.path.clone(), why));
        };
        self.sum = sum(kind, &payload, self.sum);
        let parts: [&[u8]; 4] = [&[kind], &length.to_le_bytes(), &payload, &self.sum.to_le_bytes()];
        let written = parts.into_iter().try_for_each(|part| self.file.write_all(part));
        written.map_err(|error| TransferError::File(self.path.clone(), error))
    }

    /// Everything is on disk when this returns.
    pub(super) fn sync(&mut self) -> Result<()> {
        let synced = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        synced.map_err(|error| TransferError::File(self.path.clone(), error))
    }
}

/// A place in a file, between two records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Bytes before it.
    pub(super) bytes: u64,
    sum: u64,
}

/// Reads a file, record by record.
pub(super) struct Reader {
    path: PathBuf,
    file: BufReader<File>,
    mark: Mark,
}

impl Reader {
    pub(super) fn open(path: &Path) -> Result<Reader> {
        let failed = |error| TransferError::File(path.into(), error);
        let mut file = BufReader::new(File::open(path).map_err(failed)?);
        let mut header = [0; 12];
        let refused = |why: &str| Err(TransferError::Refused(path.into(), why.into()));
        match file.read_exact(&mut header) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                return refused("it is too short for a file that `enfilade export` has made");
            }
            read => read.map_err(failed)?,
        }
        let (magic, version) = header.split_at(MAGIC.len());
        if magic != MAGIC {
            return refused("`enfilade export` has not made it");
        }
        let version = version.try_into().map_or(0, u32::from_le_bytes);
        if version > VERSION {
            return refused(&format!(
                "it is of version {version}, and this program reads up to {VERSION}; take a newer program"
            ));
        }
        Ok(Reader { path: path.into(), file, mark: Mark { bytes: header.len() as u64, sum: 0 } })
    }

    /// Where the next record begins.
    pub(super) fn mark(&self) -> Mark {
        self.mark
    }

    /// How many bytes there are in all.
    pub(super) fn size(&self) -> u64 {
        self.file.get_ref().metadata().map_or(0, |metadata| metadata.len())
    }

    /// The next record; `None` at the end of the file, which is damage unless the last record was [`Record::FileEnd`].
    pub(super) fn next(&mut self) -> Result<Option<Record>> {
        let mut head = [0; 5];
        let read = read_up_to(&mut self.file, &mut head).map_err(|error| self.failed(error))?;
        if read == 0 {
            return Ok(None);
        }
        if read < head.len() {
            return Err(self.truncated());
        }
        let [kind, length @ ..] = head;
        let length = u32::from_le_bytes(length) as usize;
        if length > RECORD_BYTES {
            return Err(self.damaged());
        }
        let mut payload = vec![0; length];
        let mut stored = [0; 8];
        for part in [&mut payload[..], &mut stored] {
            match self.file.read_exact(part) {
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Err(self.truncated()),
                read => read.map_err(|error| self.failed(error))?,
            }
        }
        let sum = sum(kind, &payload, self.mark.sum);
        if sum != u64::from_le_bytes(stored) {
            return Err(self.damaged());
        }
        let Some(record) = Record::decode(kind, payload) else { return Err(self.damaged()) };
        self.mark = Mark { bytes: self.mark.bytes + (head.len() + length + stored.len()) as u64, sum };
        Ok(Some(record))
    }

    pub(super) fn refused(&self, why: String) -> TransferError {
        TransferError::Refused(self.path.clone(), why)
    }

    pub(super) fn truncated(&self) -> TransferError {
        self.refused(format!(
            "it is truncated: it ends at byte {} before the export was complete; export again, or copy it again",
            self.size()
        ))
    }

    pub(super) fn damaged(&self) -> TransferError {
        self.refused(format!(
            "it is damaged: the record at byte {} is not what was written; copy it again, or take another backup",
            self.mark.bytes
        ))
    }

    fn failed(&self, error: io::Error) -> TransferError {
        TransferError::File(self.path.clone(), error)
    }
}

/// Fills the buffer as far as the file goes.
fn read_up_to(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

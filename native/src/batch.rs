//! The fixed part of a record batch, and the walk over the batches of one partition's bytes.

use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::PyErr;

use crate::varint::Flaw;

/// Bytes before the first record.
pub const OVERHEAD: usize = 61;
/// Bytes that the length field does not count: base offset and the length itself.
pub const LENGTH_END: usize = 12;
/// Up to and with the magic byte, which says how to read the rest.
const MAGIC_END: usize = 17;
/// The checksum covers everything from here on.
pub const CRC_END: usize = 21;

pub const COMPRESSION_MASK: u8 = 0x07;
const LOG_APPEND_TIME: u8 = 0x08;
pub const TRANSACTIONAL: u8 = 0x10;
const CONTROL: u8 = 0x20;

/// Bytes that are no record batch, and where; or a batch that holds more than it may.
pub enum Corrupt {
    Damaged(String),
    TooLarge(String),
}

impl From<Corrupt> for PyErr {
    fn from(corrupt: Corrupt) -> PyErr {
        match corrupt {
            Corrupt::Damaged(what) => PyValueError::new_err(what),
            Corrupt::TooLarge(what) => PyOverflowError::new_err(what),
        }
    }
}

pub fn corrupt(offset: i64, what: &str) -> Corrupt {
    Corrupt::Damaged(format!("cannot decode the record batch at offset {offset}: {what}"))
}

/// Says that a batch holds more than `bytes_max`, which is what it may.
pub fn too_large(offset: i64, codec: &str, bytes_max: usize) -> Corrupt {
    Corrupt::TooLarge(format!(
        "cannot decode the record batch at offset {offset}: {codec}: it holds more than {bytes_max} bytes, which is \
         more than one fetch may bring (fetch.max.bytes), and 16 times its compressed size"
    ))
}

pub struct Batch<'a> {
    pub base_offset: i64,
    pub last_offset: i64,
    pub attributes: u8,
    pub base_timestamp: i64,
    pub max_timestamp: i64,
    pub producer_id: i64,
    pub count: usize,
    crc: u32,
    checked: &'a [u8],
    /// The records, compressed if the attributes say so.
    pub records: &'a [u8],
}

impl Batch<'_> {
    pub fn last_offset_delta(&self) -> i64 {
        self.last_offset - self.base_offset
    }

    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    pub fn has_log_append_time(&self) -> bool {
        self.attributes & LOG_APPEND_TIME != 0
    }

    pub fn verify(&self) -> Result<(), Corrupt> {
        let found = crc32c::crc32c(self.checked);
        if found == self.crc {
            return Ok(());
        }
        let what = format!("its checksum is {found:08x}, and {:08x} was written", self.crc);
        Err(corrupt(self.base_offset, &what))
    }

    pub fn corrupt(&self, what: Flaw) -> Corrupt {
        corrupt(self.base_offset, what)
    }
}

/// Walks over complete batches; one that is cut off ends the walk, as a fetch may cut the last one.
pub struct Batches<'a> {
    rest: &'a [u8],
    next_offset: i64,
}

impl<'a> Batches<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Batches { rest: data, next_offset: 0 }
    }

    /// Checks and returns the next batch, the checksum and what it covers aside; None at the end.
    pub fn next(&mut self) -> Result<Option<Batch<'a>>, Corrupt> {
        let Some(start) = self.rest.first_chunk::<MAGIC_END>() else { return Ok(None) };
        let base_offset = i64::from_be_bytes(field(start, 0));
        let magic = start[16];
        if magic != 2 {
            let what = if magic < 2 {
                format!("its format is {magic}, which Kafka 4 no longer has; only format 2 is read")
            } else {
                format!("its format is {magic}, and only format 2 is known")
            };
            return Err(corrupt(base_offset, &what));
        }
        let length = i32::from_be_bytes(field(start, 8));
        let size = usize::try_from(length).unwrap_or(0) + LENGTH_END;
        if size < OVERHEAD {
            return Err(corrupt(base_offset, &format!("its length {length} is too small for a batch")));
        }
        let Some((bytes, rest)) = self.rest.split_at_checked(size) else { return Ok(None) };
        let batch = parse(bytes, base_offset)?;
        if base_offset < self.next_offset {
            let what = format!("the batch before it reaches to offset {}", self.next_offset - 1);
            return Err(corrupt(base_offset, &what));
        }
        self.next_offset = batch.last_offset + 1;
        self.rest = rest;
        Ok(Some(batch))
    }
}

#[inline(always)]
fn field<const LENGTH: usize>(bytes: &[u8], at: usize) -> [u8; LENGTH] {
    let mut field = [0; LENGTH];
    field.copy_from_slice(&bytes[at..at + LENGTH]);
    field
}

fn parse(bytes: &[u8], base_offset: i64) -> Result<Batch<'_>, Corrupt> {
    let last_delta = i32::from_be_bytes(field(bytes, 23));
    let count = i32::from_be_bytes(field(bytes, 57));
    // The last offset plus one must be a number too: it is the next position.
    let last_offset = base_offset.checked_add(i64::from(last_delta)).filter(|&last| last < i64::MAX);
    let (Some(last_offset), true) = (last_offset, base_offset >= 0 && last_delta >= 0) else {
        return Err(corrupt(base_offset, &format!("its last offset is {last_delta} behind its first")));
    };
    let Ok(count) = usize::try_from(count) else {
        return Err(corrupt(base_offset, &format!("it claims {count} records")));
    };
    Ok(Batch {
        base_offset,
        last_offset,
        attributes: bytes[22],
        base_timestamp: i64::from_be_bytes(field(bytes, 27)),
        max_timestamp: i64::from_be_bytes(field(bytes, 35)),
        producer_id: i64::from_be_bytes(field(bytes, 43)),
        count,
        crc: u32::from_be_bytes(field(bytes, 17)),
        checked: &bytes[CRC_END..],
        records: &bytes[OVERHEAD..],
    })
}

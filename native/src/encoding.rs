//! Columns of Python objects to one record batch, as Java's producer writes it.

use std::cell::RefCell;

use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt, PyList, PyString, PyTuple};

use crate::batch::{COMPRESSION_MASK, CRC_END, LENGTH_END, OVERHEAD, TRANSACTIONAL};
use crate::columns::{bytes_or_none, rows, text_or_bytes};
use crate::compression::{compress, Codec};
use crate::varint::{size, zigzag, Numbers};

/// Below this many bytes, asking for the GIL again may cost more than is won.
const DETACH_BYTES_MIN: usize = 64 * 1024;

/// A thread keeps its buffer up to this size. Memory fresh from the system costs as much as the encoding: 0.07 µs a record of
/// 110 bytes, measured on batches of 700 KB.
const KEPT_BYTES_MAX: usize = 8 << 20;

thread_local! {
    static KEPT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What is said of the batch as a whole.
pub struct Attributes {
    pub codec: Codec,
    pub level: Option<i32>,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub is_transactional: bool,
}

pub struct Columns<'a, 'py> {
    pub keys: &'a Bound<'py, PyAny>,
    pub values: &'a Bound<'py, PyAny>,
    pub timestamps: &'a Bound<'py, PyAny>,
    pub headers: Option<&'a Bound<'py, PyAny>>,
}

/// The rows as they are written: uncompressed bytes behind room for the fixed part.
struct Written {
    bytes: Vec<u8>,
    count: usize,
    base_timestamp: i64,
    max_timestamp: i64,
}

#[inline(always)]
fn timestamp_of(item: &Bound<'_, PyAny>, row: usize) -> PyResult<i64> {
    if !item.is_instance_of::<PyInt>() {
        return Err(PyTypeError::new_err(format!("the timestamp of row {row} is no int")));
    }
    let timestamp: i64 = item.extract()?;
    // -1 stands for none in the format; Java refuses every other negative timestamp, too.
    if timestamp < -1 {
        return Err(PyValueError::new_err(format!(
            "the timestamp of row {row} is {timestamp}, which is negative"
        )));
    }
    Ok(timestamp)
}

fn nullable_size(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |bytes| size(zigzag(bytes.len() as i64)) + bytes.len())
}

fn push_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    let mut numbers = Numbers::new();
    numbers.push_varint(zigzag(bytes.map_or(-1, |bytes| bytes.len() as i64)));
    out.extend_from_slice(numbers.as_slice());
    out.extend_from_slice(bytes.unwrap_or_default());
}

/// Writes the headers of one row to `out`; nothing for none.
#[inline(never)]
fn push_headers(out: &mut Vec<u8>, headers: &Bound<'_, PyAny>, row: usize) -> PyResult<usize> {
    let refused =
        || PyTypeError::new_err(format!("the headers of row {row} are no tuple of (name, value) pairs"));
    let listed;
    let headers = if let Ok(tuple) = headers.cast::<PyTuple>() {
        tuple
    } else if let Ok(list) = headers.cast::<PyList>() {
        listed = list.to_tuple();
        &listed
    } else {
        return Err(refused());
    };
    for header in headers.iter() {
        let pair = header.cast::<PyTuple>().map_err(|_| refused())?;
        if pair.len() != 2 {
            return Err(refused());
        }
        let (name, value) = (pair.get_item(0)?, pair.get_item(1)?);
        let name = name.cast::<PyString>().map_err(|_| refused())?;
        push_nullable(out, Some(name.to_str()?.as_bytes()));
        push_nullable(out, bytes_or_none(&value, "header value", row)?);
    }
    Ok(headers.len())
}

fn write(columns: &Columns<'_, '_>, start: usize, bytes_max: usize) -> PyResult<Written> {
    let (keys, values, timestamps) = (rows(columns.keys)?, rows(columns.values)?, rows(columns.timestamps)?);
    let headers = columns.headers.map(rows).transpose()?;
    let end = keys.len();
    if values.len() != end
        || timestamps.len() != end
        || headers.as_ref().is_some_and(|list| list.len() != end)
    {
        return Err(PyValueError::new_err("the columns of a batch have different lengths"));
    }
    if start >= end {
        return Err(PyValueError::new_err(format!("no row {start}: the columns have {end}")));
    }
    let mut bytes = KEPT.take();
    bytes.clear();
    let mut header_bytes: Vec<u8> = Vec::new();
    let (mut base_timestamp, mut max_timestamp) = (0, -1);
    let mut row = start;
    while row < end {
        // A row's objects are held while its bytes are read: no other code runs in between, and nothing is borrowed.
        let timestamp = timestamp_of(&timestamps.get_item(row)?, row)?;
        let (key, value) = (keys.get_item(row)?, values.get_item(row)?);
        let (key, value) = (text_or_bytes(&key, "key", row)?, text_or_bytes(&value, "value", row)?);
        header_bytes.clear();
        let header_count = match &headers {
            None => 0,
            Some(list) => {
                let headers = list.get_item(row)?;
                if headers.is_none() {
                    0
                } else {
                    push_headers(&mut header_bytes, &headers, row)?
                }
            }
        };
        if row == start {
            base_timestamp = timestamp;
            let guess = nullable_size(key) + nullable_size(value) + header_bytes.len() + 16;
            bytes.reserve(guess.saturating_mul(end - start).min(bytes_max).max(guess) + OVERHEAD);
            bytes.resize(OVERHEAD, 0);
        }
        let (timestamp_raw, offset_raw) = (zigzag(timestamp - base_timestamp), zigzag((row - start) as i64));
        let headers_raw = zigzag(header_count as i64);
        let body = 1
            + size(timestamp_raw)
            + size(offset_raw)
            + nullable_size(key)
            + nullable_size(value)
            + size(headers_raw)
            + header_bytes.len();
        let body_raw = zigzag(body as i64);
        let total = bytes.len() + size(body_raw) + body;
        if total > bytes_max && row > start {
            break;
        }
        if total > i32::MAX as usize {
            return Err(PyOverflowError::new_err(format!("row {row} is larger than a batch may be, 2 GiB")));
        }
        let mut numbers = Numbers::new();
        numbers.push_varint(body_raw);
        numbers.push(0);
        numbers.push_varint(timestamp_raw);
        numbers.push_varint(offset_raw);
        numbers.push_varint(zigzag(key.map_or(-1, |key| key.len() as i64)));
        bytes.extend_from_slice(numbers.as_slice());
        bytes.extend_from_slice(key.unwrap_or_default());
        push_nullable(&mut bytes, value);
        let mut numbers = Numbers::new();
        numbers.push_varint(headers_raw);
        bytes.extend_from_slice(numbers.as_slice());
        bytes.extend_from_slice(&header_bytes);
        max_timestamp = max_timestamp.max(timestamp);
        row += 1;
    }
    Ok(Written { bytes, count: row - start, base_timestamp, max_timestamp })
}

/// Fills the fixed part in. Base offset and leader epoch are the broker's to say.
fn seal(bytes: &mut [u8], written: &Written, attributes: &Attributes) {
    let transactional = if attributes.is_transactional { TRANSACTIONAL } else { 0 };
    let count = written.count as i32;
    let length = (bytes.len() - LENGTH_END) as i32;
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    bytes[12..16].copy_from_slice(&(-1_i32).to_be_bytes());
    bytes[16] = 2;
    bytes[22] = (attributes.codec.id() & COMPRESSION_MASK) | transactional;
    bytes[23..27].copy_from_slice(&(count - 1).to_be_bytes());
    bytes[27..35].copy_from_slice(&written.base_timestamp.to_be_bytes());
    bytes[35..43].copy_from_slice(&written.max_timestamp.to_be_bytes());
    bytes[43..51].copy_from_slice(&attributes.producer_id.to_be_bytes());
    bytes[51..53].copy_from_slice(&attributes.producer_epoch.to_be_bytes());
    bytes[53..57].copy_from_slice(&attributes.base_sequence.to_be_bytes());
    bytes[57..61].copy_from_slice(&count.to_be_bytes());
    let crc = crc32c::crc32c(&bytes[CRC_END..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
}

pub fn encode<'py>(
    py: Python<'py>,
    columns: &Columns<'_, 'py>,
    start: usize,
    bytes_max: usize,
    attributes: &Attributes,
) -> PyResult<(Bound<'py, PyBytes>, usize)> {
    // What cannot be compressed grows by the frames around it: 10 bytes in 32 KiB at worst, and once at most 31.
    let room = if attributes.codec == Codec::None { 0 } else { bytes_max / 1000 + 64 };
    let mut written = write(columns, start, bytes_max.saturating_sub(room).min(i32::MAX as usize))?;
    let end = start + written.count;
    let mut bytes = std::mem::take(&mut written.bytes);
    if attributes.codec == Codec::None {
        seal(&mut bytes, &written, attributes);
        let batch = PyBytes::new(py, &bytes);
        keep(bytes);
        return Ok((batch, end));
    }
    let payload = &bytes[OVERHEAD..];
    let run = || {
        let mut out = vec![0; OVERHEAD];
        compress(attributes.codec, attributes.level, payload, &mut out).map(|()| out)
    };
    let compressed = if payload.len() < DETACH_BYTES_MIN { run() } else { py.detach(run) };
    keep(bytes);
    let mut bytes = compressed.map_err(|what| {
        PyValueError::new_err(format!("cannot compress a batch with {}: {what}", attributes.codec.name()))
    })?;
    seal(&mut bytes, &written, attributes);
    Ok((PyBytes::new(py, &bytes), end))
}

fn keep(bytes: Vec<u8>) {
    if bytes.capacity() <= KEPT_BYTES_MAX {
        KEPT.set(bytes);
    }
}

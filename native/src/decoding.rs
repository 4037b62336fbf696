//! One partition's bytes to columns: of keys and values as slices, of timestamps and headers as Python objects.

use std::collections::HashSet;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyRange, PyString, PyTuple};

use crate::batch::{corrupt, too_large, Batch, Batches, Corrupt, COMPRESSION_MASK};
use crate::compression::{Codec, Decompressor, Refusal};
use crate::slices::{Column, Held};
use crate::varint::{byte, nullable_length, take, varint, varlong, Flaw};

/// The smallest record: its length, attributes, two deltas, two nulls and the number of headers, a byte each.
const RECORD_BYTES_MIN: usize = 7;
/// Whatever is asked for, one batch may always hold so much, or so many times its compressed size: text shrinks to a tenth.
const EXPANSION_BYTES_MIN: usize = 1 << 20;
const EXPANSION_MAX: usize = 16;
/// Below this many compressed bytes, asking for the GIL again may cost more than is won.
const DETACH_BYTES_MIN: usize = 64 * 1024;
/// Header names that are remembered: a topic has a handful of them, and comparing beats making a string.
const NAMES_MAX: usize = 16;

/// The offsets seen so far: a range until one is missing.
enum Offsets {
    Range { first: i64, end: i64 },
    List(Vec<i64>),
}

impl Offsets {
    #[inline(always)]
    fn push(&mut self, offset: i64) {
        match self {
            Offsets::Range { end, .. } if *end == offset => *end += 1,
            Offsets::List(list) => list.push(offset),
            Offsets::Range { first, end } if *first == *end => {
                *first = offset;
                *end = offset + 1;
            }
            Offsets::Range { first, end } => {
                let mut list: Vec<i64> = (*first..*end).collect();
                list.push(offset);
                *self = Offsets::List(list);
            }
        }
    }
}

type Row<'py> = Bound<'py, PyAny>;

struct Decoder<'py> {
    py: Python<'py>,
    offsets: Offsets,
    timestamps: Vec<Row<'py>>,
    held: Held,
    headers: Option<Vec<Row<'py>>>,
    none: Row<'py>,
    no_headers: Row<'py>,
    names: Vec<(Vec<u8>, Bound<'py, PyString>)>,
    last_timestamp: Option<(i64, Row<'py>)>,
}

/// What one record says, still as bytes.
struct Record<'a> {
    offset_delta: i32,
    timestamp_delta: i64,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    headers: usize,
    rest: &'a [u8],
}

#[inline(always)]
fn nullable<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Flaw> {
    match nullable_length(rest)? {
        None => Ok(None),
        Some(length) => Ok(Some(take(rest, length)?)),
    }
}

#[inline(always)]
fn record<'a>(payload: &mut &'a [u8]) -> Result<Record<'a>, Flaw> {
    let length = usize::try_from(varint(payload)?).map_err(|_| "it has a negative length")?;
    let mut rest = take(payload, length)?;
    byte(&mut rest)?; // attributes, of which none is in use
    let timestamp_delta = varlong(&mut rest)?;
    let offset_delta = varint(&mut rest)?;
    let key = nullable(&mut rest)?;
    let value = nullable(&mut rest)?;
    let headers = usize::try_from(varint(&mut rest)?).map_err(|_| "it has a negative number of headers")?;
    if headers == 0 && !rest.is_empty() {
        return Err("it is longer than its fields");
    }
    Ok(Record { offset_delta, timestamp_delta, key, value, headers, rest })
}

/// How far a batch is read: what is before `skipped` is of records that nobody wants.
struct Walk<'a> {
    payload: &'a [u8],
    rest: &'a [u8],
    skipped: usize,
    previous_delta: i32,
}

impl<'py> Decoder<'py> {
    fn new(py: Python<'py>, fetch_offset: i64) -> Self {
        Decoder {
            py,
            offsets: Offsets::Range { first: fetch_offset, end: fetch_offset },
            timestamps: Vec::new(),
            held: Held::default(),
            headers: None,
            none: py.None().into_bound(py),
            no_headers: PyTuple::empty(py).into_any(),
            names: Vec::new(),
            last_timestamp: None,
        }
    }

    /// Adds the records of a batch from `fetch_offset` on.
    fn add(&mut self, batch: &Batch<'_>, payload: &[u8], fetch_offset: i64) -> Result<(), Corrupt> {
        let plausible = batch.count.min(payload.len() / RECORD_BYTES_MIN);
        self.timestamps.reserve(plausible);
        self.held.reserve(plausible);
        if let Some(headers) = &mut self.headers {
            headers.reserve(plausible);
        }
        let mut walk = Walk { payload, rest: payload, skipped: 0, previous_delta: -1 };
        for index in 0..batch.count {
            self.add_record(batch, &mut walk, fetch_offset).map_err(|flaw| {
                crate::batch::corrupt(
                    batch.base_offset,
                    &format!("record {index} of {}: {flaw}", batch.count),
                )
            })?;
        }
        if walk.rest.is_empty() {
            self.held.take(&payload[walk.skipped..]);
            return Ok(());
        }
        Err(crate::batch::corrupt(
            batch.base_offset,
            &format!("{} bytes follow its {} records", walk.rest.len(), batch.count),
        ))
    }

    #[inline(always)]
    fn add_record(&mut self, batch: &Batch<'_>, walk: &mut Walk<'_>, fetch_offset: i64) -> Result<(), Flaw> {
        let record = record(&mut walk.rest)?;
        if record.offset_delta <= walk.previous_delta
            || i64::from(record.offset_delta) > batch.last_offset_delta()
        {
            return Err("its offset is out of order");
        }
        walk.previous_delta = record.offset_delta;
        let offset = batch.base_offset + i64::from(record.offset_delta);
        let headers = if record.headers == 0 { None } else { Some(self.headers_of(&record)?) };
        if offset < fetch_offset {
            walk.skipped = walk.payload.len() - walk.rest.len();
            return Ok(());
        }
        let timestamp = if batch.has_log_append_time() {
            batch.max_timestamp
        } else {
            batch
                .base_timestamp
                .checked_add(record.timestamp_delta)
                .ok_or("its timestamp has more than 64 bits")?
        };
        self.offsets.push(offset);
        let timestamp = self.timestamp(timestamp);
        self.timestamps.push(timestamp);
        self.held.push(walk.payload, walk.skipped, record.key, record.value);
        if let Some(headers) = headers {
            // The rows before the first one that has headers have none.
            let (rows, no_headers) = (self.held.rows() - 1, &self.no_headers);
            self.headers.get_or_insert_with(|| vec![no_headers.clone(); rows]).push(headers);
        } else if let Some(all) = &mut self.headers {
            all.push(self.no_headers.clone());
        }
        Ok(())
    }

    /// Makes an integer, or takes the last one again: records of one burst often share their millisecond.
    #[inline(always)]
    fn timestamp(&mut self, timestamp: i64) -> Row<'py> {
        match &self.last_timestamp {
            Some((last, object)) if *last == timestamp => object.clone(),
            _ => {
                let Ok(object) = timestamp.into_pyobject(self.py);
                let object = object.into_any();
                self.last_timestamp = Some((timestamp, object.clone()));
                object
            }
        }
    }

    #[inline(never)]
    fn headers_of(&mut self, record: &Record<'_>) -> Result<Row<'py>, Flaw> {
        let mut rest = record.rest;
        if record.headers > rest.len() / 2 {
            return Err("it has more headers than bytes for them");
        }
        let mut headers = Vec::with_capacity(record.headers);
        for _ in 0..record.headers {
            let length =
                usize::try_from(varint(&mut rest)?).map_err(|_| "a header's name has a negative length")?;
            let name = take(&mut rest, length)?;
            let value = nullable(&mut rest)?;
            let value = match value {
                None => self.none.clone(),
                Some(bytes) => PyBytes::new(self.py, bytes).into_any(),
            };
            let name = self.name(name).into_any();
            headers.push(
                PyTuple::new(self.py, [name, value]).map_err(|_| "its headers do not fit into memory")?,
            );
        }
        if !rest.is_empty() {
            return Err("it is longer than its fields");
        }
        let headers = PyTuple::new(self.py, headers).map_err(|_| "its headers do not fit into memory")?;
        Ok(headers.into_any())
    }

    /// Turns a header's name to text; malformed UTF-8 is replaced, as Java does, so that it stops nobody.
    fn name(&mut self, bytes: &[u8]) -> Bound<'py, PyString> {
        if let Some((_, name)) = self.names.iter().find(|(known, _)| known == bytes) {
            return name.clone();
        }
        let name = PyString::new(self.py, &String::from_utf8_lossy(bytes));
        if self.names.len() < NAMES_MAX {
            self.names.push((bytes.to_vec(), name.clone()));
        }
        name
    }
}

/// Which producers' transactions are aborted at the walk's present place.
struct Aborted {
    /// (first offset, producer id), the lowest offset last.
    waiting: Vec<(i64, i64)>,
    open: HashSet<i64>,
}

impl Aborted {
    fn new(aborted: Vec<(i64, i64)>) -> Self {
        let mut waiting: Vec<(i64, i64)> =
            aborted.into_iter().map(|(producer, first)| (first, producer)).collect();
        waiting.sort_unstable_by(|left, right| right.cmp(left));
        Aborted { waiting, open: HashSet::new() }
    }

    /// Says whether a data batch belongs to an aborted transaction; an abort marker ends its producer's.
    fn leaves_out(&mut self, batch: &Batch<'_>, scratch: &mut Scratch<'_>) -> Result<bool, Corrupt> {
        if batch.producer_id < 0 {
            return Ok(false);
        }
        while self.waiting.last().is_some_and(|&(first, _)| first <= batch.last_offset) {
            if let Some((_, producer)) = self.waiting.pop() {
                self.open.insert(producer);
            }
        }
        if batch.is_control() {
            if is_abort_marker(batch, scratch)? {
                self.open.remove(&batch.producer_id);
            }
            return Ok(true);
        }
        Ok(batch.is_transactional() && self.open.contains(&batch.producer_id))
    }
}

/// Says whether the first record's key (version, type: two bytes each) is of type 0, abort.
fn is_abort_marker(batch: &Batch<'_>, scratch: &mut Scratch<'_>) -> Result<bool, Corrupt> {
    if batch.count == 0 {
        return Ok(false);
    }
    let mut payload = scratch.alone(batch, 0)?;
    let marker = record(&mut payload).map_err(|flaw| batch.corrupt(flaw))?;
    match marker.key {
        Some(&[high, _, kind_high, kind_low, ..]) if high < 0x80 => Ok((kind_high, kind_low) == (0, 0)),
        _ => Err(batch.corrupt("the key of its control record is none")),
    }
}

/// Where batches are decompressed to, one after the other, so that one call asks for memory once.
struct Scratch<'py> {
    py: Python<'py>,
    buffer: Vec<u8>,
    decompressor: Decompressor,
}

impl Scratch<'_> {
    /// Decompresses a batch whose bytes nothing but itself accounts for.
    fn alone<'a>(&'a mut self, batch: &Batch<'a>, bytes_max: usize) -> Result<&'a [u8], Corrupt> {
        let most = bytes_max.max(EXPANSION_BYTES_MIN).max(batch.records.len().saturating_mul(EXPANSION_MAX));
        let codec = Codec::from_id(batch.attributes & COMPRESSION_MASK).map_or("", Codec::name);
        self.within(batch, most)?.ok_or_else(|| too_large(batch.base_offset, codec, most))
    }

    /// Decompresses a batch; None where it holds more than `bytes_max`.
    fn within<'a>(&'a mut self, batch: &Batch<'a>, bytes_max: usize) -> Result<Option<&'a [u8]>, Corrupt> {
        let codec = Codec::from_id(batch.attributes & COMPRESSION_MASK)
            .ok_or_else(|| batch.corrupt("its compression is none that Kafka has"))?;
        if codec == Codec::None {
            return Ok(Some(batch.records));
        }
        let (buffer, decompressor) = (&mut self.buffer, &mut self.decompressor);
        buffer.clear();
        let done = if batch.records.len() < DETACH_BYTES_MIN {
            decompressor.decompress(codec, batch.records, bytes_max, buffer)
        } else {
            // A copy: without the GIL, the owner of a bytearray could write to it meanwhile.
            let records = batch.records.to_vec();
            self.py.detach(|| decompressor.decompress(codec, &records, bytes_max, buffer))
        };
        match done {
            Ok(()) => Ok(Some(&self.buffer)),
            Err(Refusal::TooLarge) => Ok(None),
            Err(Refusal::Damaged(what)) => {
                Err(corrupt(batch.base_offset, &format!("{}: {what}", codec.name())))
            }
        }
    }
}

type Decoded<'py> =
    (Bound<'py, PyAny>, Bound<'py, PyList>, Column, Column, Option<Bound<'py, PyList>>, i64, usize);

pub fn decode<'py>(
    py: Python<'py>,
    data: &[u8],
    fetch_offset: i64,
    aborted: Option<Vec<(i64, i64)>>,
    bytes_max: usize,
) -> PyResult<Decoded<'py>> {
    let mut aborted = aborted.map(Aborted::new);
    let mut scratch = Scratch { py, buffer: Vec::new(), decompressor: Decompressor::default() };
    let mut decoder = Decoder::new(py, fetch_offset);
    let mut position = fetch_offset;
    let mut held = 0;
    let mut batches = Batches::new(data);
    while let Some(batch) = batches.next()? {
        batch.verify()?;
        let is_left_out = match &mut aborted {
            Some(aborted) => aborted.leaves_out(&batch, &mut scratch)?,
            None => false,
        };
        if !is_left_out && !batch.is_control() && batch.last_offset >= fetch_offset && batch.count > 0 {
            let payload = if held == 0 {
                scratch.alone(&batch, bytes_max)?
            } else {
                match scratch.within(&batch, bytes_max.saturating_sub(held))? {
                    Some(payload) if payload.len() <= bytes_max.saturating_sub(held) => payload,
                    _ => break,
                }
            };
            held += payload.len();
            decoder.add(&batch, payload, fetch_offset)?;
        }
        position = position.max(batch.last_offset + 1);
    }
    let offsets = match decoder.offsets {
        Offsets::Range { first, end } => PyRange::new(py, first as isize, end as isize)?.into_any(),
        Offsets::List(list) => PyList::new(py, list)?.into_any(),
    };
    let headers = decoder.headers.map(|headers| PyList::new(py, headers)).transpose()?;
    let size_bytes = decoder.held.size_bytes();
    let (keys, values) = decoder.held.columns();
    Ok((offsets, PyList::new(py, decoder.timestamps)?, keys, values, headers, position, size_bytes))
}

/// Says where to fetch next, from the batches' fixed parts alone.
pub fn next_position(data: &[u8], fetch_offset: i64) -> PyResult<i64> {
    let mut position = fetch_offset;
    let mut batches = Batches::new(data);
    while let Some(batch) = batches.next()? {
        position = position.max(batch.last_offset + 1);
    }
    Ok(position)
}

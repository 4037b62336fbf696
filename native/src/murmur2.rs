//! Kafka's murmur2 over a column of keys.

use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::columns::{bytes_or_none, rows};

const SEED: u32 = 0x9747_b28c;
const MULTIPLIER: u32 = 0x5bd1_e995;

fn murmur2(data: &[u8]) -> u32 {
    let mut hash = SEED ^ data.len() as u32;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(MULTIPLIER);
        k ^= k >> 24;
        hash = hash.wrapping_mul(MULTIPLIER) ^ k.wrapping_mul(MULTIPLIER);
    }
    let tail = words.remainder();
    if !tail.is_empty() {
        for (index, &byte) in tail.iter().enumerate() {
            hash ^= u32::from(byte) << (8 * index);
        }
        hash = hash.wrapping_mul(MULTIPLIER);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(MULTIPLIER);
    hash ^ (hash >> 15)
}

/// Return the partition of each key among `count`, as Kafka's default partitioner does; -1 for a null key.
#[pyfunction]
pub fn partitions<'py>(keys: &Bound<'py, PyAny>, count: i32) -> PyResult<Bound<'py, PyList>> {
    let py = keys.py();
    if count < 1 {
        return Err(pyo3::exceptions::PyValueError::new_err(format!(
            "a topic cannot have {count} partitions"
        )));
    }
    let keys = rows(keys)?;
    let mut found: Vec<i32> = Vec::with_capacity(keys.len());
    for (row, key) in keys.iter().enumerate() {
        // The sign bit is cleared, not negated: an absolute value would send keys elsewhere than Java does.
        found.push(match bytes_or_none(&key, "key", row)? {
            None => -1,
            Some(key) => (murmur2(key) & 0x7fff_ffff) as i32 % count,
        });
    }
    PyList::new(py, found)
}

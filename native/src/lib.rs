//! The compiled half of headrace. What it does has a twin in Python, and both are tested against each other: the record batch codec,
//! of which `headrace.kafka.batch.codec` says what it promises, the record cache of numbers (`headrace.state.number_cache`), and the
//! rows of a restore (`headrace.state.table_rows`).

mod batch;
mod columns;
mod compression;
mod decoding;
mod encoding;
mod murmur2;
mod numbers;
mod restored_rows;
mod slices;
mod sorted_table;
mod varint;

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Calls `read` with the bytes of an object that has some: bytes, or a view of what was received.
fn with_bytes<Answer>(
    data: &Bound<'_, PyAny>,
    read: impl FnOnce(&[u8]) -> PyResult<Answer>,
) -> PyResult<Answer> {
    if let Ok(bytes) = data.cast::<PyBytes>() {
        return read(bytes.as_bytes());
    }
    let buffer = PyBuffer::<u8>::get(data)?;
    let Some(cells) = buffer.as_slice_ptr() else {
        return read(&buffer.to_vec(data.py())?); // not contiguous
    };
    // SAFETY: the buffer is exported, so that its owner can neither free nor resize it, and its items are bytes. It could
    // only be written to, and `read` keeps the GIL for as long as it looks at it. A copy of each fetched megabyte would
    // take longer than `next_position` and be a tenth of `decode`.
    #[allow(unsafe_code)]
    let bytes = unsafe { cells.as_ref() };
    read(bytes)
}

/// Return the next offset to fetch, from the headers of the batches alone.
#[pyfunction]
fn next_position(data: &Bound<'_, PyAny>, fetch_offset: i64) -> PyResult<i64> {
    with_bytes(data, |bytes| decoding::next_position(bytes, fetch_offset))
}

/// Decode what one partition's bytes hold from `fetch_offset` on, until `bytes_max` are decompressed.
#[pyfunction]
#[pyo3(signature = (data, fetch_offset, aborted=None, bytes_max=50 << 20))]
fn decode<'py>(
    data: &Bound<'py, PyAny>,
    fetch_offset: i64,
    aborted: Option<Vec<(i64, i64)>>,
    bytes_max: usize,
) -> PyResult<Bound<'py, PyAny>> {
    let py = data.py();
    let decoded = with_bytes(data, |bytes| decoding::decode(py, bytes, fetch_offset, aborted, bytes_max))?;
    Ok(decoded.into_pyobject(py)?.into_any())
}

/// Encode one batch of rows from `start`, cut below `bytes_max`; return it and the index behind its last row.
#[pyfunction]
#[pyo3(signature = (
    keys, values, timestamps, headers, start, bytes_max, *, compression="none", level=None,
    producer_id=-1, producer_epoch=-1, base_sequence=-1, is_transactional=false,
))]
#[allow(clippy::too_many_arguments)] // the codec's signature, which the twin shares
fn encode_batch<'py>(
    keys: &Bound<'py, PyAny>,
    values: &Bound<'py, PyAny>,
    timestamps: &Bound<'py, PyAny>,
    headers: Option<&Bound<'py, PyAny>>,
    start: usize,
    bytes_max: usize,
    compression: &str,
    level: Option<i32>,
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
    is_transactional: bool,
) -> PyResult<(Bound<'py, PyBytes>, usize)> {
    let Some(codec) = compression::Codec::from_name(compression) else {
        let names = "none, gzip, snappy, lz4, zstd";
        return Err(PyValueError::new_err(format!(
            "no compression is called {compression}: there are {names}"
        )));
    };
    let columns = encoding::Columns { keys, values, timestamps, headers };
    let attributes =
        encoding::Attributes { codec, level, producer_id, producer_epoch, base_sequence, is_transactional };
    encoding::encode(keys.py(), &columns, start, bytes_max, &attributes)
}

#[pymodule]
fn headrace_native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    // Goes up with every change of a function's signature or promise: headrace takes no other.
    module.add("INTERFACE", 6)?;
    module.add_class::<slices::Column>()?;
    module.add_function(wrap_pyfunction!(next_position, module)?)?;
    module.add_function(wrap_pyfunction!(decode, module)?)?;
    module.add_function(wrap_pyfunction!(encode_batch, module)?)?;
    module.add_class::<numbers::NumberCache>()?;
    module.add_class::<restored_rows::RestoredRows>()?;
    module.add_function(wrap_pyfunction!(murmur2::partitions, module)?)
}

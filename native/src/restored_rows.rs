//! Rows of a restore, gathered from columns and written into files of sorted rows, without an object a row.

use std::fs::File;
use std::io::BufWriter;

use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::slices::Column;
use crate::sorted_table::SortedTable;

const TIME_BYTES: usize = 8;
/// What a row costs in memory beside its bytes.
const ROW_BYTES: usize = std::mem::size_of::<Row>();

/// Where key and value of a row lie, the value behind the key; the first bytes of the key settle most comparisons.
#[derive(Clone, Copy)]
struct Row {
    head: u64,
    start: usize,
    key_bytes: u32,
    /// None is a deletion.
    value_bytes: Option<u32>,
}

#[derive(Default)]
struct Gathered {
    bytes: Vec<u8>,
    rows: Vec<Row>,
}

impl Gathered {
    fn key(&self, row: &Row) -> &[u8] {
        &self.bytes[row.start..row.start + row.key_bytes as usize]
    }

    fn value(&self, row: &Row) -> Option<&[u8]> {
        let start = row.start + row.key_bytes as usize;
        Some(&self.bytes[start..start + row.value_bytes? as usize])
    }

    fn push(&mut self, key: &[u8], time: Option<i64>, value: Option<&[u8]>) -> PyResult<()> {
        let mut head = [0; 8];
        let length = key.len().min(8);
        head[..length].copy_from_slice(&key[..length]);
        let start = self.bytes.len();
        let too_long = |_| PyOverflowError::new_err("a key or value is longer than a row may be");
        let key_bytes = u32::try_from(key.len()).map_err(too_long)?;
        self.bytes.extend_from_slice(key);
        let mut value_bytes = None;
        if let Some(value) = value {
            if let Some(time) = time {
                self.bytes.extend_from_slice(&time.to_be_bytes());
            }
            self.bytes.extend_from_slice(value);
            let bytes = value.len() + if time.is_some() { TIME_BYTES } else { 0 };
            value_bytes = Some(u32::try_from(bytes).map_err(too_long)?);
        }
        self.rows.push(Row { head: u64::from_be_bytes(head), start, key_bytes, value_bytes });
        Ok(())
    }

    /// Puts rows in the order of their keys, and leaves the last one of each.
    fn settle(&mut self) {
        let mut rows = std::mem::take(&mut self.rows);
        // Stable: of one key, the later record is behind the earlier one.
        rows.sort_by(|one, other| one.head.cmp(&other.head).then_with(|| self.key(one).cmp(self.key(other))));
        rows.dedup_by(|later, kept| {
            let is_same = later.head == kept.head && self.key(later) == self.key(kept);
            if is_same {
                *kept = *later;
            }
            is_same
        });
        self.rows = rows;
    }

    fn write(&mut self, path: &str) -> std::io::Result<()> {
        self.settle();
        let mut table = SortedTable::new(BufWriter::with_capacity(1 << 18, File::create(path)?));
        for row in &self.rows {
            table.add(self.key(row), self.value(row))?;
        }
        table.finish()
    }
}

#[pyclass(module = "headrace_native")]
pub struct RestoredRows {
    gathered: Gathered,
    is_timestamped: bool,
}

#[pymethods]
impl RestoredRows {
    #[new]
    #[pyo3(signature = (*, is_timestamped))]
    fn new(is_timestamped: bool) -> Self {
        RestoredRows { gathered: Gathered::default(), is_timestamped }
    }

    /// Return how many records were gathered, of which some may be of one key.
    fn __len__(&self) -> usize {
        self.gathered.rows.len()
    }

    /// Return what they keep in memory.
    fn size_bytes(&self) -> usize {
        self.gathered.bytes.len() + self.gathered.rows.len() * ROW_BYTES
    }

    /// Add records; those without a key are left out.
    fn add(
        &mut self,
        keys: &Bound<'_, PyAny>,
        values: &Bound<'_, PyAny>,
        timestamps: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let rows = keys.len()?;
        if values.len()? != rows || timestamps.len()? != rows {
            return Err(PyValueError::new_err("the columns differ in length"));
        }
        let mut times = Vec::new();
        if self.is_timestamped {
            times.reserve(rows);
            for timestamp in timestamps.try_iter()? {
                times.push(timestamp?.extract::<i64>()?);
            }
        }
        let time = |row| times.get(row).copied();
        if let (Ok(keys), Ok(values)) = (keys.cast::<Column>(), values.cast::<Column>()) {
            let (keys, values) = (keys.get(), values.get());
            for (row, (key, value)) in keys.all().zip(values.all()).enumerate() {
                if let Some(key) = key {
                    self.gathered.push(key, time(row), value)?;
                }
            }
            return Ok(());
        }
        for (row, (key, value)) in keys.try_iter()?.zip(values.try_iter()?).enumerate() {
            let (key, value) = (key?, value?);
            if !key.is_none() {
                let value = (!value.is_none()).then(|| value.cast::<PyBytes>()).transpose()?;
                self.gathered.push(
                    key.cast::<PyBytes>()?.as_bytes(),
                    time(row),
                    value.map(|value| value.as_bytes()),
                )?;
            }
        }
        Ok(())
    }

    /// Write a file of what was gathered, the last of each key, and begin again. Other threads run meanwhile.
    fn write(&mut self, py: Python<'_>, path: &str) -> PyResult<()> {
        if self.gathered.rows.is_empty() {
            // RocksDB takes down the process that gives it such a file.
            return Err(PyValueError::new_err("there are no rows to write a file of"));
        }
        let mut gathered = std::mem::take(&mut self.gathered);
        py.detach(|| gathered.write(path))?;
        gathered.bytes.clear();
        gathered.rows.clear();
        self.gathered = gathered;
        Ok(())
    }

    /// Return what was gathered, the last of each key in their order, and begin again.
    fn take<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let mut gathered = std::mem::take(&mut self.gathered);
        gathered.settle();
        let rows = PyDict::new(py);
        for row in &gathered.rows {
            let value = gathered.value(row).map(|value| PyBytes::new(py, value));
            rows.set_item(PyBytes::new(py, gathered.key(row)), value)?;
        }
        Ok(rows)
    }
}

//! Keys and values as slices of the bytes that they came in: an object is made of one when somebody asks for it.

use std::sync::Arc;

use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyList, PySlice, PyString};

/// Stands for the length of a null.
const NULL: i32 = -1;

/// Where a key or a value lies; its length is one of the format's, which has 31 bits.
#[derive(Clone, Copy)]
struct Slice {
    start: usize,
    length: i32,
}

/// The records' bytes, and where in them each key and each value lies.
#[derive(Default)]
pub struct Held {
    bytes: Vec<u8>,
    keys: Vec<Slice>,
    values: Vec<Slice>,
}

impl Held {
    pub fn reserve(&mut self, rows: usize) {
        self.keys.reserve(rows);
        self.values.reserve(rows);
    }

    /// Adds a row whose bytes are part of `payload`, of which `take` gets all from `skipped` on.
    #[inline(always)]
    pub fn push(&mut self, payload: &[u8], skipped: usize, key: Option<&[u8]>, value: Option<&[u8]>) {
        let base = self.bytes.len();
        let slice = |part: Option<&[u8]>| match part {
            None => Slice { start: 0, length: NULL },
            Some(part) => {
                let offset = part.as_ptr() as usize - payload.as_ptr() as usize;
                Slice { start: base + offset - skipped, length: part.len() as i32 }
            }
        };
        self.keys.push(slice(key));
        self.values.push(slice(value));
    }

    /// Copies what the rows pushed last are part of.
    pub fn take(&mut self, records: &[u8]) {
        self.bytes.extend_from_slice(records);
    }

    pub fn rows(&self) -> usize {
        self.keys.len()
    }

    /// Says how many bytes the columns keep in memory, their places aside.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Makes the columns of keys and of values.
    pub fn columns(mut self) -> (Column, Column) {
        self.bytes.shrink_to_fit();
        let rows = self.rows();
        let held = Arc::new(self);
        let column = |part| Column { held: Arc::clone(&held), part, start: 0, end: rows };
        (column(Part::Key), column(Part::Value))
    }
}

#[derive(Clone, Copy)]
enum Part {
    Key,
    Value,
}

/// Keys or values, read-only: `bytes` or None each, made anew when it is asked for.
#[pyclass(frozen, sequence, module = "headrace_native")]
pub struct Column {
    held: Arc<Held>,
    part: Part,
    start: usize,
    end: usize,
}

impl Column {
    fn slices(&self) -> &[Slice] {
        let all = match self.part {
            Part::Key => &self.held.keys,
            Part::Value => &self.held.values,
        };
        &all[self.start..self.end]
    }

    fn bytes_of(&self, slice: Slice) -> Option<&[u8]> {
        let length = usize::try_from(slice.length).ok()?;
        Some(&self.held.bytes[slice.start..slice.start + length])
    }

    pub fn all(&self) -> impl ExactSizeIterator<Item = Option<&[u8]>> {
        self.slices().iter().map(|&slice| self.bytes_of(slice))
    }

    fn list<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.all())
    }
}

/// Becomes a `str`, or fails as `bytes.decode` does.
struct Text<'a>(&'a [u8]);

impl<'py> IntoPyObject<'py> for Text<'_> {
    type Target = PyString;
    type Output = Bound<'py, PyString>;
    type Error = PyErr;

    #[inline(always)]
    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        PyString::from_bytes(py, self.0)
    }
}

#[pymethods]
impl Column {
    fn __len__(&self) -> usize {
        self.end - self.start
    }

    fn __getitem__<'py>(&self, py: Python<'py>, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let length = self.__len__() as isize;
        if let Ok(slice) = index.cast::<PySlice>() {
            let found = slice.indices(length)?;
            if found.step != 1 {
                return self.list(py)?.as_any().get_item(index);
            }
            let start = self.start + found.start as usize;
            let end = start + found.slicelength;
            let column = Column { held: Arc::clone(&self.held), part: self.part, start, end };
            return Ok(column.into_pyobject(py)?.into_any());
        }
        let index: isize = index.extract()?;
        let index = if index < 0 { index + length } else { index };
        match usize::try_from(index).ok().and_then(|index| self.slices().get(index)) {
            None => Err(PyIndexError::new_err("there is no such row in the column")),
            Some(&slice) => Ok(self.bytes_of(slice).into_pyobject(py)?.into_any()),
        }
    }

    /// Makes all objects at once: half as long as making each when its turn comes.
    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.list(py)?.try_iter()
    }

    /// Return all rows as text in UTF-8, or None.
    fn texts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.all().map(|bytes| bytes.map(Text)))
    }
}

//! Rows of Python lists as the encoder and the partitioner read them.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString};

/// Returns a list as it is, anything else that is iterable as a new list.
pub fn rows<'py>(column: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
    match column.cast::<PyList>() {
        Ok(list) => Ok(list.clone()),
        Err(_) => PyList::new(column.py(), column.try_iter()?.collect::<PyResult<Vec<_>>>()?),
    }
}

/// Borrows the bytes of a key or value, of a text those in UTF-8: one that is not ASCII keeps them beside it from then on.
#[inline(always)]
pub fn text_or_bytes<'a>(item: &'a Bound<'_, PyAny>, what: &str, row: usize) -> PyResult<Option<&'a [u8]>> {
    if let Ok(text) = item.cast_exact::<PyString>() {
        return Ok(Some(text.to_str()?.as_bytes()));
    }
    if let Ok(bytes) = item.cast::<PyBytes>() {
        return Ok(Some(bytes.as_bytes()));
    }
    if item.is_none() {
        return Ok(None);
    }
    match item.cast::<PyString>() {
        Ok(text) => Ok(Some(text.to_str()?.as_bytes())), // of a class of its own
        Err(_) => Err(refused(item, what, row, "bytes, text or None")),
    }
}

/// Borrows the bytes of something that is no text.
#[inline(always)]
pub fn bytes_or_none<'a>(item: &'a Bound<'_, PyAny>, what: &str, row: usize) -> PyResult<Option<&'a [u8]>> {
    if let Ok(bytes) = item.cast::<PyBytes>() {
        return Ok(Some(bytes.as_bytes()));
    }
    if item.is_none() {
        return Ok(None);
    }
    Err(refused(item, what, row, "bytes or None"))
}

#[cold]
fn refused(item: &Bound<'_, PyAny>, what: &str, row: usize, wanted: &str) -> PyErr {
    let found = item.get_type().name().map_or_else(|_| "?".to_owned(), |name| name.to_string());
    PyTypeError::new_err(format!("the {what} of row {row} is {found}, and must be {wanted}"))
}

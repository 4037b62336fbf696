//! A store of whole numbers in memory: what a record cache and the buffer below it do with some objects for each entry, without any.
//!
//! Its twins in Python are `RecordCache` and the buffers, and the tests of stores run on both. An entry is a key and a slot
//! (0 where the store has none), the number with its time, and the record that put it last; and the number with its time
//! that was let go of last, which is what the buffer would have: until a commit has written it, an entry that the cache has
//! no room for stays as that alone.
//!
//! Other threads read while the owner works: each call is one step of the interpreter. So that nobody finds it half
//! changed, nothing that may run other code happens while it is borrowed to be changed: Python objects are made behind it.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyInt, PyList, PyString, PyTuple};

/// What an entry weighs beside its key: itself, its part of the index, and what the allocator adds.
const ENTRY_BYTES: usize = 160;
/// What it weighs besides while a commit is to write it: the row that is made of it then.
const ROW_BYTES: usize = 160;

/// Of how many entries it is looked at whether they may leave for a new one.
const LOOKED_AT: usize = 64;

/// Key, slot, number and time.
type Row = (Vec<u8>, i64, Option<i64>, i64);

struct Entry {
    key: Box<[u8]>,
    slot: i64,
    /// What readers see; None is a deletion.
    value: Option<i64>,
    timestamp: i64,
    /// What was let go of last, or is in the database.
    below: Option<i64>,
    below_timestamp: i64,
    /// Which put was after which.
    order: u64,
    offset: i64,
    topic: Option<Py<PyAny>>,
    /// None where there are none.
    headers: Option<Py<PyAny>>,
    is_dirty: bool,
    /// Whether the next commit writes what was let go of.
    is_unwritten: bool,
    /// Whether it is the cache's, or only waits to be written.
    is_cached: bool,
    is_used: bool,
    /// Whether it is in the index; else its place is free.
    is_there: bool,
}

/// What is to leave at a flush.
struct Waiting {
    key: Vec<u8>,
    slot: i64,
    value: Option<i64>,
    below: Option<i64>,
    timestamp: i64,
    order: u64,
    offset: i64,
    topic: Option<Py<PyAny>>,
    headers: Option<Py<PyAny>>,
}

/// The record that a put is of.
struct Cause<'py> {
    topic: Option<Bound<'py, PyAny>>,
    offset: i64,
    headers: Option<Bound<'py, PyAny>>,
}

#[pyclass(module = "headrace_native")]
pub struct NumberCache {
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    entries: Vec<Entry>,
    free: Vec<u32>,
    dirty: Vec<u32>,
    unwritten: Vec<u32>,
    unwritten_bytes: usize,
    /// Where the search for what to evict goes on.
    hand: usize,
    moves: u64,
    used_bytes: usize,
}

impl NumberCache {
    #[inline(always)]
    fn hash(&self, key: &[u8], slot: i64) -> u64 {
        self.hasher.hash_one((key, slot))
    }

    #[inline(always)]
    fn find(&self, key: &[u8], slot: i64) -> Option<usize> {
        self.found(self.hash(key, slot), key, slot)
    }

    #[inline(always)]
    fn found(&self, hash: u64, key: &[u8], slot: i64) -> Option<usize> {
        let entries = &self.entries;
        let same = |&at: &u32| {
            let entry = &entries[at as usize];
            entry.slot == slot && *entry.key == *key
        };
        self.index.find(hash, same).map(|&at| at as usize)
    }

    /// Makes an entry of what the store below has. The caller knows that there is none.
    fn enter(&mut self, key: &[u8], slot: i64, below: Option<i64>, timestamp: i64) -> usize {
        let hash = self.hash(key, slot);
        let entry = Entry {
            key: key.into(),
            slot,
            value: below,
            timestamp,
            below,
            below_timestamp: timestamp,
            order: 0,
            offset: -1,
            topic: None,
            headers: None,
            is_dirty: false,
            is_unwritten: false,
            is_cached: true,
            is_used: false,
            is_there: true,
        };
        self.used_bytes += weight(key);
        let at = match self.free.pop() {
            Some(at) => {
                self.entries[at as usize] = entry;
                at
            }
            None => {
                self.entries.push(entry);
                (self.entries.len() - 1) as u32
            }
        };
        let (entries, hasher) = (&self.entries, &self.hasher);
        self.index.insert_unique(hash, at, |&each| {
            let entry = &entries[each as usize];
            hasher.hash_one((&*entry.key, entry.slot))
        });
        at as usize
    }

    fn leave(&mut self, at: usize) {
        let hash = self.hash(&self.entries[at].key, self.entries[at].slot);
        if let Ok(found) = self.index.find_entry(hash, |&each| each as usize == at) {
            found.remove();
        }
        let entry = &mut self.entries[at];
        if entry.is_cached {
            self.used_bytes -= weight(&entry.key);
        }
        entry.key = Box::default();
        (entry.is_there, entry.is_dirty, entry.is_cached) = (false, false, false);
        (entry.topic, entry.headers) = (None, None);
        self.free.push(at as u32);
    }

    /// Gives an entry back to the cache that only waited to be written.
    #[inline(always)]
    fn use_again(&mut self, at: usize) {
        let entry = &mut self.entries[at];
        entry.is_used = true;
        if !entry.is_cached {
            entry.is_cached = true;
            self.used_bytes += weight(&entry.key);
        }
    }

    /// Lets go of what is dirty: the buffer has it now.
    fn release(&mut self, at: u32) {
        let entry = &mut self.entries[at as usize];
        entry.is_dirty = false;
        entry.headers = None;
        if entry.value.is_none() && entry.below.is_none() && !entry.is_unwritten {
            self.leave(at as usize); // put and deleted between two flushes
            return;
        }
        (entry.below, entry.below_timestamp) = (entry.value, entry.timestamp);
        if !entry.is_unwritten {
            entry.is_unwritten = true;
            self.unwritten_bytes += weight(&entry.key) + ROW_BYTES;
            self.unwritten.push(at);
        }
    }

    /// Puts a number, which waits for the next flush.
    #[inline(always)]
    fn set(&mut self, at: usize, value: Option<i64>, timestamp: i64, cause: &Cause<'_>) {
        self.moves += 1;
        let entry = &mut self.entries[at];
        entry.value = value;
        entry.timestamp = timestamp;
        entry.order = self.moves;
        entry.offset = cause.offset;
        // Most are of the topic of before: to take the same object again costs nothing.
        match (&entry.topic, &cause.topic) {
            (Some(known), Some(topic)) if known.as_ptr() == topic.as_ptr() => (),
            _ => entry.topic = cause.topic.as_ref().map(|topic| topic.clone().unbind()),
        }
        if entry.headers.is_some() || cause.headers.is_some() {
            entry.headers = cause.headers.as_ref().map(|headers| headers.clone().unbind());
        }
        if !entry.is_dirty {
            entry.is_dirty = true;
            self.dirty.push(at as u32);
        }
    }

    /// Whether a new entry of that weight may come, and `evict` then finds enough to let go of, as far as the next few tell.
    fn has_room(&self, weight_bytes: usize, bytes_max: usize) -> bool {
        let mut excess = (self.used_bytes + weight_bytes).saturating_sub(bytes_max);
        let place = self.free.last().map_or(self.entries.len(), |&at| at as usize);
        let places = self.entries.len().max(place + 1);
        for step in 0..places.min(LOOKED_AT) {
            let at = (self.hand + step) % places;
            if excess == 0 || at == place {
                break;
            }
            let entry = &self.entries[at];
            if entry.is_cached && !entry.is_used {
                if entry.is_dirty {
                    break;
                }
                excess = excess.saturating_sub(weight(&entry.key));
            }
        }
        excess == 0
    }

    fn is_live_dirty(&self, at: u32) -> bool {
        let entry = &self.entries[at as usize];
        entry.is_there && entry.is_dirty
    }

    fn is_live_unwritten(&self, at: u32) -> bool {
        let entry = &self.entries[at as usize];
        entry.is_there && entry.is_unwritten
    }

    /// What lies over the database's rows: all that waits for a flush or for the commit.
    fn over(&self, is_wanted: impl Fn(&Entry) -> bool) -> Vec<Row> {
        let dirty = self.dirty.iter().filter(|&&at| self.is_live_dirty(at));
        let unwritten = self.unwritten.iter().filter(|&&at| self.is_live_unwritten(at));
        let entries = dirty.chain(unwritten).map(|&at| &self.entries[at as usize]);
        entries
            .filter(|entry| is_wanted(entry))
            .map(|entry| (entry.key.to_vec(), entry.slot, entry.value, entry.timestamp))
            .collect()
    }

    /// What is dirty, in the order of the last puts, each once.
    fn dirty_in_order(&self) -> Vec<u32> {
        let mut dirty: Vec<u32> = self.dirty.iter().copied().filter(|&at| self.is_live_dirty(at)).collect();
        dirty.sort_unstable_by_key(|&at| self.entries[at as usize].order);
        dirty.dedup();
        dirty
    }
}

fn weight(key: &[u8]) -> usize {
    ENTRY_BYTES + key.len()
}

/// A column of whole numbers: times, or offsets.
enum Numbers<'a, 'py> {
    From(i64),
    Listed(&'a Bound<'py, PyList>),
    Other(&'a Bound<'py, PyAny>),
}

impl<'a, 'py> Numbers<'a, 'py> {
    fn of(column: &'a Bound<'py, PyAny>) -> PyResult<Self> {
        if let Ok(list) = column.cast::<PyList>() {
            return Ok(Numbers::Listed(list));
        }
        let length = column.len()?;
        if length > 0 && column.get_type().name()? == "range" {
            let first: i64 = column.get_item(0)?.extract()?;
            let last: i64 = column.get_item(length - 1)?.extract()?;
            if last - first == length as i64 - 1 {
                return Ok(Numbers::From(first));
            }
        }
        Ok(Numbers::Other(column))
    }

    #[inline(always)]
    fn at(&self, row: usize) -> PyResult<i64> {
        match self {
            Numbers::From(first) => Ok(first + row as i64),
            Numbers::Listed(list) => list.get_item(row)?.extract(),
            Numbers::Other(column) => column.get_item(row)?.extract(),
        }
    }
}

/// The columns of a stretch, as far as counting looks at them.
struct Stretch<'a, 'py> {
    keys: Bound<'py, PyList>,
    timestamps: Numbers<'a, 'py>,
    offsets: Numbers<'a, 'py>,
    headers: Bound<'py, PyAny>,
    listed_headers: Option<Bound<'py, PyList>>,
    topic: Option<Bound<'py, PyAny>>,
}

impl<'a, 'py> Stretch<'a, 'py> {
    /// Returns key and time of a row.
    #[inline(always)]
    fn row(&self, row: usize) -> PyResult<(Bound<'py, PyAny>, i64)> {
        Ok((self.keys.get_item(row)?, self.timestamps.at(row)?))
    }

    fn cause(&self, row: usize) -> PyResult<Cause<'py>> {
        let headers = match &self.listed_headers {
            Some(list) => list.get_item(row)?,
            None => self.headers.get_item(row)?,
        };
        let headers = some_headers(&headers);
        Ok(Cause { topic: self.topic.clone(), offset: self.offsets.at(row)?, headers })
    }
}

fn some_headers<'py>(headers: &Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
    match headers.cast::<PyTuple>() {
        Ok(tuple) if tuple.is_empty() => None,
        _ => Some(headers.clone()),
    }
}

/// Lends the bytes of a key that is bytes, or text where the store's keys are; None of anything else.
#[inline(always)]
fn key_bytes<'a>(key: &'a Bound<'_, PyAny>, is_text: bool) -> Option<&'a [u8]> {
    if is_text {
        // Of exactly this class: a member of an enumeration is one that has a text of its own.
        return key.cast_exact::<PyString>().ok()?.to_str().ok().map(str::as_bytes);
    }
    key.cast_exact::<PyBytes>().ok().map(|bytes| bytes.as_bytes())
}

fn number(value: &Bound<'_, PyAny>) -> PyResult<Option<i64>> {
    if value.is_none() {
        return Ok(None);
    }
    if !value.is_exact_instance_of::<PyInt>() {
        return Err(PyTypeError::new_err("a store of whole numbers takes an int, or None"));
    }
    value.extract().map(Some)
}

#[pymethods]
impl NumberCache {
    #[new]
    fn new() -> Self {
        NumberCache {
            index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            entries: Vec::new(),
            free: Vec::new(),
            dirty: Vec::new(),
            unwritten: Vec::new(),
            unwritten_bytes: 0,
            hand: 0,
            moves: 0,
            used_bytes: 0,
        }
    }

    /// Roughly what the entries of the cache weigh.
    #[getter]
    fn used_bytes(&self) -> usize {
        self.used_bytes
    }

    /// Roughly what waits for the commit weighs.
    #[getter]
    fn unwritten_bytes(&self) -> usize {
        self.unwritten_bytes
    }

    fn __len__(&self) -> usize {
        self.index.len()
    }

    /// How many entries wait for the next flush.
    #[getter]
    fn waiting_count(&self) -> usize {
        self.dirty_in_order().len()
    }

    /// Whether any entry waits for the next flush.
    #[getter]
    fn waits(&self) -> bool {
        self.dirty.iter().any(|&at| self.is_live_dirty(at))
    }

    fn holds(&self, key: &[u8], slot: i64) -> bool {
        self.find(key, slot).is_some()
    }

    /// Return number and time; None of a deletion; False where there is no entry. Marks it as used unless told not to.
    #[pyo3(signature = (key, slot, *, marks=true))]
    fn get<'py>(slf: &Bound<'py, Self>, key: &[u8], slot: i64, marks: bool) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let found = if marks {
            let mut cache = slf.borrow_mut();
            cache.find(key, slot).map(|at| {
                cache.use_again(at);
                (cache.entries[at].value, cache.entries[at].timestamp)
            })
        } else {
            let cache = slf.borrow();
            cache.find(key, slot).map(|at| (cache.entries[at].value, cache.entries[at].timestamp))
        };
        Ok(match found {
            None => false.into_pyobject(py)?.to_owned().into_any(),
            Some((None, _)) => py.None().into_bound(py),
            Some((Some(value), timestamp)) => (value, timestamp).into_pyobject(py)?.into_any(),
        })
    }

    /// Keep what the store below has, which is not here yet.
    fn remember(&mut self, key: &[u8], slot: i64, value: i64, timestamp: i64) {
        self.enter(key, slot, Some(value), timestamp);
    }

    /// Put a number in place of one that is here, or delete it with None. Says whether there was an entry: else nothing is done.
    #[allow(clippy::too_many_arguments)] // the parts of a record
    fn put(
        &mut self,
        key: &[u8],
        slot: i64,
        value: &Bound<'_, PyAny>,
        timestamp: i64,
        headers: &Bound<'_, PyAny>,
        topic: Option<Bound<'_, PyAny>>,
        offset: i64,
    ) -> PyResult<bool> {
        let value = number(value)?;
        let Some(at) = self.find(key, slot) else { return Ok(false) };
        self.use_again(at);
        self.set(at, value, timestamp, &Cause { topic, offset, headers: some_headers(headers) });
        Ok(true)
    }

    /// Put a number where there is no entry; `below` is what the store below has.
    #[allow(clippy::too_many_arguments)] // the parts of a record
    fn put_new(
        &mut self,
        key: &[u8],
        slot: i64,
        below: Option<i64>,
        value: &Bound<'_, PyAny>,
        timestamp: i64,
        headers: &Bound<'_, PyAny>,
        topic: Option<Bound<'_, PyAny>>,
        offset: i64,
    ) -> PyResult<()> {
        let value = number(value)?;
        let at = self.enter(key, slot, below, timestamp);
        self.set(at, value, timestamp, &Cause { topic, offset, headers: some_headers(headers) });
        Ok(())
    }

    /// Return everything that waits for a flush, in the order of the last puts, as columns: keys, slots, numbers, those that were let
    /// go of before, times, headers, topics, offsets, orders.
    fn waiting<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let py = slf.py();
        let waiting: Vec<Waiting> = {
            let cache = slf.borrow();
            let of = |at: u32| {
                let entry = &cache.entries[at as usize];
                Waiting {
                    key: entry.key.to_vec(),
                    slot: entry.slot,
                    value: entry.value,
                    below: entry.below,
                    timestamp: entry.timestamp,
                    order: entry.order,
                    offset: entry.offset,
                    topic: entry.topic.as_ref().map(|topic| topic.clone_ref(py)),
                    headers: entry.headers.as_ref().map(|headers| headers.clone_ref(py)),
                }
            };
            cache.dirty_in_order().into_iter().map(of).collect()
        };
        let no_headers = PyTuple::empty(py).into_any().unbind();
        let keys = PyList::new(py, waiting.iter().map(|each| PyBytes::new(py, &each.key)))?;
        let slots = PyList::new(py, waiting.iter().map(|each| each.slot))?;
        let values = PyList::new(py, waiting.iter().map(|each| each.value))?;
        let below = PyList::new(py, waiting.iter().map(|each| each.below))?;
        let timestamps = PyList::new(py, waiting.iter().map(|each| each.timestamp))?;
        let headers =
            PyList::new(py, waiting.iter().map(|each| each.headers.as_ref().unwrap_or(&no_headers)))?;
        let topics = PyList::new(py, waiting.iter().map(|each| each.topic.as_ref()))?;
        let offsets = PyList::new(py, waiting.iter().map(|each| each.offset))?;
        let orders = PyList::new(py, waiting.iter().map(|each| each.order))?;
        PyTuple::new(
            py,
            [keys, slots, values, below, timestamps, headers, topics, offsets, orders].map(Bound::into_any),
        )
    }

    /// Let go of everything that waits: the next commit writes it.
    fn release_all(&mut self) {
        let dirty = std::mem::take(&mut self.dirty);
        for at in dirty {
            if self.is_live_dirty(at) {
                self.release(at);
            }
        }
    }

    /// Let go of one entry, if it was not put again since it was told as waiting. Says whether it was that one.
    fn release_one(&mut self, key: &[u8], slot: i64, order: u64) -> bool {
        let Some(at) = self.find(key, slot) else { return false };
        let is_meant = self.entries[at].is_dirty && self.entries[at].order == order;
        if is_meant {
            self.release(at as u32);
        }
        is_meant
    }

    /// Take back what was put over what was let go of last.
    fn revert(&mut self, key: &[u8], slot: i64) {
        let Some(at) = self.find(key, slot) else { return };
        let entry = &mut self.entries[at];
        (entry.value, entry.timestamp) = (entry.below, entry.below_timestamp);
        entry.is_dirty = false;
        if entry.below.is_none() && !entry.is_unwritten {
            self.leave(at);
        }
    }

    /// Return the rows that a commit has to write, by their keys: time and number, of `width` bytes; None deletes. Of a
    /// store with slots, those from `first` on, in segments of `interval_ms`.
    #[pyo3(signature = (width, first=None, interval_ms=1))]
    fn changes<'py>(
        slf: &Bound<'py, Self>,
        width: usize,
        first: Option<i64>,
        interval_ms: i64,
    ) -> PyResult<Bound<'py, PyDict>> {
        let py = slf.py();
        let rows: Vec<(Vec<u8>, Option<Vec<u8>>)> = {
            let cache = slf.borrow();
            let live = cache.unwritten.iter().filter(|&&at| cache.is_live_unwritten(at));
            let entries = live.map(|&at| &cache.entries[at as usize]);
            let stored = entries.filter(|entry| first.is_none_or(|first| entry.slot >= first));
            let row = |entry: &Entry| {
                let key = match first {
                    None => entry.key.to_vec(),
                    Some(_) => slotted_key(entry, interval_ms),
                };
                let value = entry.below.map(|number| {
                    let mut row = entry.below_timestamp.to_be_bytes().to_vec();
                    row.extend_from_slice(&number.to_be_bytes()[8 - width..]);
                    row
                });
                (key, value)
            };
            stored.map(row).collect()
        };
        let changes = PyDict::new(py);
        for (key, value) in &rows {
            changes.set_item(PyBytes::new(py, key), value.as_ref().map(|value| PyBytes::new(py, value)))?;
        }
        Ok(changes)
    }

    /// Take it that the database has what waited for the commit.
    fn committed(&mut self) {
        for at in std::mem::take(&mut self.unwritten) {
            if !self.is_live_unwritten(at) {
                continue;
            }
            let entry = &mut self.entries[at as usize];
            entry.is_unwritten = false;
            // A deletion needs no copy: absence is cheap to find out.
            if !entry.is_dirty && (entry.value.is_none() || !entry.is_cached) {
                self.leave(at as usize);
            }
        }
        self.unwritten_bytes = 0;
    }

    /// Let go of entries that were not used for the longest time until no more than `bytes_max` are here. Says whether
    /// that is done; where not, the next one that is to go waits for a flush.
    fn evict(&mut self, bytes_max: usize) -> bool {
        while self.used_bytes > bytes_max && !self.index.is_empty() {
            if self.hand >= self.entries.len() {
                self.hand = 0;
            }
            let at = self.hand;
            let entry = &mut self.entries[at];
            if !entry.is_cached {
                self.hand += 1;
            } else if entry.is_used {
                entry.is_used = false;
                self.hand += 1;
            } else if entry.is_dirty {
                return false;
            } else if entry.is_unwritten {
                entry.is_cached = false;
                self.used_bytes -= weight(&entry.key);
                self.hand += 1;
            } else {
                self.leave(at);
                self.hand += 1;
            }
        }
        true
    }

    /// Return what is here as rows that lie over those of the database, by key: (number, time, no bytes), None of deletions.
    /// With `slotted`, by key and slot.
    #[pyo3(signature = (*, slotted))]
    fn rows<'py>(slf: &Bound<'py, Self>, slotted: bool) -> PyResult<Bound<'py, PyDict>> {
        let found: Vec<Row> = {
            let cache = slf.borrow();
            let there = cache.entries.iter().filter(|entry| entry.is_there);
            there.map(|entry| (entry.key.to_vec(), entry.slot, entry.value, entry.timestamp)).collect()
        };
        rows(slf.py(), &found, slotted)
    }

    /// Return what the database does not have yet, of keys with `start` <= key < `end`, in their order, as `rows` has it.
    #[pyo3(signature = (start=None, end=None))]
    fn over_between<'py>(
        slf: &Bound<'py, Self>,
        start: Option<&[u8]>,
        end: Option<&[u8]>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let mut found = slf.borrow().over(|entry| {
            start.is_none_or(|start| start <= &*entry.key) && end.is_none_or(|end| &*entry.key < end)
        });
        found.sort_unstable();
        rows(slf.py(), &found, false)
    }

    /// Return what the database does not have yet of one key, or of all with None, by key and slot.
    #[pyo3(signature = (key=None))]
    fn over_cells<'py>(slf: &Bound<'py, Self>, key: Option<&[u8]>) -> PyResult<Bound<'py, PyDict>> {
        let found = slf.borrow().over(|entry| key.is_none_or(|key| *entry.key == *key));
        rows(slf.py(), &found, true)
    }

    /// Forget everything.
    fn clear(&mut self) {
        *self = NumberCache::new();
    }

    /// Count records from row `at` on, each by its key. Return the row of the first one that is left to the caller: it has no
    /// key or value, its time is beyond `horizon`, or there is no entry for it and none can be made; behind the last row
    /// where there is none.
    ///
    /// `below` returns number and time that the store below has of a key and slot, or None; without it no entry is made.
    /// No more than `bytes_max` are here after one was made: others leave for it, if that needs no flush.
    #[allow(clippy::too_many_arguments)] // the columns of a stretch
    fn count<'py>(
        slf: &Bound<'py, Self>,
        keys: &Bound<'py, PyAny>,
        values: &Bound<'py, PyAny>,
        timestamps: &Bound<'py, PyAny>,
        headers: &Bound<'py, PyAny>,
        offsets: &Bound<'py, PyAny>,
        topic: Option<Bound<'py, PyAny>>,
        at: usize,
        horizon: i64,
        is_text: bool,
        below: Option<Bound<'py, PyAny>>,
        bytes_max: usize,
    ) -> PyResult<usize> {
        let stretch = stretch(keys, timestamps, headers, offsets, topic)?;
        let counting = Counting { stretch, horizon, below, bytes_max };
        let values = crate::columns::rows(values)?;
        let rows = counting.stretch.keys.len();
        for row in at..rows {
            let (key, timestamp) = counting.stretch.row(row)?;
            let Some(bytes) = key_bytes(&key, is_text) else { return Ok(row) };
            if values.get_item(row)?.is_none() || !counting.add_one(slf, bytes, 0, timestamp, row)? {
                return Ok(row);
            }
        }
        Ok(rows)
    }

    /// Count records from row `at` on, each by its key in the window of `size_ms` that holds its time. Return the row of the
    /// first one that is left to the caller, the highest time so far, and the highest slot: beside what `count` leaves,
    /// that are records whose window has closed, and cells that are older than the highest by `retention_ms`.
    #[allow(clippy::too_many_arguments)] // the columns of a stretch, and the windows
    fn count_tumbling<'py>(
        slf: &Bound<'py, Self>,
        keys: &Bound<'py, PyAny>,
        timestamps: &Bound<'py, PyAny>,
        headers: &Bound<'py, PyAny>,
        offsets: &Bound<'py, PyAny>,
        topic: Option<Bound<'py, PyAny>>,
        at: usize,
        horizon: i64,
        is_text: bool,
        below: Option<Bound<'py, PyAny>>,
        bytes_max: usize,
        size_ms: i64,
        grace_ms: i64,
        retention_ms: i64,
        stream_time: i64,
        observed: i64,
    ) -> PyResult<(usize, i64, i64)> {
        let stretch = stretch(keys, timestamps, headers, offsets, topic)?;
        let counting = Counting { stretch, horizon, below, bytes_max };
        let (mut stream_time, mut observed) = (stream_time, observed);
        let rows = counting.stretch.keys.len();
        for row in at..rows {
            let (key, timestamp) = counting.stretch.row(row)?;
            let Some(bytes) = key_bytes(&key, is_text) else { return Ok((row, stream_time, observed)) };
            let start = timestamp - timestamp.rem_euclid(size_ms);
            let is_late = timestamp <= stream_time && start.saturating_add(size_ms) <= stream_time - grace_ms;
            if is_late
                || start <= observed.saturating_sub(retention_ms)
                || !counting.add_one(slf, bytes, start, timestamp, row)?
            {
                return Ok((row, stream_time, observed));
            }
            (stream_time, observed) = (stream_time.max(timestamp), observed.max(start));
        }
        Ok((rows, stream_time, observed))
    }
}

/// What a stretch is counted with.
struct Counting<'a, 'py> {
    stretch: Stretch<'a, 'py>,
    horizon: i64,
    below: Option<Bound<'py, PyAny>>,
    bytes_max: usize,
}

impl<'py> Counting<'_, 'py> {
    /// Adds one to a number. Says whether it did: else the caller is to judge.
    #[inline(always)]
    fn add_one(
        &self,
        cache: &Bound<'py, NumberCache>,
        key: &[u8],
        slot: i64,
        timestamp: i64,
        row: usize,
    ) -> PyResult<bool> {
        if timestamp > self.horizon {
            return Ok(false);
        }
        let mut here = cache.borrow_mut();
        if let Some(at) = here.find(key, slot) {
            return self.add_one_here(&mut here, at, timestamp, row);
        }
        drop(here); // others may read it while the store below is asked
        self.add_new(cache, key, slot, timestamp, row)
    }

    #[inline(always)]
    fn add_one_here(&self, cache: &mut NumberCache, at: usize, timestamp: i64, row: usize) -> PyResult<bool> {
        let entry = &cache.entries[at];
        let (value, latest) = match entry.value {
            None if self.below.is_none() => return Ok(false), // who knows which cells there are is to hear of it
            None => (1, timestamp),
            Some(i64::MAX) => return Ok(false),
            Some(value) => (value + 1, timestamp.max(entry.timestamp)),
        };
        if latest > self.horizon {
            return Ok(false);
        }
        let cause = self.stretch.cause(row)?;
        cache.use_again(at);
        cache.set(at, Some(value), latest, &cause);
        Ok(true)
    }

    /// Makes an entry of what the store below has, and adds one to it.
    ///
    /// Left to the caller is what it cannot be asked for, and what has no room unless something is flushed.
    #[cold]
    fn add_new(
        &self,
        cache: &Bound<'py, NumberCache>,
        key: &[u8],
        slot: i64,
        timestamp: i64,
        row: usize,
    ) -> PyResult<bool> {
        let (Some(below), py) = (&self.below, cache.py()) else { return Ok(false) };
        if !cache.borrow().has_room(weight(key), self.bytes_max) {
            return Ok(false);
        }
        let found = match below.call1((PyBytes::new(py, key), slot)) {
            Ok(found) => found,
            Err(error) if error.is_instance_of::<PyException>(py) => return Ok(false), // raised again for the caller
            Err(error) => return Err(error),
        };
        if found.is_none() {
            let cause = self.stretch.cause(row)?;
            let mut here = cache.borrow_mut();
            let at = here.enter(key, slot, None, timestamp);
            here.set(at, Some(1), timestamp, &cause);
            here.evict(self.bytes_max);
            return Ok(true);
        }
        let (value, time) = (found.get_item(0)?.extract()?, found.get_item(1)?.extract()?);
        let mut here = cache.borrow_mut();
        if here.used_bytes + weight(key) > self.bytes_max {
            return Ok(false); // it would be clean at first, and might leave again
        }
        let at = here.enter(key, slot, Some(value), time);
        self.add_one_here(&mut here, at, timestamp, row)
    }
}

fn stretch<'a, 'py>(
    keys: &'a Bound<'py, PyAny>,
    timestamps: &'a Bound<'py, PyAny>,
    headers: &'a Bound<'py, PyAny>,
    offsets: &'a Bound<'py, PyAny>,
    topic: Option<Bound<'py, PyAny>>,
) -> PyResult<Stretch<'a, 'py>> {
    Ok(Stretch {
        keys: crate::columns::rows(keys)?,
        timestamps: Numbers::of(timestamps)?,
        offsets: Numbers::of(offsets)?,
        listed_headers: headers.cast::<PyList>().ok().cloned(),
        headers: headers.clone(),
        topic,
    })
}

/// The key of a window's row: its segment's start, the key, its own start, and no number.
fn slotted_key(entry: &Entry, interval_ms: i64) -> Vec<u8> {
    let mut key = Vec::with_capacity(entry.key.len() + 20);
    key.extend_from_slice(&(entry.slot - entry.slot.rem_euclid(interval_ms)).to_be_bytes());
    key.extend_from_slice(&entry.key);
    key.extend_from_slice(&entry.slot.to_be_bytes());
    key.extend_from_slice(&[0; 4]);
    key
}

fn rows<'py>(py: Python<'py>, found: &[Row], slotted: bool) -> PyResult<Bound<'py, PyDict>> {
    let rows = PyDict::new(py);
    let no_bytes = PyBytes::new(py, b"");
    for (key, slot, value, timestamp) in found {
        let key = PyBytes::new(py, key);
        let row = match value {
            None => py.None().into_bound(py),
            Some(value) => (value, timestamp, &no_bytes).into_pyobject(py)?.into_any(),
        };
        if !slotted {
            rows.set_item(key, row)?;
            continue;
        }
        match rows.get_item(&key)? {
            Some(cells) => cells.set_item(slot, row)?,
            None => {
                let cells = PyDict::new(py);
                cells.set_item(slot, row)?;
                rows.set_item(key, cells)?;
            }
        }
    }
    Ok(rows)
}

//! A file of sorted rows as RocksDB takes it in whole ("external SST file"): its block-based table, format version 2.
//!
//! All rows have sequence number 0; RocksDB gives the whole file one of its own. Blocks are not compressed, which is what
//! headrace tells RocksDB too. The filter is the one of RocksDB's first versions, which all of them read.
//!
//! Source: `BlockBasedTableBuilder`, `SstFileWriterPropertiesCollector`, `LegacyBloomBitsBuilder`.

use std::io::{self, Write};

/// RocksDB's own size of a block.
const BLOCK_BYTES: usize = 4 * 1024;
/// After so many rows a key is written in full, from where a search within a block may begin.
const RESTART_ROWS: usize = 16;

const FORMAT_VERSION: u32 = 2;
const MAGIC: u64 = 0x88e2_41b7_85f4_cff7;
const CHECKSUM_CRC32C: u8 = 1;
const CHECKSUM_MASK: u32 = 0xa282_ead8;
const NOT_COMPRESSED: u8 = 0;
/// Of the footer without its version and its magic number.
const HANDLES_BYTES: usize = 41;

const KIND_DELETION: u64 = 0;
const KIND_VALUE: u64 = 1;

const FILTER_BITS_PER_KEY: usize = 10;
/// As many as make the fewest errors with ten bits a key.
const FILTER_PROBES: u8 = 6;
const FILTER_LINE_BYTES: usize = 64;
const FILTER_SEED: u32 = 0xbc9f_1d34;

fn put_varint(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

fn varint(number: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(10);
    put_varint(&mut bytes, number);
    bytes
}

/// Where a block lies, without what follows it.
#[derive(Clone, Copy)]
struct Handle {
    offset: u64,
    bytes: u64,
}

impl Handle {
    fn put(self, to: &mut Vec<u8>) {
        put_varint(to, self.offset);
        put_varint(to, self.bytes);
    }

    fn encoded(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(20);
        self.put(&mut bytes);
        bytes
    }
}

/// Entries in the order of their keys, each without what its key shares with the one before.
struct Block {
    bytes: Vec<u8>,
    restarts: Vec<u32>,
    restart_rows: usize,
    rows: usize,
    last: Vec<u8>,
}

impl Block {
    fn new(restart_rows: usize) -> Self {
        Block { bytes: Vec::new(), restarts: Vec::new(), restart_rows, rows: 0, last: Vec::new() }
    }

    /// Adds an entry whose key is `key` and `tail`.
    #[inline]
    fn add(&mut self, key: &[u8], tail: &[u8], value: &[u8]) {
        let mut shared = 0;
        if self.rows % self.restart_rows == 0 {
            self.restarts.push(self.bytes.len() as u32);
        } else {
            // What the tails may share on top of it is not worth a look.
            shared = self.last.iter().zip(key).take_while(|(one, other)| one == other).count();
        }
        self.rows += 1;
        put_varint(&mut self.bytes, shared as u64);
        put_varint(&mut self.bytes, (key.len() + tail.len() - shared) as u64);
        put_varint(&mut self.bytes, value.len() as u64);
        self.bytes.extend_from_slice(&key[shared..]);
        self.bytes.extend_from_slice(tail);
        self.bytes.extend_from_slice(value);
        self.last.truncate(shared);
        self.last.extend_from_slice(&key[shared..]);
        self.last.extend_from_slice(tail);
    }

    /// Ends the block: where its full keys are.
    fn end(&mut self) {
        for restart in &self.restarts {
            self.bytes.extend_from_slice(&restart.to_le_bytes());
        }
        self.bytes.extend_from_slice(&(self.restarts.len() as u32).to_le_bytes());
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.restarts.clear();
        self.rows = 0;
        self.last.clear();
    }
}

/// Says of most absent keys that they are absent.
struct Filter {
    hashes: Vec<u32>,
}

impl Filter {
    /// Source: `Hash` in RocksDB's `util/hash.cc`, which takes the last bytes as signed numbers.
    fn hash(key: &[u8]) -> u32 {
        const FACTOR: u32 = 0xc6a4_a793;
        let mut hash = FILTER_SEED ^ (key.len() as u32).wrapping_mul(FACTOR);
        let mut words = key.chunks_exact(4);
        for word in &mut words {
            hash = hash.wrapping_add(u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
            hash = hash.wrapping_mul(FACTOR);
            hash ^= hash >> 16;
        }
        let rest = words.remainder();
        if !rest.is_empty() {
            for (index, &byte) in rest.iter().enumerate() {
                hash = hash.wrapping_add((i32::from(byte as i8) as u32) << (8 * index));
            }
            hash = hash.wrapping_mul(FACTOR);
            hash ^= hash >> 24;
        }
        hash
    }

    fn encoded(&self) -> Vec<u8> {
        let bits = self.hashes.len() * FILTER_BITS_PER_KEY;
        // Odd, so that more bits of a hash choose the line.
        let lines = bits.div_ceil(FILTER_LINE_BYTES * 8) | 1;
        let mut bytes = vec![0; lines * FILTER_LINE_BYTES];
        for &hash in &self.hashes {
            let line = (hash as usize % lines) * FILTER_LINE_BYTES;
            let step = hash.rotate_right(17);
            let mut probe = hash;
            for _ in 0..FILTER_PROBES {
                let bit = probe as usize % (FILTER_LINE_BYTES * 8);
                bytes[line + bit / 8] |= 1 << (bit % 8);
                probe = probe.wrapping_add(step);
            }
        }
        bytes.push(FILTER_PROBES);
        bytes.extend_from_slice(&(lines as u32).to_le_bytes());
        bytes
    }
}

/// Writes one file. Rows come in the order of their keys, each key once; there is at least one.
pub struct SortedTable<W: Write> {
    to: W,
    offset: u64,
    data: Block,
    index: Block,
    filter: Filter,
    deletions: u64,
    blocks: u64,
    key_bytes: u64,
    value_bytes: u64,
}

impl<W: Write> SortedTable<W> {
    pub fn new(to: W) -> Self {
        SortedTable {
            to,
            offset: 0,
            data: Block::new(RESTART_ROWS),
            index: Block::new(1),
            filter: Filter { hashes: Vec::new() },
            deletions: 0,
            blocks: 0,
            key_bytes: 0,
            value_bytes: 0,
        }
    }

    /// Adds a row; None is a deletion.
    pub fn add(&mut self, key: &[u8], value: Option<&[u8]>) -> io::Result<()> {
        let kind = if value.is_some() { KIND_VALUE } else { KIND_DELETION };
        let value = value.unwrap_or_default();
        self.filter.hashes.push(Filter::hash(key));
        self.deletions += u64::from(kind == KIND_DELETION);
        self.key_bytes += key.len() as u64 + 8;
        self.value_bytes += value.len() as u64;
        self.data.add(key, &kind.to_le_bytes(), value);
        if self.data.bytes.len() >= BLOCK_BYTES {
            self.end_block()?;
        }
        Ok(())
    }

    fn end_block(&mut self) -> io::Result<()> {
        self.data.end();
        let bytes = std::mem::take(&mut self.data.bytes);
        let handle = self.write(&bytes)?;
        self.index.add(&self.data.last, &[], &handle.encoded());
        self.blocks += 1;
        self.data.bytes = bytes;
        self.data.clear();
        Ok(())
    }

    /// Writes a block, and its kind and checksum.
    fn write(&mut self, block: &[u8]) -> io::Result<Handle> {
        let handle = Handle { offset: self.offset, bytes: block.len() as u64 };
        let checksum = crc32c::crc32c_append(crc32c::crc32c(block), &[NOT_COMPRESSED]);
        let masked = checksum.rotate_right(15).wrapping_add(CHECKSUM_MASK);
        self.to.write_all(block)?;
        self.to.write_all(&[NOT_COMPRESSED])?;
        self.to.write_all(&masked.to_le_bytes())?;
        self.offset += block.len() as u64 + 5;
        Ok(handle)
    }

    fn write_entries(&mut self, entries: &[(&str, Vec<u8>)]) -> io::Result<Handle> {
        debug_assert!(entries.is_sorted_by_key(|(name, _)| *name));
        let mut block = Block::new(1);
        for (name, value) in entries {
            block.add(name.as_bytes(), &[], value);
        }
        block.end();
        self.write(&block.bytes)
    }

    /// Writes what is left, and what the file says of itself.
    pub fn finish(mut self) -> io::Result<()> {
        if self.data.rows > 0 {
            self.end_block()?;
        }
        let data_bytes = self.offset;
        let filter = self.filter.encoded();
        let filter_handle = self.write(&filter)?;
        self.index.end();
        let index = std::mem::take(&mut self.index.bytes);
        let index_handle = self.write(&index)?;
        let properties = self.write_entries(&[
            ("rocksdb.block.based.table.index.type", 0u32.to_le_bytes().to_vec()),
            ("rocksdb.block.based.table.prefix.filtering", b"0".to_vec()),
            ("rocksdb.block.based.table.whole.key.filtering", b"1".to_vec()),
            ("rocksdb.comparator", b"leveldb.BytewiseComparator".to_vec()),
            ("rocksdb.data.size", varint(data_bytes)),
            ("rocksdb.deleted.keys", varint(self.deletions)),
            ("rocksdb.external_sst_file.global_seqno", 0u64.to_le_bytes().to_vec()),
            ("rocksdb.external_sst_file.version", 2u32.to_le_bytes().to_vec()),
            ("rocksdb.filter.policy", b"rocksdb.BuiltinBloomFilter".to_vec()),
            ("rocksdb.filter.size", varint(filter.len() as u64)),
            ("rocksdb.index.size", varint(index.len() as u64)),
            ("rocksdb.num.data.blocks", varint(self.blocks)),
            ("rocksdb.num.entries", varint(self.filter.hashes.len() as u64)),
            ("rocksdb.num.filter_entries", varint(self.filter.hashes.len() as u64)),
            ("rocksdb.raw.key.size", varint(self.key_bytes)),
            ("rocksdb.raw.value.size", varint(self.value_bytes)),
        ])?;
        let others = self.write_entries(&[
            ("fullfilter.rocksdb.BuiltinBloomFilter", filter_handle.encoded()),
            ("rocksdb.properties", properties.encoded()),
        ])?;
        let mut footer = vec![CHECKSUM_CRC32C];
        others.put(&mut footer);
        index_handle.put(&mut footer);
        footer.resize(HANDLES_BYTES, 0);
        footer.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        footer.extend_from_slice(&MAGIC.to_le_bytes());
        self.to.write_all(&footer)?;
        self.to.flush()
    }
}

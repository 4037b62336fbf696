//! Kafka's four compressions: the frames as Java writes them, around the libraries' own bytes.
//!
//! A batch grows to the caller's limit at most when it is decompressed, whatever it claims, and memory is asked for only as the
//! compressed bytes account for it.

use flate2::{Compress, Compression, Crc, Decompress, FlushCompress, FlushDecompress, Status};

const CUT_OFF: &str = "its frame is cut off";

/// Kafka's `SnappyOutputStream` blocks: xerial's magic, then version and lowest compatible version.
const SNAPPY_MAGIC: &[u8; 8] = b"\x82SNAPPY\0";
const SNAPPY_HEADER: &[u8; 16] = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
const SNAPPY_BLOCK: usize = 32 * 1024;
/// A snappy copy makes at most 64 bytes out of two.
const SNAPPY_RATIO_MAX: usize = 64;

const LZ4_MAGIC: &[u8; 4] = b"\x04\x22\x4d\x18";
/// Version 1, independent blocks of at most 64 KiB, no checksums; the last byte is the checksum of the two before.
const LZ4_HEADER: &[u8; 7] = b"\x04\x22\x4d\x18\x60\x40\x82";
const LZ4_BLOCK: usize = 64 * 1024;
const LZ4_STORED: u32 = 0x8000_0000;
/// The level by which Kafka means the fast compressor; every other one is for the high compression.
const LZ4_LEVEL_FAST: i32 = 9;

const ZSTD_MAGIC: u32 = 0xfd2f_b528;
const ZSTD_SKIPPABLE: u32 = 0x184d_2a50;
const ZSTD_BLOCK_MAX: u64 = 128 * 1024;
/// What the library's own streams read at most, and with them Java's consumer.
const ZSTD_WINDOW_MAX: u64 = 1 << 27;
const ZSTD_LEVEL: i32 = 3;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

const CODECS: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

impl Codec {
    pub fn from_id(id: u8) -> Option<Codec> {
        CODECS.get(usize::from(id)).copied()
    }

    pub fn from_name(name: &str) -> Option<Codec> {
        CODECS.into_iter().find(|codec| codec.name() == name)
    }

    pub fn id(self) -> u8 {
        self as u8
    }

    pub fn name(self) -> &'static str {
        match self {
            Codec::None => "none",
            Codec::Gzip => "gzip",
            Codec::Snappy => "snappy",
            Codec::Lz4 => "lz4",
            Codec::Zstd => "zstd",
        }
    }
}

type Outcome = Result<(), String>;

/// Why bytes are not decompressed.
pub enum Refusal {
    /// They hold more than they may.
    TooLarge,
    /// They are not what their compression makes.
    Damaged(String),
}

impl From<&str> for Refusal {
    fn from(what: &str) -> Refusal {
        Refusal::Damaged(what.to_owned())
    }
}

impl From<String> for Refusal {
    fn from(what: String) -> Refusal {
        Refusal::Damaged(what)
    }
}

type Expansion = Result<(), Refusal>;

pub fn compress(codec: Codec, level: Option<i32>, data: &[u8], out: &mut Vec<u8>) -> Outcome {
    match codec {
        Codec::None => out.extend_from_slice(data),
        Codec::Gzip => return gzip(level, data, out),
        Codec::Snappy => return snappy(data, out),
        Codec::Lz4 => return lz4(level, data, out),
        Codec::Zstd => {
            let level = level.unwrap_or(ZSTD_LEVEL);
            out.extend(zstd::bulk::compress(data, level).map_err(|error| error.to_string())?);
        }
    }
    Ok(())
}

fn gzip(level: Option<i32>, data: &[u8], out: &mut Vec<u8>) -> Outcome {
    let level = match level {
        None | Some(-1) => Compression::default(),
        Some(level @ 1..=9) => Compression::new(level as u32),
        Some(level) => return Err(format!("its levels are 1 to 9, not {level}")),
    };
    out.extend_from_slice(b"\x1f\x8b\x08\0\0\0\0\0\0\xff"); // no name, no time, system unknown
    let mut stream = Compress::new(level, false);
    let mut done = 0;
    loop {
        out.reserve((data.len() - done) / 2 + 1024);
        let status = stream
            .compress_vec(&data[done..], out, FlushCompress::Finish)
            .map_err(|error| error.to_string())?;
        done = stream.total_in() as usize;
        if status == Status::StreamEnd {
            break;
        }
    }
    let mut crc = Crc::new();
    crc.update(data);
    out.extend_from_slice(&crc.sum().to_le_bytes());
    out.extend_from_slice(&crc.amount().to_le_bytes());
    Ok(())
}

fn snappy(data: &[u8], out: &mut Vec<u8>) -> Outcome {
    out.extend_from_slice(SNAPPY_HEADER);
    let mut encoder = snap::raw::Encoder::new();
    for block in data.chunks(SNAPPY_BLOCK) {
        let at = out.len();
        out.resize(at + 4 + snap::raw::max_compress_len(block.len()), 0);
        let length = encoder.compress(block, &mut out[at + 4..]).map_err(|error| error.to_string())?;
        out[at..at + 4].copy_from_slice(&(length as i32).to_be_bytes());
        out.truncate(at + 4 + length);
    }
    Ok(())
}

fn lz4(level: Option<i32>, data: &[u8], out: &mut Vec<u8>) -> Outcome {
    use lz4::block::{compress_bound, compress_to_buffer, CompressionMode};
    let mode = match level {
        None | Some(LZ4_LEVEL_FAST) => CompressionMode::DEFAULT,
        Some(level @ 1..=17) => CompressionMode::HIGHCOMPRESSION(level),
        Some(level) => return Err(format!("its levels are 1 to 17, not {level}")),
    };
    out.extend_from_slice(LZ4_HEADER);
    let bound = compress_bound(LZ4_BLOCK).map_err(|error| error.to_string())?;
    for block in data.chunks(LZ4_BLOCK) {
        let at = out.len();
        out.resize(at + 4 + bound, 0);
        let length = compress_to_buffer(block, Some(mode), false, &mut out[at + 4..])
            .map_err(|error| error.to_string())?;
        let (length, mark) = if length < block.len() {
            (length, length as u32)
        } else {
            out[at + 4..at + 4 + block.len()].copy_from_slice(block);
            (block.len(), block.len() as u32 | LZ4_STORED)
        };
        out[at..at + 4].copy_from_slice(&mark.to_le_bytes());
        out.truncate(at + 4 + length);
    }
    out.extend_from_slice(&[0; 4]);
    Ok(())
}

/// Keeps what is worth keeping between the batches of one call.
#[derive(Default)]
pub struct Decompressor {
    zstd: Option<zstd::bulk::Decompressor<'static>>,
}

impl Decompressor {
    /// Decompresses into `out`, which is empty, to `bytes_max` at most.
    pub fn decompress(
        &mut self,
        codec: Codec,
        data: &[u8],
        bytes_max: usize,
        out: &mut Vec<u8>,
    ) -> Expansion {
        match codec {
            Codec::None => out.extend_from_slice(data),
            Codec::Gzip => return gunzip(data, bytes_max, out),
            Codec::Snappy => return unsnappy(data, bytes_max, out),
            Codec::Lz4 => return unlz4(data, bytes_max, out),
            Codec::Zstd => return self.unzstd(data, bytes_max, out),
        }
        Ok(())
    }

    fn unzstd(&mut self, data: &[u8], bytes_max: usize, out: &mut Vec<u8>) -> Expansion {
        let bound = zstd_bound(data)?;
        if bound == 0 {
            return Ok(());
        }
        let decompressor = match &mut self.zstd {
            Some(kept) => kept,
            none => none.insert(zstd::bulk::Decompressor::new().map_err(|error| error.to_string())?),
        };
        out.reserve_exact(bound.min(bytes_max));
        // The bound counts every block as full. What fails for lack of room holds too much; with room for all, it is damaged.
        match decompressor.decompress_to_buffer(data, out) {
            Ok(_) if out.len() <= bytes_max => Ok(()),
            Err(_) if bound <= bytes_max => Err("its bytes are damaged".into()),
            _ => Err(Refusal::TooLarge),
        }
    }
}

fn gunzip(data: &[u8], bytes_max: usize, out: &mut Vec<u8>) -> Expansion {
    let mut rest = data;
    out.reserve(data.len().saturating_mul(4).min(bytes_max).max(1024));
    while !rest.is_empty() {
        let mut stream = Decompress::new_gzip(15);
        loop {
            if out.len() == out.capacity() {
                out.reserve(out.len().max(1024));
            }
            let (consumed, produced) = (stream.total_in(), stream.total_out());
            let status = stream
                .decompress_vec(rest, out, FlushDecompress::None)
                .map_err(|_| "its bytes are damaged".to_owned())?;
            let (consumed, produced) = (stream.total_in() - consumed, stream.total_out() - produced);
            rest = rest.get(consumed as usize..).unwrap_or_default();
            if out.len() > bytes_max {
                return Err(Refusal::TooLarge);
            }
            if status == Status::StreamEnd {
                break;
            }
            if consumed == 0 && produced == 0 && out.len() < out.capacity() {
                return Err(CUT_OFF.into());
            }
        }
    }
    Ok(())
}

fn unsnappy(data: &[u8], bytes_max: usize, out: &mut Vec<u8>) -> Expansion {
    // Java always writes frames; other clients write bare snappy, and Java reads both.
    if data.len() < SNAPPY_HEADER.len() || !data.starts_with(SNAPPY_MAGIC) {
        return unsnappy_block(data, bytes_max, out);
    }
    let mut rest = &data[SNAPPY_HEADER.len()..];
    while !rest.is_empty() {
        let (length, tail) = rest.split_first_chunk::<4>().ok_or(CUT_OFF)?;
        let length =
            usize::try_from(i32::from_be_bytes(*length)).map_err(|_| "a block has a negative length")?;
        let (block, tail) = tail.split_at_checked(length).ok_or(CUT_OFF)?;
        unsnappy_block(block, bytes_max, out)?;
        rest = tail;
    }
    Ok(())
}

fn unsnappy_block(block: &[u8], bytes_max: usize, out: &mut Vec<u8>) -> Expansion {
    let length = snap::raw::decompress_len(block).map_err(|_| "its bytes are damaged")?;
    if length > block.len().saturating_mul(SNAPPY_RATIO_MAX) {
        return Err("its bytes are damaged".into());
    }
    let at = out.len();
    if length > bytes_max.saturating_sub(at) {
        return Err(Refusal::TooLarge);
    }
    out.resize(at + length, 0);
    snap::raw::Decoder::new().decompress(block, &mut out[at..]).map_err(|_| "its bytes are damaged")?;
    Ok(())
}

/// xxHash32 of fewer than 16 bytes, seed 0: what a frame's descriptor is checked with.
fn xxhash32_short(data: &[u8]) -> u32 {
    const PRIMES: [u32; 5] = [0x9e37_79b1, 0x85eb_ca77, 0xc2b2_ae3d, 0x27d4_eb2f, 0x1656_67b1];
    let mut hash = PRIMES[4].wrapping_add(data.len() as u32);
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        hash = hash.wrapping_add(word.wrapping_mul(PRIMES[2])).rotate_left(17).wrapping_mul(PRIMES[3]);
    }
    for &byte in words.remainder() {
        hash = hash
            .wrapping_add(u32::from(byte).wrapping_mul(PRIMES[4]))
            .rotate_left(11)
            .wrapping_mul(PRIMES[0]);
    }
    hash = (hash ^ (hash >> 15)).wrapping_mul(PRIMES[1]);
    hash = (hash ^ (hash >> 13)).wrapping_mul(PRIMES[2]);
    hash ^ (hash >> 16)
}

/// Reads one frame of independent blocks, as Java's client does, which ends where its end mark is. The checksums that a frame may
/// carry for its blocks and content are skipped: the batch's own covers the same bytes.
fn unlz4(data: &[u8], bytes_max: usize, out: &mut Vec<u8>) -> Expansion {
    let (header, mut rest) = data.split_first_chunk::<6>().ok_or(CUT_OFF)?;
    let (flags, blocks) = (header[4], header[5]);
    if !header.starts_with(LZ4_MAGIC) {
        return Err("its frame has no magic".into());
    }
    // Version 01, independent blocks, no dictionary; the reserved bits are zero.
    if flags & 0b1110_0011 != 0b0110_0000 || blocks & 0b1000_1111 != 0 || blocks < 0x40 {
        return Err("its frame has flags that Kafka does not allow".into());
    }
    let block_max = 1_usize << (2 * (blocks >> 4) + 8);
    let sized = if flags & 0x08 != 0 { 8 } else { 0 };
    let descriptor = data.get(4..6 + sized).ok_or(CUT_OFF)?;
    rest = rest.get(sized..).ok_or(CUT_OFF)?;
    let (&check, mut rest) = rest.split_first().ok_or(CUT_OFF)?;
    if check != (xxhash32_short(descriptor) >> 8) as u8 {
        return Err("its frame's descriptor is damaged".into());
    }
    let block_check = if flags & 0x10 != 0 { 4 } else { 0 };
    let content_check = if flags & 0x04 != 0 { 4 } else { 0 };
    loop {
        let (mark, tail) = rest.split_first_chunk::<4>().ok_or(CUT_OFF)?;
        let mark = u32::from_le_bytes(*mark);
        let length = (mark & !LZ4_STORED) as usize;
        if length == 0 {
            return if tail.len() == content_check { Ok(()) } else { Err("bytes follow its frame".into()) };
        }
        if length > block_max {
            return Err("a block is larger than its frame allows".into());
        }
        let (block, tail) = tail.split_at_checked(length).ok_or(CUT_OFF)?;
        rest = tail.get(block_check..).ok_or(CUT_OFF)?;
        if mark & LZ4_STORED != 0 {
            out.extend_from_slice(block);
        } else {
            let at = out.len();
            out.resize(at + block_max, 0);
            let length = lz4::block::decompress_to_buffer(block, Some(block_max as i32), &mut out[at..])
                .map_err(|_| "its bytes are damaged")?;
            out.truncate(at + length);
        }
        if out.len() > bytes_max {
            return Err(Refusal::TooLarge);
        }
    }
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

fn split<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], Refusal> {
    let (taken, tail) = rest.split_at_checked(length).ok_or(CUT_OFF)?;
    *rest = tail;
    Ok(taken)
}

/// Says how many bytes the frames can hold at most, from the blocks that are really there: a frame's claim is not to be trusted.
fn zstd_bound(data: &[u8]) -> Result<usize, Refusal> {
    let mut rest = data;
    let mut bound: u64 = 0;
    while !rest.is_empty() {
        let magic = little_endian(split(&mut rest, 4)?) as u32;
        if magic & !0xf == ZSTD_SKIPPABLE {
            let length = little_endian(split(&mut rest, 4)?) as usize;
            split(&mut rest, length)?;
            continue;
        }
        if magic != ZSTD_MAGIC {
            return Err("its frame has no magic".into());
        }
        bound += zstd_frame_bound(&mut rest)?;
    }
    Ok(bound as usize)
}

fn zstd_frame_bound(rest: &mut &[u8]) -> Result<u64, Refusal> {
    let flags = split(rest, 1)?[0];
    let is_single_segment = flags & 0x20 != 0;
    let window = if is_single_segment { None } else { Some(split(rest, 1)?[0]) };
    split(rest, [0, 1, 2, 4][usize::from(flags & 3)])?;
    let claim_length = match flags >> 6 {
        0 => usize::from(is_single_segment),
        shift => 1 << shift,
    };
    let claim = little_endian(split(rest, claim_length)?) + if claim_length == 2 { 256 } else { 0 };
    let window = window.map_or(claim, |window| {
        let base = 1_u64 << (10 + (window >> 3));
        base + (base >> 3) * u64::from(window & 7)
    });
    if window > ZSTD_WINDOW_MAX {
        return Err("its window is larger than 128 MiB".into());
    }
    let mut bound = 0;
    loop {
        let block = little_endian(split(rest, 3)?);
        let size = block >> 3;
        let (held, grown) = match block >> 1 & 3 {
            0 => (size, size),
            1 => (1, size),
            2 => (size, ZSTD_BLOCK_MAX.min(window)),
            _ => return Err("a block has a reserved type".into()),
        };
        if grown > ZSTD_BLOCK_MAX {
            return Err("a block is larger than 128 KiB".into());
        }
        split(rest, held as usize)?;
        bound += grown;
        if block & 1 != 0 {
            break;
        }
    }
    split(rest, if flags & 4 != 0 { 4 } else { 0 })?;
    Ok(bound)
}

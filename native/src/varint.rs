//! Zigzag varints, and the byte cursor of a record: every read is checked and says what it was after.

/// What is wrong with some bytes; the caller adds where.
pub type Flaw = &'static str;

pub const CUT_OFF: Flaw = "it ends within a field";
const VARINT_TOO_LONG: Flaw = "it has a number that is too long";

#[inline(always)]
pub fn byte(rest: &mut &[u8]) -> Result<u8, Flaw> {
    let (&first, tail) = rest.split_first().ok_or(CUT_OFF)?;
    *rest = tail;
    Ok(first)
}

#[inline(always)]
pub fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], Flaw> {
    let (taken, tail) = rest.split_at_checked(length).ok_or(CUT_OFF)?;
    *rest = tail;
    Ok(taken)
}

/// Reads a number of at most 32 bits.
#[inline(always)]
pub fn varint(rest: &mut &[u8]) -> Result<i32, Flaw> {
    let first = byte(rest)?;
    if first < 0x80 {
        return Ok(i32::from(first >> 1) ^ -i32::from(first & 1));
    }
    let raw = continued(first, rest, 5)?;
    let raw = u32::try_from(raw).map_err(|_| VARINT_TOO_LONG)?;
    Ok((raw >> 1) as i32 ^ -((raw & 1) as i32))
}

/// Reads a number of at most 64 bits.
#[inline(always)]
pub fn varlong(rest: &mut &[u8]) -> Result<i64, Flaw> {
    let first = byte(rest)?;
    if first < 0x80 {
        return Ok(i64::from(first >> 1) ^ -i64::from(first & 1));
    }
    let raw = continued(first, rest, 10)?;
    Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
}

#[inline(always)]
fn continued(first: u8, rest: &mut &[u8], bytes_max: u32) -> Result<u64, Flaw> {
    let mut raw = u64::from(first & 0x7f);
    for index in 1..bytes_max {
        let next = byte(rest)?;
        if index == 9 && next > 1 {
            return Err(VARINT_TOO_LONG); // would be the 65th bit
        }
        raw |= u64::from(next & 0x7f) << (7 * index);
        if next < 0x80 {
            return Ok(raw);
        }
    }
    Err(VARINT_TOO_LONG)
}

/// Reads a length; -1 stands for null.
#[inline(always)]
pub fn nullable_length(rest: &mut &[u8]) -> Result<Option<usize>, Flaw> {
    match varint(rest)? {
        -1 => Ok(None),
        length => Ok(Some(usize::try_from(length).map_err(|_| "it has a negative length")?)),
    }
}

#[inline(always)]
pub fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Says how many bytes a number takes after `zigzag`.
#[inline(always)]
pub fn size(raw: u64) -> usize {
    ((70 - (raw | 1).leading_zeros()) / 7) as usize
}

/// A few numbers on their way out, gathered so that the batch grows once for all of them.
pub struct Numbers {
    bytes: [u8; 40],
    length: usize,
}

impl Numbers {
    #[inline(always)]
    pub fn new() -> Self {
        Numbers { bytes: [0; 40], length: 0 }
    }

    #[inline(always)]
    pub fn push(&mut self, byte: u8) {
        self.bytes[self.length] = byte;
        self.length += 1;
    }

    #[inline(always)]
    pub fn push_varint(&mut self, mut raw: u64) {
        while raw >= 0x80 {
            self.push(raw as u8 | 0x80);
            raw >>= 7;
        }
        self.push(raw as u8);
    }

    #[inline(always)]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

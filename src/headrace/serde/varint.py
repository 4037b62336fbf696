"""Kafka's `writeVarint`: a signed number in zigzag, seven bits a byte, the lowest first."""

__all__ = ["read_varint", "varint"]

#: 32 bits are five groups of seven.
_BYTES_MAX = 5


def varint(number: int) -> bytes:
    """Return the bytes of a number of 32 bits."""
    rest = number << 1 if number >= 0 else (-number << 1) - 1
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def read_varint(data: bytes, start: int, end: int) -> tuple[int, int]:
    """Return the number that begins at `start` and ends before `end`, and where it ends.

    Raises:
        ValueError: it does not end there.
    """
    number = 0
    for at in range(start, min(end, start + _BYTES_MAX)):
        number |= (data[at] & 0x7F) << 7 * (at - start)
        if data[at] < 0x80:
            return (number >> 1) ^ -(number & 1), at + 1
    raise ValueError(f"the number that begins at byte {start} does not end")

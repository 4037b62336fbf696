"""Keys of window stores: as the changelog has them, and as rows have them.

Source: `WindowKeySchema`. A changelog key is the key, 8 bytes of window start and 4 of sequence, big-endian. A row has
8 bytes more before it, the start of its segment, so that a segment's rows lie together and go in one range deletion.
"""

from struct import Struct

__all__ = [
    "CHANGELOG_SUFFIX_BYTES",
    "SEGMENT_BYTES",
    "changelog_suffix",
    "segment_prefix",
    "split_changelog_key",
    "window_start",
]

_SUFFIX = Struct(">qi")

CHANGELOG_SUFFIX_BYTES = _SUFFIX.size
SEGMENT_BYTES = 8

#: (start, sequence) -> what follows the key.
changelog_suffix = _SUFFIX.pack

#: Segment start -> what precedes the changelog key in a row's key.
segment_prefix = Struct(">q").pack


def split_changelog_key(data: bytes) -> tuple[bytes, int, int]:
    """Return key, window start and sequence.

    Raises:
        ValueError: the bytes are too short for a window's key.
    """
    at = len(data) - CHANGELOG_SUFFIX_BYTES
    if at < 0:
        raise ValueError(f"a window's key has at least {CHANGELOG_SUFFIX_BYTES} bytes, found {len(data)}")
    start, sequence = _SUFFIX.unpack_from(data, at)
    return data[:at], start, sequence


def window_start(data: bytes) -> int:
    """Window start of a changelog's or a row's key."""
    start: int = _SUFFIX.unpack_from(data, len(data) - CHANGELOG_SUFFIX_BYTES)[0]
    return start

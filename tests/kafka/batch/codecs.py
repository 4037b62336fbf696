"""The implementations of the record batch codec that a test runs on, and batches to damage."""

import struct
from typing import Any

import google_crc32c
import pytest

from headrace.kafka.batch.codec import Codec, Decoded, load

PYTHON = load("python")


def native() -> Codec:
    """The compiled one, with lists made of its columns; skips the test where it is not installed."""
    codec = as_installed()

    def decode(*given: Any, **named: Any) -> Decoded:
        decoded = codec.decode(*given, **named)
        return decoded._replace(keys=list(decoded.keys), values=list(decoded.values))

    return codec._replace(decode=decode)


def as_installed() -> Codec:
    """The compiled one as it is; skips the test where it is not installed."""
    try:
        return load("native")
    except ImportError:
        pytest.skip("headrace-native is not installed: make native (cargo)")


def sealed(batch: bytes) -> bytes:
    """Make the checksum right, so that what is damaged behind it is looked at."""
    return batch[:17] + struct.pack(">I", google_crc32c.value(batch[21:])) + batch[21:]


def batch_of(records: bytes, count: int, *, attributes: int = 0, last_delta: int | None = None) -> bytes:
    """A batch at offset 0 around records that need not be any."""
    last_delta = count - 1 if last_delta is None else last_delta
    head = struct.pack(
        ">qiiBIhiqqqhii",
        0,
        49 + len(records),
        -1,
        2,
        0,
        attributes,
        last_delta,
        1000,
        1000,
        -1,
        -1,
        -1,
        count,
    )
    return sealed(head + records)

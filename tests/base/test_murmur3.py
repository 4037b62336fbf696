"""Kafka Streams' murmur3 against numbers that its own class gives: each length of a tail, and more than one block."""

import pytest

from headrace.base.murmur3 import HASH_BYTES, murmur3_128


@pytest.mark.parametrize(
    ("data", "hash"),
    [
        (b"", "9d2764a018e329428c3cf3b035938518"),
        (b"a", "3361634e7e0f5188e9c7dda24eae326b"),
        (b"0123456789abcde", "c480e6b5c0016979a0d033624a7f7904"),
        (b"0123456789abcdef", "1a6e941ec6a76967d7d82808f505d6b1"),
        (b"0123456789abcdefg", "a93635c3ece7b605aeed6784d1b08b32"),
        (bytes(range(255, 215, -1)), "e964aab7674051ddd2f72325c11410bf"),
    ],
)
def test_hash_is_kafka_streams_own(data: bytes, hash: str) -> None:
    assert murmur3_128(data).hex() == hash


def test_hash_is_always_as_long() -> None:
    assert len(murmur3_128(b"")) == HASH_BYTES

"""The text beside a committed offset."""

import pytest

from headrace.engine.commit_metadata import decode_partition_time, encode_partition_time


def test_partition_time_is_written_as_kafka_streams_writes_it() -> None:
    assert encode_partition_time(0) == "AgAAAAAAAAAA"
    assert encode_partition_time(-1) == "Av//////////"


@pytest.mark.parametrize("timestamp", [-1, 0, 1, 1_500_000_000_000, 2**62])
def test_partition_time_comes_back(timestamp: int) -> None:
    assert decode_partition_time(encode_partition_time(timestamp)) == timestamp


@pytest.mark.parametrize("text", ["", "Ag==", "not base64!", "BwAAAAAAAAAB", "é"])
def test_foreign_metadata_means_an_unknown_partition_time(text: str) -> None:
    assert decode_partition_time(text) == -1


def test_processor_metadata_behind_the_partition_time_is_ignored() -> None:
    # One entry: count 1, name "a", value 7, as Kafka Streams writes emitted window closes.
    assert decode_partition_time("AgAAAAAAAAAFAAAAAQAAAAFhAAAAAAAAAAc=") == 5

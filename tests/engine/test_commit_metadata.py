"""The text beside a committed offset."""

import base64

import pytest

from headrace.engine.commit_metadata import (
    CommitMetadata,
    decode_metadata,
    encode_metadata,
    merged_processors,
)

#: One entry: count 1, name "a", value 7, as Kafka Streams writes emitted window closes; the partition time is 5.
WITH_PROCESSOR = "AgAAAAAAAAAFAAAAAQAAAAFhAAAAAAAAAAc="


def test_partition_time_is_written_as_kafka_streams_writes_it() -> None:
    assert encode_metadata(CommitMetadata(0)) == "AgAAAAAAAAAA"
    assert encode_metadata(CommitMetadata(-1)) == "Av//////////"


def test_processors_metadata_is_written_as_kafka_streams_writes_it() -> None:
    assert encode_metadata(CommitMetadata(5, {"a": 7})) == WITH_PROCESSOR


@pytest.mark.parametrize("timestamp", [-1, 0, 1, 1_500_000_000_000, 2**62])
@pytest.mark.parametrize("processors", [{}, {"a": -5}, {"a": 1, "größer": 2**62}])
def test_metadata_comes_back(timestamp: int, processors: dict[str, int]) -> None:
    metadata = CommitMetadata(timestamp, processors)
    assert decode_metadata(encode_metadata(metadata)) == metadata


@pytest.mark.parametrize("text", ["", "Ag==", "not base64!", "BwAAAAAAAAAB", "é"])
def test_foreign_metadata_says_nothing(text: str) -> None:
    assert decode_metadata(text) == CommitMetadata(-1)


@pytest.mark.parametrize("cut", range(10, 25))
def test_processors_metadata_that_is_cut_off_leaves_the_partition_time(cut: int) -> None:
    whole = base64.b64decode(WITH_PROCESSOR)
    assert decode_metadata(base64.b64encode(whole[:cut]).decode()) == CommitMetadata(5)


@pytest.mark.parametrize("length", [-1, 2**31 - 1])
def test_a_name_of_an_impossible_length_leaves_the_partition_time(length: int) -> None:
    data = (
        base64.b64decode(WITH_PROCESSOR)[:9]
        + (2**31 - 1).to_bytes(4, "big")
        + length.to_bytes(4, "big", signed=True)
    )
    assert decode_metadata(base64.b64encode(data + bytes(20)).decode()) == CommitMetadata(5)


def test_of_several_partitions_the_highest_value_counts() -> None:
    committed = [CommitMetadata(1, {"a": 1, "b": 5}), CommitMetadata(2), CommitMetadata(3, {"a": 2})]
    assert merged_processors(committed) == {"a": 2, "b": 5}

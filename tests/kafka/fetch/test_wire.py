"""Our fetch requests and answers against kafka-python's schemas, in every version that we speak."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.protocol.consumer import FetchRequest, FetchResponse

from headrace.base.ids import TopicPartition
from headrace.kafka.batch.codec import encode_batch
from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.fetch.answer import read_answer
from headrace.kafka.fetch.messages import Fetch, PartitionFetch
from headrace.kafka.fetch.wire import FetchMessage
from headrace.kafka.net.frames import FrameStream

VERSIONS = range(4, 13)
FETCH = Fetch(
    node_id=1,
    partitions=(
        PartitionFetch(TopicPartition("a", 0), 1, 100, 7, 6),
        PartitionFetch(TopicPartition("a", 300), 2, 2**40, -1, -1),
        PartitionFetch(TopicPartition("ü" * 70, 1), 3, 0, 8, 8),
        PartitionFetch(TopicPartition("a", 1), 4, 5, 9, -1),
    ),
    max_wait_ms=500,
    min_bytes=1,
    bytes_max=50 << 20,
    partition_bytes_max=1 << 20,
    rack="near",
)


def beyond(_: memoryview, offset: int) -> int:
    return offset + 1


@pytest.mark.parametrize("version", VERSIONS)
def test_request_reads_as_kafka_python_writes_it(version: int) -> None:
    message = FetchMessage(FETCH, version, beyond)
    decoded: Any = FetchRequest.decode(message.encode(framed=False, header=False), version=version)
    assert (decoded.replica_id, decoded.max_wait_ms, decoded.min_bytes, decoded.max_bytes) == (
        -1,
        500,
        1,
        50 << 20,
    )
    assert decoded.isolation_level == 1
    if version >= 7:
        assert (decoded.session_id, decoded.session_epoch, decoded.forgotten_topics_data) == (0, -1, [])
    if version >= 11:
        assert decoded.rack_id == "near"
    found = [
        (
            topic.topic,
            asked.partition,
            asked.fetch_offset,
            asked.partition_max_bytes,
            asked.current_leader_epoch if version >= 9 else None,
            asked.last_fetched_epoch if version >= 12 else None,
        )
        for topic in decoded.topics
        for asked in topic.partitions
    ]
    assert found == [
        (
            asked.partition.topic,
            asked.partition.partition,
            asked.offset,
            1 << 20,
            asked.leader_epoch if version >= 9 else None,
            asked.last_epoch if version >= 12 else None,
        )
        for asked in FETCH.partitions
    ]


@pytest.mark.parametrize("version", [4, 12])
def test_framed_request_is_byte_for_byte_that_of_kafka_python(version: int) -> None:
    fetch = Fetch(1, FETCH.partitions[:1], 500, 1, 1000, 100, "")
    ours = FetchMessage(fetch, version, beyond)
    topic_of = FetchRequest.FetchTopic
    partition = topic_of.FetchPartition(
        version=version,
        partition=0,
        fetch_offset=100,
        partition_max_bytes=100,
        **(
            {"current_leader_epoch": 7, "last_fetched_epoch": 6, "log_start_offset": -1}
            if version == 12
            else {}
        ),
    )
    theirs: Any = FetchRequest(
        version=version,
        replica_id=-1,
        max_wait_ms=500,
        min_bytes=1,
        max_bytes=1000,
        isolation_level=1,
        topics=[topic_of(version=version, topic="a", partitions=[partition])],
        **({"session_epoch": -1, "forgotten_topics_data": [], "rack_id": ""} if version == 12 else {}),
    )
    for message in (ours, theirs):
        message.with_header(correlation_id=77, client_id="me")
    assert ours.encode() == theirs.encode(framed=True, header=True)


def answer_bytes(version: int, records: bytes, **parts: Any) -> bytes:
    topic_of = FetchResponse.FetchableTopicResponse
    partition = topic_of.PartitionData(
        version=version,
        partition_index=300,
        error_code=parts.pop("error_code", 0),
        high_watermark=30,
        last_stable_offset=20,
        log_start_offset=10,
        aborted_transactions=[
            topic_of.PartitionData.AbortedTransaction(version=version, producer_id=5, first_offset=11)
        ],
        preferred_read_replica=2,
        records=records,
        **parts,
    )
    response: Any = FetchResponse(
        version=version,
        throttle_time_ms=9,
        error_code=0,
        session_id=0,
        responses=[topic_of(version=version, topic="a", partitions=[partition])],
        node_endpoints=[],
    )
    encoded: bytes = response.encode(version=version)
    return encoded


@pytest.mark.parametrize("version", VERSIONS)
def test_answer_of_kafka_python_is_read_with_all_its_parts(version: int) -> None:
    batch = encode_batch([b"k"], [b"v" * 300], [1], None, 0, 1000)[0]
    answer = read_answer(memoryview(answer_bytes(version, batch)), version, FETCH, beyond)
    assert (answer.error, answer.throttle_time_ms) == (ErrorCode.NONE, 9)
    (found,) = answer.partitions
    assert (found.partition, found.error) == (TopicPartition("a", 300), ErrorCode.NONE)
    assert (bytes(found.records), found.next_offset, found.last_epoch) == (batch, 2**40 + 1, -1)
    assert (found.aborted, found.last_stable_offset) == ([(5, 11)], 20)
    assert found.log_start_offset == (10 if version >= 5 else -1)
    assert found.preferred_replica == (2 if version >= 11 else -1)
    assert found.diverging_end == -1


def test_diverging_epoch_is_read_off_the_tags() -> None:
    diverging = FetchResponse.FetchableTopicResponse.PartitionData.EpochEndOffset(
        version=12, epoch=3, end_offset=15
    )
    encoded = answer_bytes(12, b"", diverging_epoch=diverging)
    assert read_answer(memoryview(encoded), 12, FETCH, beyond).partitions[0].diverging_end == 15


def test_nonsense_in_a_batch_is_told_of_its_partition_alone() -> None:
    def refuse(_: memoryview, offset: int) -> int:
        raise ValueError(f"nonsense at {offset}")

    (found,) = read_answer(memoryview(answer_bytes(12, b"x" * 100)), 12, FETCH, refuse).partitions
    assert (found.error, found.detail) == (ErrorCode.CORRUPT_MESSAGE, f"nonsense at {2**40}")


def test_last_epoch_is_that_of_the_last_complete_batch() -> None:
    batches = []
    for base, epoch in ((0, 3), (1, 4), (2, 4), (3, 5)):
        batch = bytearray(encode_batch([b"k"], [b"v"], [1], None, 0, 1000)[0])
        batch[0:8], batch[12:16] = base.to_bytes(8, "big"), epoch.to_bytes(4, "big")
        batches.append(bytes(batch))
    cut = b"".join(batches)[:-1]
    (found,) = read_answer(memoryview(answer_bytes(12, cut)), 12, FETCH, beyond).partitions
    assert found.last_epoch == 4


def test_answer_travels_as_the_connection_hands_it_over() -> None:
    message = FetchMessage(FETCH, 12, beyond)
    message.with_header(correlation_id=5, client_id="me")
    assert message.header is not None and message.header.get_response_class() is message
    stream = FrameStream(memoryview((5).to_bytes(4, "big") + b"\0" + answer_bytes(12, b"")))
    assert message.parse_header(stream).correlation_id == 5
    assert [each.partition for each in message.decode(stream).partitions] == [TopicPartition("a", 300)]


@given(st.data())
def test_damaged_answer_is_a_value_error_or_an_answer(data: st.DataObject) -> None:
    version = data.draw(st.sampled_from([4, 7, 11, 12]))
    damaged = bytearray(answer_bytes(version, b"x" * 20))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    view = memoryview(damaged)[: data.draw(st.integers(0, len(damaged)))]
    with contextlib.suppress(ValueError):
        read_answer(view, version, FETCH, beyond)

"""What the fetch machine asks for, keeps, hands out and tells."""

import pytest

from headrace.base.errors import LogError, OffsetOutOfRangeError, StateError, UnknownTopicError
from headrace.base.ids import TopicPartition
from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.fetch.messages import (
    AskBounds,
    AskMetadata,
    Fetch,
    FetchedPartition,
    FetchLimits,
    PartitionLeader,
    TopicLeaders,
)
from headrace.kafka.fetch.partition import FetchPhase
from tests.kafka.fetch.drive import Driven, P, Q, nothing, records, told


def test_first_request_asks_who_leads() -> None:
    assert Driven().send() == [AskMetadata(("t",))]


def test_fetch_tells_position_epochs_and_limits() -> None:
    driven = Driven(FetchLimits(rack="near"))
    driven.lead()
    fetch = driven.fetch()
    assert (fetch.node_id, fetch.max_wait_ms, fetch.min_bytes, fetch.rack) == (1, 500, 1, "near")
    assert (fetch.bytes_max, fetch.partition_bytes_max) == (1 << 20, 1 << 20)
    (asked,) = fetch.partitions
    assert (asked.partition, asked.offset, asked.leader_epoch, asked.last_epoch) == (P, 10, 5, -1)


def test_next_fetch_goes_out_before_the_data_is_taken() -> None:
    driven = Driven()
    driven.lead()
    driven.answer(records(50, 20))
    (asked,) = driven.fetch().partitions
    assert (asked.offset, asked.last_epoch) == (20, 5)
    assert driven.machine.position(P) == 10
    (taken,) = driven.machine.take(1000)
    assert (taken.offset, taken.next_offset, driven.machine.position(P)) == (10, 20, 20)


def test_full_partition_is_asked_for_again_once_something_is_taken() -> None:
    driven = Driven()
    driven.lead()
    driven.answer(records(100, 20))
    driven.answer(records(100, 30))
    assert driven.send() == []
    driven.machine.take(1)
    assert driven.fetch().partitions[0].offset == 30


def test_one_request_covers_all_partitions_of_a_broker_and_only_one_is_under_way() -> None:
    driven = Driven(FetchLimits(), 10, P, Q)
    driven.lead()
    assert [asked.partition for asked in driven.fetch().partitions] == [P, Q]
    assert driven.send() == []


def test_partition_that_brought_records_goes_behind_the_others() -> None:
    driven = Driven(FetchLimits(), 10, P, Q)
    driven.lead()
    driven.answer(records(50, 20), nothing(10, Q))
    assert [asked.partition for asked in driven.fetch().partitions] == [Q, P]


def test_what_was_decoded_in_part_is_handed_out_again_from_there() -> None:
    driven = Driven()
    driven.lead()
    driven.answer(records(50, 20))
    driven.answer(records(60, 30))
    (taken,) = driven.machine.take(1)
    driven.machine.put_back(taken, 14)
    assert driven.machine.position(P) == 14
    again = [driven.machine.take(1)[0] for _ in range(2)]
    assert [(each.offset, each.next_offset, len(each.records)) for each in again] == [
        (14, 20, 50),
        (20, 30, 60),
    ]
    assert driven.machine.position(P) == 30


def test_partitions_are_handed_out_in_turns() -> None:
    driven = Driven(FetchLimits(), 10, P, Q)
    driven.lead()
    driven.answer(records(50, 20), records(50, 20, Q))
    driven.answer(records(50, 30, Q), records(50, 30))
    order = [driven.machine.take(1)[0].partition for _ in range(4)]
    assert order == [P, Q, P, Q]


def test_request_that_leaves_out_a_paused_partition_waits_for_a_moment_only() -> None:
    driven = Driven(FetchLimits(), 10, P, Q)
    driven.lead()
    driven.machine.pause([Q])
    assert ([asked.partition for asked in driven.fetch().partitions], driven.fetch().max_wait_ms) == ([P], 25)


def test_paused_partition_keeps_its_data_until_resumed() -> None:
    driven = Driven()
    driven.lead()
    driven.answer(records(50, 20))
    driven.machine.pause([P])
    assert driven.machine.take(1000) == []
    assert driven.machine.position(P) == 10
    driven.machine.resume([P])
    assert [taken.next_offset for taken in driven.machine.take(1000)] == [20]


def test_data_of_paused_partitions_beyond_half_of_the_limit_is_fetched_again() -> None:
    driven = Driven(FetchLimits(bytes_max=200, partition_bytes_max=100))
    driven.lead()
    driven.answer(records(101, 20))
    driven.machine.pause([P])
    driven.machine.resume([P])
    assert driven.machine.take(1000) == []
    assert driven.fetch().partitions[0].offset == 10


def test_answer_under_way_is_thrown_away_with_the_data_before_it() -> None:
    driven = Driven(FetchLimits(bytes_max=600, partition_bytes_max=200), 10, P, Q)
    driven.send()
    driven.hear({"t": TopicLeaders("id", partitions={0: PartitionLeader(1, 5), 1: PartitionLeader(2, 5)})})
    driven.answer_of(1, records(50, 15, epoch=4))
    driven.machine.take(1)
    driven.answer_of(1, records(150, 20))
    driven.answer_of(2, records(200, 20, Q))
    late = driven.fetch_of(1)
    driven.machine.pause([P, Q])  # 350 bytes are more than half of 600: what is kept of P goes
    driven.machine.resume([P])
    driven.answer_of(1, records(50, 30))
    assert driven.machine.take(1000) == []
    assert late.partitions[0].offset == 20
    (asked,) = driven.fetch_of(1).partitions
    assert (asked.offset, asked.last_epoch) == (15, 4)


def test_seek_throws_away_what_was_fetched_and_what_is_under_way() -> None:
    driven = Driven()
    driven.lead()
    driven.answer(records(50, 20))
    fetch = driven.fetch()
    driven.machine.assign({P: 3}, driven.now)
    assert driven.machine.take(1000) == []
    driven.answer(records(50, 30))
    assert (driven.machine.take(1000), driven.machine.position(P)) == ([], 3)
    assert driven.fetch() != fetch
    assert driven.fetch().partitions[0].offset == 3


def test_position_moves_over_markers_without_records() -> None:
    driven = Driven()
    driven.lead()
    driven.answer(records(78, 11))
    assert [taken.next_offset for taken in driven.machine.take(1000)] == [11]


def test_end_is_unknown_before_the_first_answer_and_never_behind_the_data() -> None:
    driven = Driven()
    driven.lead()
    assert driven.machine.end(P) is None
    driven.answer(nothing(10)._replace(last_stable_offset=17))
    assert driven.machine.end(P) == 17
    driven.answer(records(50, 20)._replace(last_stable_offset=17))
    assert driven.machine.end(P) == 20


def test_partition_that_is_not_assigned_has_no_position() -> None:
    with pytest.raises(StateError, match="t-1: the partition is not assigned"):
        Driven().machine.position(Q)


def test_leader_that_moved_is_found_after_a_pause() -> None:
    driven = Driven()
    driven.lead()
    driven.answer(FetchedPartition(P, ErrorCode.NOT_LEADER_OR_FOLLOWER))
    assert driven.wait(0.1) == [AskMetadata(("t",))]
    driven.hear(told(2, 6))
    fetch = driven.fetch()
    assert (fetch.node_id, fetch.partitions[0].leader_epoch) == (2, 6)


def test_failing_broker_is_asked_ever_more_rarely() -> None:
    driven = Driven()
    driven.lead()
    pauses = []
    for _ in range(6):
        driven.fail(driven.fetch())
        started = driven.now
        while not any(isinstance(each, Fetch) for each in driven.open):
            for request in driven.wait(0.05):
                if isinstance(request, AskMetadata):
                    driven.hear(told())
        pauses.append(driven.now - started)
    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0], abs=0.051)


def test_answer_of_the_leader_before_is_not_waited_for() -> None:
    driven = Driven()
    driven.lead(1, 5)
    late = driven.fetch()
    driven.hear(told(2, 6))
    driven.send()
    assert [each.node_id for each in driven.open if isinstance(each, Fetch)] == [1, 2]
    driven.answer(records(50, 20))
    assert late not in driven.open
    assert driven.machine.take(1000) == []


def test_nearer_replica_is_asked_until_it_fails() -> None:
    driven = Driven(FetchLimits(rack="near"))
    driven.lead()
    driven.answer(nothing(10)._replace(preferred_replica=2))
    assert driven.fetch().node_id == 2
    driven.answer(FetchedPartition(P, ErrorCode.OFFSET_OUT_OF_RANGE))
    driven.now += 0.1
    assert driven.fetch().node_id == 1


def test_nearer_replica_is_left_when_it_is_old_news() -> None:
    driven = Driven(FetchLimits(rack="near"))
    driven.lead()
    driven.answer(nothing(10)._replace(preferred_replica=2))
    driven.now += 301
    assert driven.fetch().node_id == 1


def test_position_out_of_range_is_told_with_the_bounds_at_every_call_until_assigned_anew() -> None:
    driven = Driven()
    driven.lead()
    driven.answer(FetchedPartition(P, ErrorCode.OFFSET_OUT_OF_RANGE))
    assert [(each.node_id, each.of_end) for each in driven.send() if isinstance(each, AskBounds)] == [
        (1, False)
    ]
    driven.bound(12)
    driven.bound(40)
    for _ in range(2):
        with pytest.raises(
            OffsetOutOfRangeError, match="from position 10: the partition has 12 to 40"
        ) as found:
            driven.machine.take(1000)
        assert (found.value.first, found.value.end) == (12, 40)
    driven.machine.assign({P: 12}, driven.now)
    assert driven.machine.take(1000) == []


def test_error_comes_behind_the_data_before_it() -> None:
    driven = Driven()
    driven.lead()
    driven.answer(records(50, 20))
    driven.answer(FetchedPartition(P, ErrorCode.TOPIC_AUTHORIZATION_FAILED))
    assert len(driven.machine.take(1000)) == 1
    with pytest.raises(LogError, match=r"t-0 at offset 20: .* TOPIC_AUTHORIZATION_FAILED"):
        driven.machine.take(1000)


def test_error_of_a_paused_partition_waits_until_it_is_resumed() -> None:
    driven = Driven().reach(FetchPhase.FAILED)
    driven.machine.pause([P])
    assert driven.machine.take(1000) == []
    driven.machine.resume([P])
    with pytest.raises(OffsetOutOfRangeError):
        driven.machine.take(1000)


def test_truncation_behind_the_position_fetches_again_what_was_not_handed_out() -> None:
    driven = Driven()
    driven.lead()
    driven.answer(records(50, 20))
    driven.answer(nothing(20)._replace(diverging_end=15))
    assert driven.machine.take(1000) == []
    assert driven.fetch().partitions[0].offset == 10


def test_truncation_of_what_was_handed_out_is_an_error() -> None:
    driven = Driven()
    driven.lead()
    driven.answer(records(50, 20))
    driven.machine.take(1000)
    driven.answer(nothing(20)._replace(diverging_end=15))
    with pytest.raises(
        OffsetOutOfRangeError, match=r"position 20: its log parts at 15 .* were lost"
    ) as caught:
        driven.machine.take(1000)
    assert caught.value.parts_at == 15


def test_topic_that_nobody_knows_for_a_second_is_an_error() -> None:
    driven = Driven()
    started = driven.now
    while driven.machine.failure([P]) is None:
        if driven.wait(0.05):
            driven.hear({})
    assert 1.0 <= driven.now - started <= 2.1
    with pytest.raises(UnknownTopicError, match="topic 't': it does not exist; create the topic first"):
        driven.machine.take(1000)


def test_topic_that_is_known_in_time_is_read() -> None:
    driven = Driven()
    driven.send()
    driven.hear({})
    assert driven.machine.undecided([P]) == P
    assert driven.wait(0.1) == [AskMetadata(("t",))]
    driven.hear(told())
    assert driven.machine.undecided([P]) is None
    assert driven.fetch().node_id == 1


def test_partition_beyond_the_topics_is_named() -> None:
    topic_partition = TopicPartition("t", 7)
    driven = Driven(FetchLimits(), 0, topic_partition)
    while (error := driven.machine.failure([topic_partition])) is None:
        if driven.wait(0.05):
            driven.hear(told())
    assert "partition 7 of topic 't'" in str(error)


def test_what_no_broker_can_mend_is_told_once() -> None:
    driven = Driven()
    driven.lead()
    fetch = driven.fetch()
    driven.machine.failed(fetch, driven.now, LogError("wrong password"))
    with pytest.raises(LogError, match="wrong password"):
        driven.machine.take(1000)
    assert driven.machine.take(1000) == []


def test_metadata_is_asked_for_again_when_it_is_old() -> None:
    driven = Driven()
    driven.lead()
    driven.fetch()
    assert driven.machine.wake_at() == driven.now + 300
    assert driven.wait(300) == [AskMetadata(("t",))]


def test_brokers_share_what_may_be_kept() -> None:
    driven = Driven(FetchLimits(bytes_max=300, partition_bytes_max=100), 10, P, Q)
    driven.send()
    driven.hear({"t": TopicLeaders("id", partitions={0: PartitionLeader(1, 5), 1: PartitionLeader(2, 5)})})
    driven.send()
    assert [each.bytes_max for each in driven.open if isinstance(each, Fetch)] == [100, 100]

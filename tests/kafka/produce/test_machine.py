"""Idempotent producing: order, retries, what is known of offsets, and every error code."""

import pytest

from headrace.base.ids import TopicPartition
from headrace.base.records import RawRecord
from headrace.kafka.batch.codec import encode_batch
from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.metadata import PartitionMetadata, TopicMetadata
from headrace.kafka.produce.errors import ProduceRemedy, produce_remedy, refusal
from headrace.kafka.produce.machine import ProduceMachine
from headrace.kafka.produce.messages import AskLeaders, Produce, Produced, ProduceLimits
from headrace.kafka.transaction.write_failure import WriteFailureKind

A0, A1, B0 = TopicPartition("a", 0), TopicPartition("a", 1), TopicPartition("b", 0)
E = ErrorCode
LIMITS = ProduceLimits(request_bytes_max=100, release_bytes=1000)


def topics(leader: int = 1, **partitions: int) -> dict[str, TopicMetadata]:
    return {
        name: TopicMetadata(
            name, "id", E.NONE, {number: PartitionMetadata(leader, 0, E.NONE) for number in range(count)}
        )
        for name, count in partitions.items()
    }


def led(limits: ProduceLimits = LIMITS) -> ProduceMachine:
    """A machine that knows who leads A0, and has had one batch of two records acknowledged up to offset 10."""
    machine = ProduceMachine(limits)
    machine.append(A0, b"first", 2)
    machine.flush()
    (ask,) = machine.due(0)
    assert ask == AskLeaders(("a",))
    machine.leaders(ask, topics(a=2), 0)
    (request,) = machine.due(0)
    assert isinstance(request, Produce)
    machine.answered(request, {A0: Produced(E.NONE, 8)}, 0)
    return machine


def sent(machine: ProduceMachine, now: float = 0) -> Produce:
    (request,) = machine.due(now)
    assert isinstance(request, Produce)
    return request


def test_end_is_behind_the_last_acknowledged_record() -> None:
    machine = led()
    assert machine.ends() == {A0: 10}
    machine.forget_ends()
    assert machine.ends() == {}


def test_second_batch_of_a_partition_waits_for_the_first() -> None:
    machine = led()
    machine.append(A0, b"second", 3)
    machine.append(A0, b"third", 1)
    machine.flush()
    request = sent(machine)
    assert [(batch.data, batch.sequence) for batch in request.batches] == [(b"second", 2)]
    assert machine.due(0) == []
    machine.answered(request, {A0: Produced(E.NONE, 10)}, 0)
    assert [(batch.data, batch.sequence) for batch in sent(machine).batches] == [(b"third", 5)]


def test_what_is_behind_a_barrier_waits_for_all_that_is_before_it_whatever_its_partition() -> None:
    machine = led()
    machine.append(A1, b"before", 1)
    machine.flush()
    (ask,) = machine.due(0)
    assert isinstance(ask, AskLeaders)
    machine.leaders(ask, topics(a=2), 0)
    machine.answered(sent(machine), {A1: Produced(E.NONE, 0)}, 0)
    machine.append(A0, b"output", 1)
    machine.append(A0, b"more output", 1)
    machine.barrier()
    machine.append(A1, b"change", 1)
    machine.append(A0, b"later output", 1)
    machine.flush()
    for expected in ([b"output"], [b"more output"], [b"later output", b"change"]):
        request = sent(machine)
        assert [batch.data for batch in request.batches] == expected
        assert machine.due(0) == []
        machine.answered(request, {each.topic_partition: Produced(E.NONE, 10) for each in request.batches}, 0)
    assert machine.is_idle
    machine.barrier()
    machine.append(A1, b"change", 1)
    machine.flush()
    assert [batch.data for batch in sent(machine).batches] == [b"change"]


def test_nothing_is_sent_before_enough_waits_or_a_flush() -> None:
    machine = led()
    machine.append(A0, bytes(900), 1)
    assert machine.due(0) == []
    machine.append(A0, bytes(100), 1)
    assert len(sent(machine).batches) == 1


def test_partitions_of_a_broker_share_requests_up_to_their_size() -> None:
    machine = led()
    machine.append(A0, bytes(60), 1)
    machine.append(A1, bytes(40), 1)
    machine.flush()
    (ask, first) = machine.due(0)
    assert isinstance(ask, AskLeaders) and isinstance(first, Produce)
    machine.answered(first, {A0: Produced(E.NOT_ENOUGH_REPLICAS, -1)}, 0)
    machine.leaders(ask, topics(a=2), 0)
    assert [len(request.batches) for request in machine.due(1) if isinstance(request, Produce)] == [2]


def test_lost_answer_is_followed_by_the_same_batch_to_whoever_leads_now() -> None:
    machine = led()
    machine.append(A0, b"second", 1)
    machine.flush()
    first = sent(machine)
    machine.failed(first, 0)
    (ask,) = machine.due(0)
    assert isinstance(ask, AskLeaders)
    machine.leaders(ask, topics(leader=2, a=2), 0)
    assert machine.due(0.05) == []
    again = sent(machine, 0.2)
    assert (again.node_id, again.batches) == (2, first.batches)


def test_batch_is_given_up_when_its_time_is_over() -> None:
    machine = led()
    machine.append(A0, b"second", 1)
    machine.flush()
    machine.failed(sent(machine), 1)
    machine.due(121)
    assert machine.failure is not None
    assert "delivery.timeout.ms=120000" in machine.failure.message


def test_offset_that_the_broker_does_not_know_gives_the_transaction_up() -> None:
    machine = led()
    machine.append(A0, b"second", 1)
    machine.flush()
    machine.answered(sent(machine), {A0: Produced(E.NONE, -1)}, 0)
    assert machine.failure is not None and machine.failure.kind is WriteFailureKind.ABORT
    assert machine.ends() == {A0: 10}


def test_answers_from_before_a_discard_mean_nothing() -> None:
    machine = led()
    machine.append(A0, b"second", 1)
    machine.flush()
    request = sent(machine)
    machine.discard()
    assert (machine.in_flight, machine.is_idle, machine.queued_bytes) == (1, True, 0)
    machine.answered(request, {A0: Produced(E.INVALID_PRODUCER_EPOCH, -1)}, 0)
    assert (machine.in_flight, machine.failure, machine.ends()) == (0, None, {})


def test_discarded_batches_give_their_sequence_numbers_back() -> None:
    machine = led()
    machine.append(A0, b"second", 5)
    machine.discard()
    assert machine.next_sequence(A0) == 2
    machine.reset_sequences()
    assert machine.next_sequence(A0) == 0


def test_sequence_numbers_begin_again_after_31_bits() -> None:
    machine = ProduceMachine(LIMITS)
    machine.append(A0, b"", 2**31 - 1)
    machine.append(A0, b"", 3)
    assert machine.next_sequence(A0) == 2


def test_topic_that_stays_unknown_is_missing() -> None:
    machine = ProduceMachine(LIMITS)
    machine.append(B0, b"x", 1)
    machine.flush()
    for now in (0.0, 1.0):
        (ask,) = machine.due(now)
        assert isinstance(ask, AskLeaders)
        machine.leaders(ask, {}, now)
        assert machine.failure is None
    (ask,) = machine.due(2.5)
    assert isinstance(ask, AskLeaders)
    machine.leaders(ask, {}, 2.5)
    assert machine.failure is not None and machine.failure.kind is WriteFailureKind.MISSING
    assert "topic 'b'" in machine.failure.message


def test_batch_of_several_that_is_too_large_halves_the_limit() -> None:
    machine = led()
    machine.append(A0, bytes(80), 4)
    machine.flush()
    machine.answered(sent(machine), {A0: Produced(E.MESSAGE_TOO_LARGE, -1)}, 0)
    assert machine.batch_bytes_max("a") == 40
    assert machine.failure is not None and machine.failure.kind is WriteFailureKind.ABORT


def _batch(*values: bytes) -> bytes:
    count = len(values)
    return encode_batch([b"k"] * count, values, range(count), None, 0, 1000)[0]


def test_records_that_the_broker_names_are_refused() -> None:
    machine = led()
    machine.append(A0, _batch(b"x", b"y", b"z"), 3)
    machine.flush()
    found = Produced(E.INVALID_TIMESTAMP, -1, "Timestamp 2 is out of range", refused=(0, 2))
    machine.answered(sent(machine), {A0: found}, 0)
    failure = machine.failure
    assert failure is not None and failure.kind is WriteFailureKind.REFUSED
    assert failure.records == (RawRecord(b"k", b"x", 0), RawRecord(b"k", b"z", 2))
    assert failure.message.startswith(
        "cannot write 2 records to partition 0 of topic 'a': Timestamp 2 is out of range (INVALID_TIMESTAMP)"
    )


def test_record_that_the_broker_does_not_name_is_looked_for_with_smaller_batches_until_the_next_commit() -> (
    None
):
    machine = led()
    data = _batch(b"x", b"y", b"z")
    machine.append(A0, data, 3)
    machine.flush()
    machine.answered(sent(machine), {A0: Produced(E.POLICY_VIOLATION, -1)}, 0)
    assert machine.failure is not None and machine.failure.kind is WriteFailureKind.ABORT
    machine.discard()
    assert machine.batch_bytes_max("a") == len(data) // 2
    machine.append(A0, _batch(b"y"), 1)
    machine.flush()
    machine.answered(sent(machine), {A0: Produced(E.POLICY_VIOLATION, -1)}, 0)
    assert machine.failure is not None and machine.failure.records == (RawRecord(b"k", b"y", 0),)
    machine.discard()
    machine.forget_ends()
    assert machine.batch_bytes_max("a") is None


def test_record_that_is_too_large_alone_is_refused() -> None:
    machine = led()
    machine.append(A0, _batch(b"x" * 8), 1)
    machine.flush()
    machine.answered(sent(machine), {A0: Produced(E.MESSAGE_TOO_LARGE, -1)}, 0)
    assert machine.batch_bytes_max("a") is None
    assert machine.failure is not None and machine.failure.kind is WriteFailureKind.REFUSED
    assert machine.failure.records == (RawRecord(b"k", b"x" * 8, 0),)
    assert "77 bytes" in machine.failure.message and "max.message.bytes" in machine.failure.message


@pytest.mark.parametrize("code", ErrorCode)
def test_every_code_leads_on(code: ErrorCode) -> None:
    machine = led()
    machine.append(A0, b"second", 1)
    machine.flush()
    machine.answered(sent(machine), {A0: Produced(code, 10 if code is E.NONE else -1)}, 0)
    found = produce_remedy(code)
    if found is ProduceRemedy.TAKE:
        assert machine.ends() == {A0: 11}
    elif found in (ProduceRemedy.RETRY, ProduceRemedy.BUSY):
        assert machine.due(0.001) == []
        assert sent(machine, 1).node_id == 1
    elif found is ProduceRemedy.FIND_LEADER:
        assert machine.due(0.001) == [AskLeaders(("a",))]
    else:
        assert machine.failure is not None
        assert code.name in machine.failure.message
        assert "topic 'a'" in machine.failure.message
        assert (machine.due(9), machine.next_time()) == ([], float("inf"))


def test_refusal_that_may_pass_says_what_to_look_at() -> None:
    assert refusal({A0: Produced(E.NONE, 5), A1: Produced(E.CONCURRENT_TRANSACTIONS, -1)}) is None
    assert refusal({A0: Produced(E.NOT_LEADER_OR_FOLLOWER, -1)}) == (
        "partition a-0 is refused with NOT_LEADER_OR_FOLLOWER; look whether all brokers are up"
    )
    assert refusal({A0: Produced(E.NONE, 5), A1: Produced(E.NOT_ENOUGH_REPLICAS, -1)}) == (
        "partition a-1 is refused with NOT_ENOUGH_REPLICAS; start the brokers that are missing, or lower the topic's "
        "min.insync.replicas"
    )

"""Which records a topic takes."""

import pytest

import headrace as hr
from headrace.engine.admission import Admission, admission_of
from headrace.engine.clock import ManualClock
from headrace.log.limits import RecordLimits
from headrace.log.port import TopicInfo

_HOUR = 3_600_000


def _admission(
    limits: RecordLimits, *, config: dict[str, str] | None = None, clock: ManualClock | None = None
) -> Admission:
    info = TopicInfo("few", 2, "id", config or {}, limits)
    made = admission_of(info, (clock or ManualClock(10 * _HOUR)).wall_ms, are_keyed=False)
    assert made is not None
    return made


def _refusal(admission: Admission, key: bytes | None, value: bytes | None, timestamp: int = 0) -> str:
    with pytest.raises(hr.ProductionError) as refused:
        admission.check(1, key, value, timestamp, (("h", b"abcd"),))
    assert (refused.value.topic, refused.value.partition) == ("few", 1)
    return str(refused.value)


def test_a_topic_without_limits_takes_any_record() -> None:
    assert admission_of(TopicInfo("all", 1, "id"), ManualClock(0).wall_ms, are_keyed=False) is None


def test_record_that_is_too_large_is_refused_with_its_partition() -> None:
    admission = _admission(RecordLimits(bytes_max=10_000))
    # 82 bytes of overhead at most, 10 a header.
    admission.check(1, b"key", bytes(9_900), 0, (("h", b"abcd"),))
    assert _refusal(admission, b"key!", bytes(9_900)) == (
        "cannot write a record to partition 1 of topic 'few': it has 10,001 bytes, and the topic takes 10,000. Raise "
        "max.request.size and the topic's max.message.bytes, or store large objects elsewhere and a reference in the "
        "topic"
    )
    assert not admission.admits_all([b"key!"], [bytes(9_900)], [0])


def test_text_in_ascii_counts_as_its_bytes_do() -> None:
    admission = _admission(RecordLimits(bytes_max=10_000))
    assert admission.admits_all(["key", None], ["v" * 2000] * 2, [0, 0], key_bytes=3, value_bytes=4000)
    assert not admission.admits_all([None], ["v" * 9_900], [0], key_bytes=0, value_bytes=9_900)
    assert admission.admits_all([None] * 2, ["v" * 2_900] * 2, [0, 0], key_bytes=0, value_bytes=5_800)


def test_topic_that_takes_small_records_only_has_a_look_at_each_even_without_keys_and_values() -> None:
    admission = _admission(RecordLimits(bytes_max=1_000))
    assert not admission.admits_all([None, None], [None, None], [0, 0])
    assert not admission.admits_all([None], ["v"], [0], key_bytes=0, value_bytes=1)
    admission.check(0, None, None, 0)


def test_key_counts_as_the_value_does() -> None:
    admission = _admission(RecordLimits(bytes_max=10_000))
    assert "it has 10,097 bytes" in _refusal(admission, bytes(10_000), None)
    assert not admission.admits_all([bytes(10_000)], [None], [0])


def test_timestamp_in_the_future_is_judged_by_the_clock_as_it_moves() -> None:
    clock = ManualClock(10 * _HOUR)
    admission = _admission(RecordLimits(after_max_ms=_HOUR), clock=clock)
    admission.check(1, b"k", None, 11 * _HOUR, ())
    assert admission.admits_all([b"k"], [None], [11 * _HOUR])
    assert _refusal(admission, b"k", None, 11 * _HOUR + 1) == (
        "cannot write a record to partition 1 of topic 'few': its timestamp 39600001 lies 3,600,001 ms in the future, "
        "and the topic takes 3,600,000. Raise the topic's message.timestamp.after.max.ms, or give the record another "
        "timestamp"
    )
    assert not admission.admits_all([b"k"], [None], [11 * _HOUR + 1])
    clock.advance(1)
    admission.check(1, b"k", None, 11 * _HOUR + 1, ())


def test_timestamp_in_the_past_is_judged_by_the_clock_as_it_moves() -> None:
    clock = ManualClock(10 * _HOUR)
    admission = _admission(RecordLimits(before_max_ms=_HOUR), clock=clock)
    admission.check(1, b"k", None, 9 * _HOUR, ())
    admission.check(1, b"k", None, 99 * _HOUR, ())
    clock.advance(1)
    assert "its timestamp 32400000 is 3,600,001 ms old, and the topic takes 3,600,000" in _refusal(
        admission, b"k", None, 9 * _HOUR
    )


def test_limits_that_were_raised_hold_from_the_next_refusal_on() -> None:
    clock, limits = ManualClock(0), [RecordLimits(bytes_max=1_000)]
    info = TopicInfo("few", 1, "id", {}, limits[0])
    admission = admission_of(info, clock.wall_ms, are_keyed=False, ask=lambda: limits[0])
    assert admission is not None
    assert "the topic takes 1,000" in _refusal(admission, b"k", bytes(2_000))
    limits[0] = RecordLimits(bytes_max=1_500)
    assert "the topic takes 1,000" in _refusal(admission, b"k", bytes(2_000))
    clock.advance(10_000)
    assert "the topic takes 1,500" in _refusal(admission, b"k", bytes(2_000))
    limits[0] = RecordLimits(bytes_max=9_000)
    clock.advance(10_000)
    admission.check(0, b"k", bytes(2_000), 0)


def test_record_without_a_timestamp_is_not_judged_by_it() -> None:
    _admission(RecordLimits(before_max_ms=_HOUR, after_max_ms=_HOUR)).check(1, b"k", None, -1, ())


def test_compacted_topic_takes_no_null_key() -> None:
    admission = _admission(RecordLimits(), config={"cleanup.policy": "compact"})
    assert "takes no record without a key" in _refusal(admission, None, b"v")
    assert not admission.admits_all([None], [b"v"], [0])
    assert admission.admits_all([b"k"], [b"v"], [0])


@pytest.mark.parametrize(
    ("config", "limits"),
    [
        ({}, RecordLimits()),
        ({"max.message.bytes": "1000"}, RecordLimits(bytes_max=1000)),
        ({"message.timestamp.after.max.ms": "3600000"}, RecordLimits(after_max_ms=3_600_000)),
        ({"message.timestamp.before.max.ms": "9223372036854775807"}, RecordLimits()),
        ({"message.timestamp.difference.max.ms": "5"}, RecordLimits(before_max_ms=5, after_max_ms=5)),
        (
            {"message.timestamp.difference.max.ms": "5", "message.timestamp.after.max.ms": "7"},
            RecordLimits(before_max_ms=5, after_max_ms=7),
        ),
        (
            {"message.timestamp.type": "LogAppendTime", "message.timestamp.after.max.ms": "7"},
            RecordLimits(),
        ),
    ],
)
def test_limits_are_read_from_a_topics_properties(config: dict[str, str], limits: RecordLimits) -> None:
    assert RecordLimits.parse("few", config) == limits


def test_impossible_limit_is_told() -> None:
    with pytest.raises(hr.LogError, match=r"max\.message\.bytes is 'many'"):
        RecordLimits.parse("few", {"max.message.bytes": "many"})

"""Where the options of `headrace reset` lead, on a log of two partitions: one that begins at 2, and an empty one."""

from pathlib import Path

import pytest

from headrace.base.columns import Columns
from headrace.base.errors import ConfigError
from headrace.base.ids import TopicPartition
from headrace.cli.reset_target import Earliest, ToTime, moved, target_of
from headrace.log.memory import MemoryLog
from headrace.log.port import TopicSpec

FULL, EMPTY = TopicPartition("lines", 0), TopicPartition("lines", 1)

NOW_MS = 1_700_000_000_000


@pytest.fixture
def log() -> MemoryLog:
    made = MemoryLog()
    made.create_topics([TopicSpec("lines", 2)])
    writer = made.writer("writers")
    columns = Columns()
    for timestamp in range(1000, 1010):
        columns.append(b"k", b"v", timestamp, ())
    writer.append("lines", 0, columns)
    writer.commit({})
    made.delete_records({FULL: 2})
    return made


def after(
    log: MemoryLog, committed: dict[TopicPartition, int], **options: str | int | bool
) -> dict[str, object]:
    """Offset and note by partition."""
    target, _ = target_of(options, NOW_MS)
    return {
        str(each.partition): (each.after, each.note) if each.note else each.after
        for each in moved(target, log, [EMPTY, FULL], committed)
    }


def test_ends_are_those_that_the_log_has(log: MemoryLog) -> None:
    assert after(log, {}) == {"lines-0": 2, "lines-1": 0}
    assert after(log, {}, to_earliest=True) == {"lines-0": 2, "lines-1": 0}
    assert after(log, {}, to_latest=True) == {"lines-0": 10, "lines-1": 0}


def test_an_offset_stays_within_the_log_and_says_so(log: MemoryLog) -> None:
    assert after(log, {}, to_offset=5) == {"lines-0": 5, "lines-1": (0, "5 is behind the end")}
    assert after(log, {}, to_offset=0) == {"lines-0": (2, "0 is before the beginning"), "lines-1": 0}
    assert after(log, {}, to_offset=10) == {"lines-0": 10, "lines-1": (0, "10 is behind the end")}


def test_a_shift_goes_by_what_is_committed_and_else_from_the_end(log: MemoryLog) -> None:
    assert after(log, {FULL: 6, EMPTY: 0}, shift_by=-3) == {
        "lines-0": 3,
        "lines-1": (0, "-3 is before the beginning"),
    }
    assert after(log, {EMPTY: 0}, shift_by=-1)["lines-0"] == (9, "from the end, since nothing is committed")
    assert after(log, {FULL: 6, EMPTY: 0}, shift_by=9)["lines-0"] == (10, "15 is behind the end")


def test_a_time_finds_the_first_record_that_is_not_older(log: MemoryLog) -> None:
    assert after(log, {}, to_datetime="1970-01-01T00:00:01.007") == {
        "lines-0": 7,
        "lines-1": (0, "no record is as late"),
    }
    assert after(log, {}, to_datetime="1970-01-01T01:00:01.007+01:00")["lines-0"] == 7
    assert after(log, {}, to_datetime="2100-01-01T00:00:00.000")["lines-0"] == (10, "no record is as late")


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("PT5M", 300_000), ("P1D", 86_400_000), ("P1DT1H1M1.5S", 90_061_500), ("pt0.001s", 1), ("PT-5M", -300_000),
        ("-PT5M", -300_000), ("5m", 300_000), ("1h30m", 5_400_000),
    ],
)  # fmt: skip
def test_a_duration_is_read_as_java_does_or_as_properties_are(text: str, milliseconds: int) -> None:
    assert target_of({"by_duration": text}, NOW_MS)[0] == ToTime(NOW_MS - milliseconds)


def test_a_duration_reaches_no_further_back_than_1970() -> None:
    assert target_of({"by_duration": "P99999999999D"}, NOW_MS)[0] == ToTime(0)


def test_a_file_names_an_offset_for_each_partition(log: MemoryLog, tmp_path: Path) -> None:
    file = tmp_path / "plan.csv"
    file.write_text("lines,0,4\r\nlines,0,5\nlines,1,7\n")
    # As in Kafka's tool, the last line of a partition counts.
    assert after(log, {}, from_file=str(file)) == {"lines-0": 5, "lines-1": (0, "7 is behind the end")}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lines,0,4\n", "no line for partition 1 of topic 'lines'"),
        ("lines,0,4\nlines,1,0\nwords,0,1\n", "a line for partition 0 of topic 'words', which is not reset"),
        (
            "topic,partition,offset\nlines,0,4\n",
            "line 1 is 'topic,partition,offset', but must be TOPIC,PARTITION",
        ),
        ("lines,0,4\n\nlines,1,0\n", "line 2 is ''"),
        ("lines,0\n", "line 1 is 'lines,0'"),
        ("", "line 1 is ''"),
    ],
)
def test_a_file_that_is_no_plan_is_refused(log: MemoryLog, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "plan.csv").write_text(text)
    with pytest.raises(ConfigError, match=said):
        after(log, {}, from_file=str(tmp_path / "plan.csv"))


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*plan.csv: No such file"):
        target_of({"from_file": str(tmp_path / "plan.csv")}, NOW_MS)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"to_datetime": "yesterday"}, "--to-datetime is 'yesterday', but must be a time"),
        ({"by_duration": "P"}, "--by-duration is 'P'"),
        ({"by_duration": "PT"}, "--by-duration is 'PT'"),
        ({"by_duration": "5"}, "--by-duration is '5'"),
        (
            {"to_offset": 0, "shift_by": 0},
            "--to-offset and --shift-by contradict each other: give one of them",
        ),
    ],
)
def test_impossible_options_are_refused(options: dict[str, str | int | bool | None], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        target_of(options, NOW_MS)


def test_what_was_asked_for_is_said_as_it_was_written() -> None:
    assert target_of({}, NOW_MS) == (Earliest(), "--to-earliest")
    assert target_of({"shift_by": -3, "to_latest": False, "to_offset": None}, NOW_MS)[1] == "--shift-by -3"
    assert target_of({"to_latest": True}, NOW_MS)[1] == "--to-latest"

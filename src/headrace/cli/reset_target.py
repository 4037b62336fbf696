"""Where `headrace reset` sets input partitions to, by the options of Kafka's own reset tool.

Source: StreamsResetter and Utils.getDateTime of Kafka 4.4.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

from headrace.base.durations import milliseconds
from headrace.base.errors import ConfigError
from headrace.base.ids import TopicPartition
from headrace.base.wording import shortened
from headrace.cli.moments import moment_ms
from headrace.log.port import Log

__all__ = [
    "Earliest",
    "FromFile",
    "Latest",
    "Moved",
    "ShiftBy",
    "Target",
    "ToOffset",
    "ToTime",
    "moved",
    "target_of",
]


@dataclass(frozen=True, slots=True)
class Earliest:
    """The first offset that still exists."""


@dataclass(frozen=True, slots=True)
class Latest:
    """Behind the last record."""


@dataclass(frozen=True, slots=True)
class ToOffset:
    """The same offset in each partition."""

    offset: int


@dataclass(frozen=True, slots=True)
class ShiftBy:
    """So many offsets from what is committed; from the end, where nothing is."""

    count: int


@dataclass(frozen=True, slots=True)
class ToTime:
    """The first record that is not older than a timestamp (epoch ms)."""

    timestamp: int


@dataclass(frozen=True, slots=True)
class FromFile:
    """An offset for each partition by itself."""

    path: str
    offsets: Mapping[TopicPartition, int]


Target: TypeAlias = Earliest | Latest | ToOffset | ShiftBy | ToTime | FromFile


@dataclass(frozen=True, slots=True)
class Moved:
    """What becomes of a partition.

    Attributes:
        before: what is committed, None where nothing is.
        note: in what it differs from what was asked for.
    """

    partition: TopicPartition
    before: int | None
    after: int
    note: str = ""


# As java.time.Duration reads it: signs before parts and before the whole, and fractions of seconds.
_ISO_DURATION = re.compile(
    r"([-+]?)P(?:([-+]?\d+)D)?(?:T(?=[-+\d])(?:([-+]?\d+)H)?(?:([-+]?\d+)M)?(?:([-+]?\d+(?:\.\d{0,9})?)S)?)?",
    re.IGNORECASE,
)


def target_of(options: Mapping[str, str | int | bool | None], now_ms: int) -> tuple[Target, str]:
    """Return where the options lead, and what was asked for in words; to the beginning without any.

    Raises:
        ConfigError: there are several, or one has a value that is none.
    """
    given = {name: value for name, value in options.items() if value is not None and value is not False}
    if len(given) > 1:
        first, second, *_ = (f"--{name.replace('_', '-')}" for name in given)
        raise ConfigError(f"{first} and {second} contradict each other: give one of them")
    for name, value in given.items():
        asked = f"--{name.replace('_', '-')}" + ("" if value is True else f" {value}")
        return _target(name, value, now_ms), asked
    return Earliest(), "--to-earliest"


def _target(name: str, value: str | int | bool | None, now_ms: int) -> Target:
    match name:
        case "to_earliest":
            return Earliest()
        case "to_latest":
            return Latest()
        case "to_offset":
            return ToOffset(int(value or 0))
        case "shift_by":
            return ShiftBy(int(value or 0))
        case "to_datetime":
            return ToTime(_moment(str(value)))
        case "by_duration":
            return ToTime(max(0, now_ms - _duration_ms(str(value))))
        case _:
            return FromFile(str(value), _read_file(Path(str(value))))


def _moment(text: str) -> int:
    try:
        return moment_ms(text)
    except ValueError:
        raise ConfigError(
            f"--to-datetime is {shortened(text)}, but must be a time such as 2013-01-01T00:00:00.000, in UTC without "
            f"a zone"
        ) from None


def _duration_ms(text: str) -> int:
    found = _ISO_DURATION.fullmatch(text)
    if found is not None and any(found.groups()[1:]):
        days, hours, minutes = (int(part or 0) for part in found.groups()[1:4])
        seconds = Fraction(found[5] or 0) + 60 * (minutes + 60 * (hours + 24 * days))
        return (-1 if found[1] == "-" else 1) * int(1000 * seconds)
    try:
        return milliseconds(text, name="--by-duration")
    except (ValueError, TypeError):
        raise ConfigError(
            f"--by-duration is {shortened(text)}, but must be one such as 1h30m, or PT1H30M"
        ) from None


def _read_file(path: Path) -> Mapping[TopicPartition, int]:
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    found: dict[TopicPartition, int] = {}
    for number, line in enumerate(text.rstrip("\n").split("\n"), start=1):
        parts = line.rstrip("\r").split(",")
        try:
            topic, partition, offset = parts
            found[TopicPartition(topic, int(partition))] = int(offset)
        except ValueError:
            raise ConfigError(
                f"{path}, line {number} is {shortened(line)}, but must be TOPIC,PARTITION,OFFSET"
            ) from None
    return found


def moved(
    target: Target, log: Log, partitions: Iterable[TopicPartition], committed: Mapping[TopicPartition, int]
) -> list[Moved]:
    """Return where each partition is set to: never before its beginning or behind its end.

    Raises:
        ConfigError: the file has no line for a partition.
        LogError: the log does not answer.
    """
    wanted = sorted(partitions)
    if isinstance(target, FromFile):
        _check_named(target, wanted)
    begins = log.beginning_offsets(wanted)
    # Those of open transactions too, as Kafka's tool has it.
    ends = log.end_offsets(wanted, committed=False)
    times = (
        log.offsets_for_times(dict.fromkeys(wanted, target.timestamp)) if isinstance(target, ToTime) else {}
    )
    found = []
    for each in wanted:
        begin, end, before = begins[each], ends[each], committed.get(each)
        offset, note = _offset(target, each, begin, end, before, times)
        if offset < begin:
            note = f"{offset} is before the beginning"
        elif offset > end:
            note = f"{offset} is behind the end"
        found.append(Moved(each, before, min(max(offset, begin), end), note))
    return found


def _offset(
    target: Target,
    partition: TopicPartition,
    begin: int,
    end: int,
    before: int | None,
    times: Mapping[TopicPartition, int],
) -> tuple[int, str]:
    match target:
        case Earliest():
            return begin, ""
        case Latest():
            return end, ""
        case ToOffset(offset):
            return offset, ""
        case ShiftBy(count):
            return (end if before is None else before) + count, "from the end, since nothing is committed" * (
                before is None
            )
        case ToTime():
            return times[partition], "no record is as late" * (times[partition] >= end)
        case FromFile(_, offsets):
            return offsets[partition], ""


def _check_named(file: FromFile, partitions: Sequence[TopicPartition]) -> None:
    missing = [each for each in partitions if each not in file.offsets]
    if missing:
        raise ConfigError(
            f"{file.path} has no line for {missing[0].in_words()}: every partition that is reset needs one"
        )
    others = sorted(file.offsets.keys() - set(partitions))
    if others:
        raise ConfigError(f"{file.path} has a line for {others[0].in_words()}, which is not reset")

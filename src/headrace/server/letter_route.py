"""The newest dead letters of an application, also when it has stopped."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from headrace.base.ids import TopicPartition
from headrace.log.port import Log
from headrace.outside.dead_letters import DeadLetter, LetterFilter, read_letters
from headrace.outside.letter_topics import letter_topics
from headrace.server.answers import Problem
from headrace.server.lent_log import lent_log
from headrace.server.parameters import Given, Parameter
from headrace.server.routes import Route
from headrace.streams.streams import Streams

__all__ = ["letter_route"]

#: Of a key or a value; whoever needs all of it has `headrace dlq show`.
_SHOWN_BYTES_MAX = 2_000
_SHOWN_CHARACTERS_MAX = 20_000


def letter_route(streams: Streams) -> Route:
    """Return the route."""
    return Route(
        "/dead-letters",
        "The newest dead letters, with what happened to each: of the topic that is configured, and of those that "
        "handlers of this instance have named (Reaction.dead_letter).",
        partial(_letters, streams),
        (
            Parameter("limit", "count", "How many there are at most.", 50),
            Parameter("topic", "text", "Those of one of these topics alone."),
        ),
        statuses=(404, 503),
    )


def _letters(streams: Streams, given: Given) -> object:
    known, one, limit = letter_topics(streams.config), given["topic"], given["limit"]
    if one is not None and one not in known:
        raise Problem(
            404,
            f"topic {one!r} is not known to have dead letters of this application; `headrace dlq show` reads any",
        )
    found: list[DeadLetter] = []
    if known:
        with lent_log(streams) as log:
            counts = {} if log is None else log.partition_counts(known)
            for topic in known if one is None else (one,):
                if log is not None and topic in counts:
                    found += _newest(log, topic, counts[topic], limit + 1)
    found.sort(key=lambda each: (each.timestamp, each.place, each.offset), reverse=True)
    return {
        "topics": known,
        "letters": [_shown(each) for each in found[:limit]],
        "has_more": len(found) > limit,
    }


def _newest(log: Log, topic: str, partitions: int, limit: int) -> Sequence[DeadLetter]:
    """The newest by time. Offsets have gaps: where too few are found, it begins further back."""
    places = [TopicPartition(topic, number) for number in range(partitions)]
    begins, ends = log.beginning_offsets(places), log.end_offsets(places)
    found: list[DeadLetter] = []
    for place in places:
        width = limit
        while True:
            first = max(begins[place], ends[place] - width)
            wanted = LetterFilter(partition=place.partition, first=first)
            letters = list(read_letters(log, topic, partitions, wanted))[-limit:]
            if len(letters) == limit or first == begins[place]:
                break
            width *= 8
        found.extend(letters)
    return found


def _shown(letter: DeadLetter) -> dict[str, Any]:
    origin = letter.origin
    return {
        "topic": letter.place.topic,
        "partition": letter.place.partition,
        "offset": letter.offset,
        "timestamp": letter.timestamp,
        "key": _text(letter.key),
        "value": _text(letter.value),
        "origin": None
        if origin is None
        else {"topic": origin.topic, "partition": origin.partition, "offset": letter.origin_offset},
        "node": letter.node,
        "stage": letter.stage,
        "reason": letter.reason,
        "message": letter.message[:_SHOWN_CHARACTERS_MAX],
        "traceback": letter.traceback[-_SHOWN_CHARACTERS_MAX:],
    }


def _text(data: bytes | None) -> str | None:
    """Bytes for people: as text where they are some, and cut where they are many."""
    if data is None:
        return None
    text = data[:_SHOWN_BYTES_MAX].decode("utf-8", "backslashreplace")
    return text if len(data) <= _SHOWN_BYTES_MAX else f"{text}… ({len(data):,} bytes)"

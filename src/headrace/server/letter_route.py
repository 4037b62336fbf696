"""The newest dead letters of an application, also when it has stopped."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool

from headrace.base.ids import TopicPartition
from headrace.log.port import Log
from headrace.outside.dead_letters import DeadLetter, LetterFilter, read_letters
from headrace.outside.letter_topics import letter_topics
from headrace.server.answers import Problem
from headrace.server.lent_log import lent_log
from headrace.server.neighbours import Neighbours
from headrace.server.parameters import Given, Parameter
from headrace.server.routes import Route
from headrace.streams.streams import Streams

__all__ = ["letter_routes"]

#: Of a key or a value; whoever needs all of it has `headrace dlq show`.
_SHOWN_BYTES_MAX = 2_000
_SHOWN_CHARACTERS_MAX = 20_000


def letter_routes(streams: Streams) -> Sequence[Route]:
    """Return the routes."""
    letters = _Letters(streams)
    return (
        Route(
            "/dead-letters",
            "The newest dead letters, with what happened to each: of the topic that is configured, and of those that "
            "handlers have named (Reaction.dead_letter), by what the instances remember that answer.",
            letters.answer,
            (
                Parameter("limit", "count", "How many there are at most.", 50),
                Parameter("topic", "text", "Those of one of these topics alone."),
            ),
            statuses=(404, 503),
            blocks=False,
        ),
        Route(
            "/dead-letters/topics",
            "The topics to which this instance is known to have written dead letters.",
            letters.topics,
            blocks=False,
        ),
    )


class _Topics(msgspec.Struct):
    """What another instance tells."""

    topics: list[str]


def _topics(data: bytes) -> Sequence[str]:
    return msgspec.json.decode(data, type=_Topics).topics


class _Letters:
    """Of one server."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._neighbours = Neighbours(streams, "letters")

    async def topics(self, given: Given) -> object:
        """Answer with the topics that this instance knows."""
        return {"topics": await self._neighbours.tell(letter_topics, self._streams.config)}

    async def answer(self, given: Given) -> object:
        """Answer with the newest."""
        here = self._neighbours.tell(letter_topics, self._streams.config)
        own, others = await asyncio.gather(here, self._neighbours.ask("/dead-letters/topics", _topics))
        known = dict.fromkeys(own)
        unanswered = []
        for name, told in others:
            if isinstance(told, str):
                unanswered.append({"instance": name, "reason": told})
            else:
                known.update(dict.fromkeys(sorted(told)))
        return await run_in_threadpool(self._newest_of, list(known), unanswered, given)

    def _newest_of(self, known: Sequence[str], unanswered: Sequence[object], given: Given) -> object:
        one, limit = given["topic"], given["limit"]
        if one is not None and one not in known:
            raise Problem(
                404,
                f"topic {one!r} is not known to have dead letters of this application; `headrace dlq show` reads any",
            )
        found: list[DeadLetter] = []
        if known:
            with lent_log(self._streams) as log:
                counts = {} if log is None else log.partition_counts(known)
                for topic in known if one is None else (one,):
                    if log is not None and topic in counts:
                        found += _newest(log, topic, counts[topic], limit + 1)
        found.sort(key=lambda each: (each.timestamp, each.place, each.offset), reverse=True)
        return {
            "topics": known,
            "unanswered": unanswered,
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

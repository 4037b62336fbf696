"""What happens to a record that fails: the handler is told of a `Failure` and answers with a `Reaction`."""

import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from headrace.base.last_words import log_safely
from headrace.base.records import Headers, Record
from headrace.base.wording import message

__all__ = [
    "NODE_HEADER",
    "STAGE_HEADER",
    "Failure",
    "Handler",
    "Reaction",
    "dead_letter_record",
    "log_and_continue",
    "log_and_fail",
]

#: Of dead letters, beside Kafka Streams' own: which node failed, and at what.
NODE_HEADER, STAGE_HEADER = "__headrace.errors.node", "__headrace.errors.stage"

_log = logging.getLogger("headrace.failures")


@dataclass(frozen=True, slots=True)
class Failure:
    """What failed, and the record as it was read: its raw bytes, its own timestamp and headers.

    Attributes:
        error: the exception, with its traceback.
        stage: reading the record, a node's own work, making bytes of a result, or writing it.
        node: the node's name and where it was declared.
        topic: empty in a punctuation, which has no record; then the offset is -1.
        timestamp: epoch ms.
        key, value: raw bytes as read; None where they were null, or no longer known (a cached entry).
    """

    error: Exception
    stage: Literal["deserialize", "process", "serialize", "produce"]
    node: str
    task_id: str
    topic: str
    partition: int
    offset: int
    timestamp: int
    headers: Headers
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Reaction:
    """What to do about a failure.

    `resume` drops the record at the node that failed and goes on; `fail` stops the application; `retry` goes back
    to the last commit and reads the records again; `dead_letter` writes the record as it was read to another topic,
    with headers that tell what happened, and goes on.
    """

    kind: Literal["resume", "fail", "retry", "dead_letter"]
    topic: str | None = None

    resume: ClassVar["Reaction"]
    fail: ClassVar["Reaction"]
    retry: ClassVar["Reaction"]

    @staticmethod
    def dead_letter(topic: str | None = None) -> "Reaction":
        """Write the record to a topic; without one, to `errors.dead.letter.queue.topic.name`."""
        return Reaction("dead_letter", topic)


Reaction.resume = Reaction("resume")
Reaction.fail = Reaction("fail")
Reaction.retry = Reaction("retry")

#: Decides about a failure. It runs on the worker's thread; what it raises stops the application.
Handler: TypeAlias = Callable[[Failure], Reaction]


def log_and_fail(failure: Failure) -> Reaction:
    """Log the failure and stop: the default of every stage."""
    _write(logging.ERROR, failure)
    return Reaction.fail


def log_and_continue(failure: Failure) -> Reaction:
    """Log the failure, drop the record, go on."""
    _write(logging.WARNING, failure)
    return Reaction.resume


def _write(level: int, failure: Failure) -> None:
    # Logging that fails must not turn *go on* into the end, or hide what failed.
    fields = {"node": failure.node.rpartition(" (")[0] or failure.node, "task": failure.task_id}
    if not failure.topic:
        text = "%s failed in a punctuation (task %s)"
        log_safely(_log, level, text, failure.node, failure.task_id, exc_info=failure.error, extra=fields)
        return
    log_safely(
        _log,
        level,
        "%s failed to %s a record (task %s, topic %s, partition %d, offset %d)",
        failure.node,
        failure.stage,
        failure.task_id,
        failure.topic,
        failure.partition,
        failure.offset,
        exc_info=failure.error,
        extra=fields,
    )


def dead_letter_record(failure: Failure) -> Record[bytes | None, bytes | None]:
    """Return the record that a dead-letter topic gets: as it was read, and what happened in headers.

    Source: KIP-1034 and `ExceptionHandlerUtils`; node and stage come behind its headers. The exception's name is
    Python's, with its module where that is not builtins. A punctuation has no record: key, value and topic
    are null, and the timestamp is 0 where none is known.
    """
    error = failure.error
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    stack = "".join(traceback.format_exception(error))
    headers: Headers = (
        *failure.headers,
        ("__streams.errors.exception", name.encode()),
        ("__streams.errors.message", _encoded(message(error))),
        ("__streams.errors.stacktrace", _encoded(stack)),
        ("__streams.errors.topic", failure.topic.encode() if failure.topic else None),
        ("__streams.errors.partition", str(failure.partition).encode()),
        ("__streams.errors.offset", str(failure.offset).encode()),
        (NODE_HEADER, _encoded(failure.node)),
        (STAGE_HEADER, failure.stage.encode()),
    )
    return Record(failure.key, failure.value, max(failure.timestamp, 0), headers)


def _encoded(text: str) -> bytes:
    # A message may hold half a surrogate pair, of a file name say; a dead letter must be written nevertheless.
    return text.encode("utf-8", "backslashreplace")

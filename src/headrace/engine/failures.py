"""What happens when a record fails: the handler is asked, and its reaction carried out.

Kinds of failure and who decides: a record that cannot be read (deserialization handler), a node's function that
raises (processing handler), a record that cannot be written (production handler).
"""

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from headrace.base.errors import (
    ConfigError,
    HeadraceError,
    InvalidTopicError,
    ProcessingError,
    ProductionError,
    RetryRequested,
    SerializationError,
    UnknownTopicError,
)
from headrace.base.ids import Location
from headrace.base.interrupts import is_interrupt
from headrace.base.rare_warnings import is_worth_a_warning
from headrace.base.records import Headers
from headrace.base.topic_names import topic_name_problem
from headrace.base.wording import message, wording
from headrace.engine.collector import RecordCollector
from headrace.engine.options import EngineOptions
from headrace.processor.context import TaskContext
from headrace.processor.handlers import Failure, Handler, Reaction, dead_letter_record
from headrace.topology.locations import is_raised_by_user
from headrace.topology.wiring import Failed

if TYPE_CHECKING:
    from headrace.engine.tracing import Tracing

__all__ = ["Failures", "is_failure"]

_log = logging.getLogger("headrace.failures")

#: Errors of ours that are about the record at hand, so that the handler of that stage is asked.
_OF_THE_RECORD: Mapping[str, tuple[type[HeadraceError], ...]] = {
    "deserialize": (SerializationError,),
    "process": (SerializationError,),
    "serialize": (SerializationError,),
    "produce": (ProductionError, InvalidTopicError, UnknownTopicError),
}

Stage = Literal["deserialize", "process", "serialize", "produce"]

#: How the reasons begin for which records are given up that a function, a serde or the log has refused.
_FAILED = "failed to "


def is_failure(reason: str) -> bool:
    """Whether a record that was dropped for a reason has failed, and was not merely late, or without a key."""
    return reason.startswith(_FAILED)


class Failures:
    """Asks the handlers of one task and does what they say.

    `dropped` is told of each record that is not gone on with: node and reason; `tracing` notes why in its span.

    A dead letter goes through the task's own columns: it is committed with the record's own transaction, or not at all.

    # Invariant: what a handler decided holds, also where a user's `except Exception` around `forward` swallows it: the
    # task asks `ensure_none` before it goes on (tests/engine: "user code swallows").
    """

    def __init__(
        self,
        context: TaskContext,
        collector: RecordCollector,
        options: EngineOptions,
        dropped: Callable[[str, str], None],
        tracing: "Tracing | None",
    ) -> None:
        self._context = context
        self._collector = collector
        self._options = options
        self._dropped = dropped
        self._tracing = tracing
        self._warnings: dict[str, int] = {}
        self._raised: HeadraceError | None = None

    def of_processing(self, name: str, where: Location) -> Failed:
        """Make the function that a node calls with what its own work raised."""
        handler = self._options.processing_exception_handler
        refused = self.of_production(name, where)

        def failed(error: BaseException, key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            if isinstance(error, ProductionError):
                # A store's change record, which its topic does not take: as with a sink's record.
                refused(error, key, value, timestamp, headers)
                return
            self._decide(error, "process", handler, name, where, value)

        return failed

    def of_production(self, name: str, where: Location) -> Failed:
        """Make the function that a sink calls with what kept a record from being written."""
        handler = self._options.production_exception_handler

        def refused(error: BaseException, key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            stage: Stage = "produce" if isinstance(error, _OF_THE_RECORD["produce"]) else "serialize"
            self._decide(error, stage, handler, name, where, value)

        return refused

    def of_reading(self, name: str, where: Location, error: BaseException) -> None:
        """Decide about the record at the cursor, which cannot be read."""
        self._decide(
            error, "deserialize", self._options.deserialization_exception_handler, name, where, error
        )

    def ensure_none(self) -> None:
        """Raise once more what ends this try of the records, if somebody above has swallowed it."""
        if self._raised is not None:
            raise self._raised

    def forget(self) -> None:
        """Begin anew, after an abort."""
        self._raised = None

    def _final(self, error: HeadraceError) -> HeadraceError:
        self._raised = error
        self._context.interrupted = True
        return error

    def ensure_told(self, error: BaseException, name: str, where: Location) -> None:
        """Stop the application where code of the user raised something outside of every node's own work.

        Says nothing more of what is told already, and of Ctrl-C.
        """
        if (not isinstance(error, HeadraceError) or is_raised_by_user(error)) and not is_interrupt(error):
            # Nothing is known of a value here, so nothing is said of one.
            raise self._final(self._stopped(error, f"{name} ({where})", "process", error)) from error

    def ensure_made(self, error: BaseException, name: str, where: Location, verb: str) -> None:
        """The same for what runs when a task starts or ends, and has no record."""
        if (not isinstance(error, HeadraceError) or is_raised_by_user(error)) and not is_interrupt(error):
            node, task_id = f"{name} ({where})", str(self._context.task_id)
            raise ProcessingError(
                f"{node} could not {verb} in task {task_id}: {wording(error)}", node=node, task_id=task_id
            ) from error

    def _decide(
        self, error: BaseException, stage: Stage, handler: Handler, name: str, where: Location, value: object
    ) -> None:
        if is_interrupt(error):
            raise error
        if (
            isinstance(error, HeadraceError)
            and not isinstance(error, _OF_THE_RECORD.get(stage, ()))
            and not is_raised_by_user(error)
        ):
            # Not the record's fault: decided further down already (user code that forwards lets it pass through its
            # own frames), or the disk's, the log's, the topology's. No handler may drop a record because of that.
            raise self._final(error)
        node = f"{name} ({where})"
        if not isinstance(error, Exception):
            # `sys.exit()` and its like ask for the end. In a thread they would end nothing but the thread, silently.
            raise self._final(self._stopped(error, node, stage, value)) from error
        failure = self._failure(error, stage, node)
        try:
            # Python does not hold a user's function to its annotation.
            reaction: object = handler(failure)
        except BaseException as fault:
            if is_interrupt(fault):
                raise
            raise self._final(
                self._stopped(fault, node, stage, failure, by="the handler itself failed on it")
            ) from fault
        if not isinstance(reaction, Reaction):
            answer = TypeError(
                f"the handler returned {reaction!r}; return Reaction.fail, .resume, .retry or .dead_letter()"
            )
            raise self._final(self._stopped(answer, node, stage, failure)) from error
        if reaction.kind == "retry":
            request = RetryRequested(f"{node}: the handler asked to try again after {wording(error)}")
            raise self._final(request) from error
        if reaction.kind == "fail":
            raise self._final(self._stopped(error, node, stage, value)) from error
        done = "dropped"
        if reaction.kind == "dead_letter":
            done = f"written to dead-letter topic '{self._write_dead_letter(failure, reaction, node)}'"
        self._dropped(name, f"{_FAILED}{stage}")
        if self._tracing is not None:
            self._tracing.failed(error)
        seen = self._warnings[node] = self._warnings.get(node, 0) + 1
        if is_worth_a_warning(seen):
            what = f"punctuation {done}" if self._context.topic is None else f"record {done}"
            _log.warning(
                "%s: %s, as the %s handler says (task %s, %s): %r; %d so far",
                node, what, stage, failure.task_id, self._location, error, seen, extra={"node": name},
            )  # fmt: skip

    def _failure(self, error: Exception, stage: Stage, node: str) -> Failure:
        context = self._context
        return Failure(
            error=error,
            stage=stage,
            node=node,
            task_id=str(context.task_id),
            topic=context.topic or "",
            partition=context.partition,
            offset=context.offset,
            timestamp=context.source_timestamp,
            headers=context.source_headers,
            key=context.raw_key,
            value=context.raw_value,
        )

    @property
    def _location(self) -> str:
        context = self._context
        if context.topic is None:
            return "in a punctuation"
        return f"topic '{context.topic}', partition {context.partition}, offset {context.offset}"

    def _write_dead_letter(self, failure: Failure, reaction: Reaction, node: str) -> str:
        """Write the record; return the topic."""
        topic = reaction.topic or self._options.errors_dead_letter_queue_topic_name
        if topic is None:
            wrong = ConfigError(
                f"{node}: the handler answered Reaction.dead_letter(), but no topic is named; set "
                "errors.dead.letter.queue.topic.name, or write Reaction.dead_letter('topic')"
            )
            raise self._final(wrong) from failure.error
        if (problem := topic_name_problem(topic)) is not None:
            answer = ValueError(f"the topic that the handler wants a dead letter in, {topic!r}, {problem}")
            raise self._final(self._stopped(answer, node, failure.stage, failure)) from failure.error
        record = dead_letter_record(failure)
        try:
            self._collector.add_dead_letter(topic, record)
        except (ProductionError, InvalidTopicError, UnknownTopicError) as error:
            stopped = self._stopped(
                failure.error, node, failure.stage, failure, by=f"and no dead letter can be written: {error}"
            )
            raise self._final(stopped) from failure.error
        return topic

    def _stopped(
        self, error: BaseException, node: str, stage: Stage, value: object, *, by: str = ""
    ) -> ProcessingError:
        context = self._context
        verb = {"deserialize": "read", "process": "process", "serialize": "serialise", "produce": "write"}[
            stage
        ]
        hint = ""
        # By its words, too: much else raises a TypeError while the value happens to be null.
        if value is None and isinstance(error, (AttributeError, TypeError)) and "NoneType" in message(error):
            hint = self._null_hint()
        failed = "failed" if context.topic is None else f"could not {verb} a record:"
        return ProcessingError(
            f"{node} {failed} {self._location}, task {context.task_id}: "
            f"{wording(error)}{hint}{'; ' + by if by else ''}",
            node=node,
            task_id=str(context.task_id),
            topic=context.topic,
            partition=context.partition,
            offset=context.offset,
        )

    def _null_hint(self) -> str:
        """Say where a null value came from: read as one, or made on the way here. Nothing where that is not known."""
        context = self._context
        if context.topic is None or context.chunk is None or context.kept is not None:
            return ""
        if context.raw_value is None:
            return " (the value was null: a tombstone)"
        return " (the value is None here, but was not null when it was read)"

"""The tree of errors. Each class answers one question: what happens next?"""

from collections.abc import Sequence

from headrace.base.records import RawRecord

__all__ = [
    "AlreadyRunningError",
    "ConfigError",
    "DatabaseError",
    "FencedError",
    "HeadraceError",
    "InvalidTopicError",
    "LogError",
    "LogUnavailableError",
    "OffsetOutOfRangeError",
    "ProcessingError",
    "ProductionError",
    "RecordsRefusedError",
    "RetryRequested",
    "SchemaRegistryError",
    "SchemaRegistryUnavailableError",
    "SerializationError",
    "StateCorruptionError",
    "StateError",
    "StoreUnavailableError",
    "TopologyError",
    "TransactionAbortedError",
    "UnknownTopicError",
]


class HeadraceError(Exception):
    """Every error that headrace raises on purpose."""


class TopologyError(HeadraceError, ValueError):
    """The topology is wrong: fix your code. Raised while it is described or built, never while it runs."""


class ConfigError(HeadraceError, ValueError):
    """A property is unknown, has an impossible value, or is given in the wrong place: fix the configuration."""


class SerializationError(HeadraceError):
    """A key or value cannot be turned into bytes or back. The handler of that stage decides about the record."""


class ProcessingError(HeadraceError):
    """The application stops because of one record. `__cause__` is the user's own exception, with its traceback.

    Nothing of the record's transaction was committed: a restart reads it again.

    Attributes:
        node: the node that failed, with the place where it was declared.
        task_id, topic, partition, offset: the record; topic is None for a punctuation.
    """

    def __init__(
        self,
        message: str,
        *,
        node: str = "",
        task_id: str = "",
        topic: str | None = None,
        partition: int = -1,
        offset: int = -1,
    ) -> None:
        super().__init__(message)
        self.node = node
        self.task_id = task_id
        self.topic = topic
        self.partition = partition
        self.offset = offset


class ProductionError(ProcessingError):
    """A record cannot be written: the log refused it, or its partitioner gave an impossible partition."""


class RecordsRefusedError(ProductionError):
    """The log has refused records, and with them all that was written since the last commit.

    The worker goes back there; when the records come again, the production handler decides about each.

    Attributes:
        records: those that were refused, of one partition.
    """

    def __init__(self, message: str, *, topic: str, partition: int, records: Sequence[RawRecord]) -> None:
        super().__init__(message, topic=topic, partition=partition)
        self.records = tuple(records)


class RetryRequested(HeadraceError):  # noqa: N818 - a request, not an error of anyone
    """A handler answered *retry*: the worker aborts to the last commit and reads the records again."""


class LogError(HeadraceError):
    """The log cannot be read or written: full disk, no permission, damaged file.

    Nothing that was committed is lost: stop, mend, start again.
    """


class LogUnavailableError(LogError):
    """The log did not answer for as long as one would wait: brokers are away, or something between here and them.

    Nothing that was committed is lost: start again when they are back.
    """


class SchemaRegistryError(HeadraceError):
    """The schema registry refuses a schema, or has none where one is asked for: fix code, registry or configuration.

    No record is at fault, so no handler is asked: the application stops, and nothing of what was committed is lost.

    Attributes:
        status: of the answer, by HTTP: 404 where there is no such schema, 409 where it is not compatible with others; 0
            where there is none.
    """

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class SchemaRegistryUnavailableError(SchemaRegistryError, LogUnavailableError):
    """The schema registry did not answer. The worker goes back to the last commit and tries again until it does."""


class UnknownTopicError(LogError):
    """A topic does not exist."""


class InternalTopicLostError(UnknownTopicError):
    """A topic that the application has made for itself was deleted while it ran; it stops, and its stores stay."""


class InvalidTopicError(LogError):
    """A topic cannot have this name: Kafka allows none like it, or one that is there is too near to it."""


class OffsetOutOfRangeError(LogError):
    """A position lies outside of what the log has: retention was faster, or the topic was made again.

    The source's reset policy decides about an input; a store is rebuilt from its changelog.

    Attributes:
        topic, partition, position: what was asked for.
        first, end: what the log has, `end` exclusive; -1 where the log has not said.
        parts_at: up to where the log is still the one that was read, where it has lost what was read behind; -1 where
            that is not so, or not known.
    """

    def __init__(
        self,
        message: str,
        *,
        topic: str,
        partition: int,
        position: int,
        first: int = -1,
        end: int = -1,
        parts_at: int = -1,
    ) -> None:
        super().__init__(message)
        self.topic = topic
        self.partition = partition
        self.position = position
        self.first = first
        self.end = end
        self.parts_at = parts_at


class TransactionAbortedError(LogError):
    """What was written since the last commit is given up: the log lost it, or never said what became of it.

    The worker aborts, drops the buffers of all its tasks, and builds them again from what is committed.
    """


class StaleMemberEpochError(LogError):
    """The group has gone on to another epoch than that as which was committed, and has refused the offsets.

    Nothing is committed, and nothing is lost: the worker commits again as soon as it has heard of the new one.
    """


class FencedError(LogError):
    """Another instance of the application has taken over: this one stops and writes nothing more."""


class ApplicationStoppedError(HeadraceError):
    """An instance of the application has told all of them to stop, this one among them."""


class DatabaseError(HeadraceError):
    """A database refuses what a sink does there, whatever the record is: mend the table, or the rights, start again.

    Nothing is lost: rows and positions are committed together.
    """


class StateError(HeadraceError):
    """An operation was called in a state of the application that does not allow it."""


class StateCorruptionError(HeadraceError):
    """A local store cannot be trusted. The runtime deletes it and rebuilds it from its changelog.

    Attributes:
        path: directory of the task's stores; empty if it is not known.
    """

    def __init__(self, message: str, *, path: str = "") -> None:
        super().__init__(message)
        self.path = path


class StoreUnavailableError(HeadraceError):
    """A store cannot be read now (not started, restoring, or it lives elsewhere): retry later."""


class AlreadyRunningError(HeadraceError):
    """Another process runs this application on this state directory: stop it, or use another application id."""

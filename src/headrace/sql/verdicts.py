"""What becomes of a record that cannot be read, makes no row, or whose row is refused: the handlers decide."""

from collections.abc import Callable
from typing import Literal, assert_never

from headrace.base.columns import Chunk
from headrace.base.errors import ConfigError, LogUnavailableError, ProcessingError, TransactionAbortedError
from headrace.base.records import NO_HEADERS
from headrace.processor.handlers import Failure, Handler, Reaction
from headrace.serde.serde import kind_of
from headrace.sql.judgement import Later, said
from headrace.sql.log_side import LogSide

__all__ = ["Stage", "Verdicts"]

Stage = Literal["deserialize", "process", "produce"]

_VERBS = {"deserialize": "read", "process": "make a row of", "produce": "write the row of"}


class Verdicts:
    """Asks the application's handlers, by the stage at which a record failed, and does what they say.

    `node` is what failed, for people. `dead_letters` names the topic where a handler names none.
    """

    def __init__(
        self, node: str, handler_of: Callable[[Stage], Handler], dead_letters: str | None, log_side: LogSide
    ) -> None:
        self._node = node
        self._handler_of = handler_of
        self._dead_letters = dead_letters
        self._log_side = log_side

    def drop(self, chunk: Chunk, index: int, error: Exception, stage: Stage) -> None:
        """Return where the record is to be dropped: a dead letter, if it is one, waits for `settle` then.

        Raises:
            ProcessingError: the sink is to stop.
            Later: the record is to be tried again.
        """
        failure = self._failure(chunk, index, error, stage)
        try:
            reaction: object = self._handler_of(stage)(failure)
        except Exception as raised:
            raise self._stopped(
                failure, raised, f"; its handler had been asked about {said(error)}"
            ) from raised
        if not isinstance(reaction, Reaction):
            answer = TypeError(f"the handler returned {kind_of(reaction)}: a Reaction is wanted")
            raise self._stopped(failure, answer) from error
        match reaction.kind:
            case "resume":
                return
            case "dead_letter":
                self._put_aside(failure, reaction.topic or self._dead_letters)
            case "retry":
                raise Later(
                    f"{self._words(failure)}: {said(error)}; the handler wants it tried again"
                ) from error
            case "fail":
                raise self._stopped(failure, error) from error
            case _:
                assert_never(reaction.kind)

    def settle(self) -> None:
        """Make all dead letters durable: the positions behind their records are committed after that.

        Raises:
            Later: the log does not answer.
        """
        try:
            self._log_side.flush()
        except (LogUnavailableError, TransactionAbortedError) as error:
            raise Later(f"dead letters cannot be written: {error}") from error

    def _put_aside(self, failure: Failure, topic: str | None) -> None:
        if topic is None:
            raise ConfigError(
                f"{self._node}: the handler answered Reaction.dead_letter(), but no topic is named; set "
                "errors.dead.letter.queue.topic.name, or write Reaction.dead_letter('topic')"
            ) from failure.error
        self._log_side.put_aside(topic, failure)

    def _failure(self, chunk: Chunk, index: int, error: Exception, stage: Stage) -> Failure:
        return Failure(
            error=error,
            stage=stage,
            node=self._node,
            task_id=f"0_{chunk.partition}",
            topic=chunk.topic,
            partition=chunk.partition,
            offset=chunk.offsets[index],
            timestamp=chunk.timestamps[index],
            headers=NO_HEADERS if chunk.headers is None else chunk.headers[index],
            key=chunk.keys[index],
            value=chunk.values[index],
        )

    def _words(self, failure: Failure) -> str:
        return (
            f"{self._node} could not {_VERBS[failure.stage]} a record: topic '{failure.topic}', partition "
            f"{failure.partition}, offset {failure.offset}"
        )

    def _stopped(self, failure: Failure, error: Exception, more: str = "") -> ProcessingError:
        return ProcessingError(
            f"{self._words(failure)}: {said(error)}{more}",
            node=self._node,
            task_id=failure.task_id,
            topic=failure.topic,
            partition=failure.partition,
            offset=failure.offset,
        )

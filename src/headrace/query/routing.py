"""Asks a partition of a store wherever it is: here, at the instance that runs it, or at one that follows it.

Who runs a task changes: what nobody could answer is asked again, of whoever has it then, until the deadline.

# Invariant: an answer is given only if it shows all that was committed before the question, less the staleness that is
allowed (`StoreRead.as_of`). Else somebody else is asked, or the question ends in StoreUnavailableError.
"""

import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

import msgspec
from typing_extensions import TypeVar

from headrace.base.errors import StoreUnavailableError, TopologyError
from headrace.base.ids import TopicPartition
from headrace.engine.store_read import StoreRead
from headrace.engine.task_places import TaskPlaces
from headrace.group.user_data import Endpoint
from headrace.query.connections import Connections
from headrace.query.position import Position
from headrace.query.questions import Answer, Question, Refused, answered, as_tuples, reached
from headrace.query.store_places import StorePlaces
from headrace.state.port import StoreReads
from headrace.state.task_rows import value_codec
from headrace.topology.partitioners import Partitioner
from headrace.topology.topology import Topology

__all__ = ["Asking", "Here", "Router", "StoreRoute"]

T = TypeVar("T")

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.005, 0.2

#: What one instance has of the time, where others may be asked after it.
_SHARE = 4
_LEAST_SHARE_S = 0.25


@dataclass(frozen=True, slots=True)
class Asking:
    """How a question is to be answered: see `QueryOptions`. Times in seconds."""

    committed: bool = False
    stale_s: float = 0.0
    at_least: Position | None = None
    timeout_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Here:
    """What this instance has. From any thread.

    Attributes:
        active: store, partition, and whether as of the last commit, to what can be read where its task runs here.
        followed: the same of one that is followed here.
        places: where all tasks are; None before that is known.
        endpoint: where others reach this instance.
        may_wait: whether the caller may be held up: not so in a thread of the application.
        waits_for: its state and what it waits for, for people to read; None where it runs and its brokers answer.

    The first three raise StoreUnavailableError where the application does not run.
    """

    active: Callable[[str, int, bool], StoreRead | None]
    followed: Callable[[str, int], StoreRead | None]
    places: Callable[[], TaskPlaces | None]
    endpoint: Endpoint
    may_wait: Callable[[], bool]
    waits_for: Callable[[], str | None]

    def because(self, reason: str) -> str:
        """Return why there is no answer, with what the instance waits for: that is the cause more often than not."""
        waits_for = self.waits_for()
        return reason if waits_for is None else f"{reason}; this instance is {waits_for}"


class Router:
    """Of one application, in one of its instances. From any thread."""

    def __init__(self, topology: Topology, application_id: str, here: Here, connections: Connections) -> None:
        self.application_id = application_id
        self.topology = topology
        self.here = here
        self.connections = connections
        self._codecs: dict[str, Any] = {}

    def codec(self, store: str) -> Any:
        """Return how a store's values become bytes and back."""
        found = self._codecs.get(store)
        if found is None:
            spec = self.topology.stores[store]
            found = value_codec(spec, f"{self.application_id}-{spec.changelog_topic}")
            self._codecs[store] = found
        return found

    def answer(self, question: Question) -> Answer:
        """Answer another instance with what is here."""
        if question.application != self.application_id:
            return Answer(
                refusal=f"here is application {self.application_id!r}, not {question.application!r}"
            )
        if question.store not in self.topology.stores:
            return Answer(
                refusal=f"the topology here has no store {question.store!r}: is it of another version?"
            )
        try:
            return self._answer(question, time.monotonic())
        except (Refused, StoreUnavailableError) as error:
            return Answer(refusal=self.here.because(str(error)))

    def _answer(self, question: Question, asked_at: float) -> Answer:
        here = self.here
        store, partition = question.store, question.partition
        if question.follows:
            read = here.followed(store, partition)
        else:
            read = here.active(store, partition, question.committed)
        if read is None:
            raise Refused("it is not there")
        if question.ask == "position":
            answer = _position(read)
        else:
            reached(read, question)
            answer = answered(read.reads, question, self.codec(question.store).to_bytes)
        ensure_fresh(read, asked_at - question.stale_s)
        return answer


def ensure_fresh(read: StoreRead, wanted: float) -> None:
    """Look after a read whether what was committed before a moment was seen by it.

    Raises:
        Refused: it may not have been.
    """
    as_of = read.as_of()
    if as_of < wanted:
        if as_of == float("-inf"):
            raise Refused("the task has gone from there, or its copy is not complete yet")
        raise Refused(f"what is there may be {wanted - as_of:.1f} s older than it is to be")


def _ensure_of_store(
    store: str, wanted: Sequence[tuple[TopicPartition, int]], topics: Collection[str]
) -> None:
    """Look whether a store can tell that it has reached a position.

    Raises:
        TopologyError: none of the position's topics is one of those that the store is made of.
    """
    if wanted and not any(place.topic in topics for place, _ in wanted):
        named = ", ".join(sorted({place.topic for place, _ in wanted}))
        raise TopologyError(
            f"cannot wait until store {store!r} has reached a position of {named}: it is made of "
            f"{', '.join(sorted(topics))}; name one of these in at_least=, or give what position() says of the store"
        )


class StoreRoute:
    """The way to one store, for questions that are to be answered in one way. From any thread.

    What the group says is looked at each time, and taken apart when it has changed.
    """

    def __init__(
        self, router: Router, store: str, asking: Asking, partitioner: Partitioner | None = None
    ) -> None:
        self.router = router
        self.store = store
        self.asking = asking
        self._partitioner = partitioner
        self._known: tuple[object, object, StorePlaces] | None = None

    def places(self) -> StorePlaces:
        """Return where the store is, as far as it is known now.

        Raises:
            StoreUnavailableError: the application does not run, or has not looked at its topics yet.
        """
        router = self.router
        places = router.here.places()
        planned = None if places is None else places.planned
        if places is None or planned is None:
            raise StoreUnavailableError(
                f"cannot query store {self.store!r}: the application is starting; wait_running() first"
            )
        endpoints, known = places.endpoints, self._known
        if known is None or known[0] is not planned or known[1] is not endpoints:
            found = StorePlaces(planned, endpoints, router.application_id, self.store, self._partitioner)
            known = self._known = planned, endpoints, found
        return known[2]

    def question(self, partition: int, **asked: Any) -> Question:
        """Make a question.

        Raises:
            TopologyError: no topic of `at_least` is one that the store is made of.
        """
        asking = self.asking
        at_least: tuple[tuple[str, int, int], ...] = ()
        if asking.at_least is not None:
            topics = self.places().topics_of(partition)
            wanted = list(asking.at_least.items())
            _ensure_of_store(self.store, wanted, {topic for topic, _ in topics})
            at_least = as_tuples([(place, offset) for place, offset in wanted if tuple(place) in topics])
        return Question(
            self.router.application_id,
            self.store,
            partition,
            committed=asking.committed,
            stale_s=asking.stale_s,
            at_least=at_least,
            **asked,
        )

    def read(self, question: Question, local: Callable[[Any], T]) -> T | Answer:
        """Have a question answered: `local` reads what is here, others give an answer in bytes.

        Raises:
            StoreUnavailableError: nobody answers until the deadline; the last reasons are in it.
        """
        asked_at = time.monotonic()
        deadline = asked_at + self.asking.timeout_s
        pause = _FIRST_PAUSE_S
        while True:
            refusals: list[str] = []
            for attempt in self._attempts(question, local, asked_at, deadline):
                try:
                    return attempt()
                except (Refused, StoreUnavailableError) as refused:
                    refusals.append(str(refused))
            now = time.monotonic()
            if now + pause >= deadline or not self.router.here.may_wait():
                raise StoreUnavailableError(
                    self.router.here.because(
                        f"partition {question.partition} of store {self.store!r} is unavailable: {'; '.join(refusals)}"
                    )
                )
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _attempts(
        self, question: Question, local: Callable[[Any], T], asked_at: float, deadline: float
    ) -> list[Callable[[], T | Answer]]:
        """Return whom to ask, in this order. Each raises Refused where it does not answer."""
        here, partition = self.router.here, question.partition
        fresh = asked_at - question.stale_s
        found: list[Callable[[], T | Answer]] = []
        places = self.places()
        read = None
        with suppress(StoreUnavailableError):  # a global store is not up to date yet
            read = here.active(self.store, partition, question.committed)
        if read is not None:
            found.append(partial(_here, read, question, local, fresh))
        others = [each for each in places.active.get(partition, ()) if each != here.endpoint]
        found += [partial(self._asked, at, question, deadline) for at in others]
        if question.stale_s > 0:
            followed = here.followed(self.store, partition)
            if followed is not None:
                found.append(partial(_here, followed, question, local, fresh))
            followers = [each for each in places.standby.get(partition, ()) if each != here.endpoint]
            following = msgspec.structs.replace(question, follows=True)
            found += [partial(self._asked, at, following, deadline) for at in followers]
        if not found:
            found.append(partial(_nobody, places, partition, here))
        return found

    def _asked(self, endpoint: Endpoint, question: Question, deadline: float) -> Answer:
        left = deadline - time.monotonic()
        if left <= 0:
            raise Refused("there is no time left to ask others")
        share = max(_LEAST_SHARE_S, self.asking.timeout_s / _SHARE)
        within_s = min(left, share)
        timed = msgspec.structs.replace(question, within_s=within_s)
        data = self.router.connections.ask(endpoint, _encode(timed), within_s)
        try:
            answer = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Refused(f"{endpoint[0]}:{endpoint[1]} answers what is no answer: {error}") from None
        if answer.refusal is not None:
            raise Refused(f"{endpoint[0]}:{endpoint[1]} says: {answer.refusal}")
        return answer


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Answer).decode


def _here(read: StoreRead, question: Question, local: Callable[[StoreReads], T], fresh: float) -> T | Answer:
    reached(read, question)
    found = _position(read) if question.ask == "position" else local(read.reads)
    ensure_fresh(read, fresh)
    return found


def _position(read: StoreRead) -> Answer:
    return Answer(position=as_tuples(list(read.position().items())))


def _nobody(places: StorePlaces, partition: int, here: Here) -> NoReturn:
    if places.is_global:
        raise Refused("it is still being read from its topic")
    if here.endpoint in places.active.get(partition, ()):
        raise Refused("it is being restored here, or on its way")
    raise Refused(
        "no instance is known that has it: it may be on its way to one; an instance is known when application.server "
        "is set for it, to the host:port where it is served (headrace run --serve)"
    )


def position_of(route: StoreRoute, partition: int) -> Position:
    """Return how far a partition is, as of the last commit.

    Raises:
        StoreUnavailableError: nobody tells until the deadline.
    """
    question = route.question(partition, ask="position")
    question = msgspec.structs.replace(question, committed=True)
    found = route.read(question, lambda reads: Answer())
    return Position({TopicPartition(topic, number): offset for topic, number, offset in found.position})

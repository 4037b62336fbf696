"""Joins of a table with another one by a foreign key: rows subscribe to the other table's, and are answered.

Source: `SubscriptionSendProcessorSupplier`, `SubscriptionReceiveProcessorSupplier`,
`SubscriptionJoinProcessorSupplier`, `ForeignTableJoinProcessorSupplier`, `ResponseJoinProcessorSupplier`.

An update of this table is sent as a subscription to where the other table's row is. There subscriptions are kept; one
is answered when it comes, and all of a row when the row changes. Back here an answer is joined with the row that
asked, if that is as it was: else another answer is under way. Whatever nobody has to look at passes as bytes: foreign
keys and the other table's values there, and until an answer is known to be wanted.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from headrace.base.columns import Stretch
from headrace.base.errors import HeadraceError, SerializationError
from headrace.base.murmur3 import murmur3_128
from headrace.base.records import Headers
from headrace.operators.getters import Getter, compile_all_encoded, compile_encoded
from headrace.serde.foreign_keys import Instruction, Response, Subscription, foreign_key_prefix, subscriber
from headrace.serde.serde import Serde
from headrace.state.buffer.row import ENCODED
from headrace.topology.wiring import MISSING, Change, Forward, Step, Wiring

__all__ = [
    "AnswerSubscription",
    "AnswerSubscriptions",
    "ForeignKeyJoining",
    "JoinResponse",
    "KeepSubscription",
    "SendSubscription",
    "TableSerdes",
]

_FORGET, _FORGET_AND_ANSWER, _KEEP_AND_ANSWER, _KEEP = (int(each) for each in Instruction)

_OUT_OF_ORDER = "older than the version that is joined"


@dataclass(frozen=True, slots=True)
class TableSerdes:
    """The serdes of a table's keys and values."""

    key: Serde[Any]
    value: Serde[Any]


@dataclass(frozen=True, slots=True)
class ForeignKeyJoining:
    """What all nodes of a join know.

    Attributes:
        extractor: gives a row's foreign key, of key and value where `with_key`, else of its value; None is no key.
        joiner: gives the result of this value and the other one, which is None where `keeps_this` and there is none.
        keeps_this: whether rows without a match have a result, as in a left join.
        this, other: the serdes of both tables.
        topic: the one that subscriptions go through; serdes are told a part of a record by its name and an ending.
    """

    extractor: Callable[..., Any]
    with_key: bool
    joiner: Callable[[Any, Any], Any]
    keeps_this: bool
    this: TableSerdes
    other: TableSerdes
    topic: str

    def topic_of(self, part: str, wiring: Wiring) -> str:
        """Topic that a serde is told: of `pk`, this table's keys, `fk`, the other's, or `vh`, this table's values."""
        return f"{wiring.context.application_id}-{self.topic}-{part}"


class SendSubscription:
    """Turns updates of this table into subscriptions; keys become foreign keys.

    Where the foreign key changes, the old one is to be forgotten, maybe by another task, and the new one answers.
    """

    rekeys = True

    def __init__(self, joining: ForeignKeyJoining) -> None:
        self._joining = joining

    def compile(self, wiring: Wiring) -> Forward:
        """Make the closure."""
        joining = self._joining
        forward, failed, drop = wiring.forward, wiring.failed, wiring.drop
        subscribed = subscriber(wiring.context.partition)
        extractor, with_key, keeps_this = joining.extractor, joining.with_key, joining.keeps_this
        key_bytes = joining.this.key.serializer(joining.topic_of("pk", wiring))
        value_bytes = joining.this.value.serializer(joining.topic_of("vh", wiring))
        foreign_bytes = joining.other.key.serializer(joining.topic_of("fk", wiring))

        def run(key: Any, change: Change, timestamp: int, headers: Headers) -> None:
            new, old, is_latest = change
            if not is_latest:
                drop(_OUT_OF_ORDER)
                return
            if new is None and old is None:
                return
            before = after = hash = None
            try:
                if old is not None:
                    before = extractor(key, old) if with_key else extractor(old)
                if new is not None:
                    after = extractor(key, new) if with_key else extractor(new)
                    hash = murmur3_128(value_bytes(new))
                stays = (
                    after is not None and before is not None and foreign_bytes(after) == foreign_bytes(before)
                )
                primary = key_bytes(key)
            except BaseException as error:
                failed(error, key, new, timestamp, headers)
                return
            if keeps_this:
                if before is not None and not stays:
                    forward(before, subscribed(_FORGET, hash, primary), timestamp, headers)
                forward(after, subscribed(_KEEP_AND_ANSWER, hash, primary), timestamp, headers)
                return
            if after is None:
                if new is not None:
                    drop("null foreign key")
                if before is not None:
                    forward(before, subscribed(_FORGET_AND_ANSWER, hash, primary), timestamp, headers)
                return
            if before is None or stays:
                # Without a match there is no result, and there was none, so there is nothing to delete.
                forward(after, subscribed(_KEEP, hash, primary), timestamp, headers)
                return
            forward(before, subscribed(_FORGET, hash, primary), timestamp, headers)
            forward(after, subscribed(_KEEP_AND_ANSWER, hash, primary), timestamp, headers)

        return run


class KeepSubscription:
    """Keeps a subscription, or forgets it. Keys are the bytes of foreign keys.

    One without a foreign key, of a left join, is answered and not kept.
    """

    def __init__(self, store: str) -> None:
        self._store = store

    def compile(self, wiring: Wiring) -> Forward:
        """Make the closure."""
        forward, failed, drop = wiring.forward, wiring.failed, wiring.drop
        state = wiring.store(self._store)
        put, put_all = state.put_encoded, state.put_all_encoded

        def run(foreign: Any, asked: Subscription, timestamp: int, headers: Headers) -> None:
            try:
                instruction, _, primary, _, data = asked
                if foreign is not None:
                    kept = data if instruction >= _KEEP_AND_ANSWER else None
                    put(foreign_key_prefix(foreign) + primary, ENCODED, kept, timestamp, headers)
                elif instruction != _KEEP_AND_ANSWER:
                    drop("null foreign key")
                    return
            except BaseException as error:
                failed(error, foreign, asked, timestamp, headers)
                return
            forward(foreign, asked, timestamp, headers)

        def keep_all(stretch: Stretch) -> Stretch | None:
            keyed = stretch
            if None in stretch.keys:
                if any(asked[0] != _KEEP_AND_ANSWER for key, asked, *_ in stretch.records() if key is None):
                    return None
                keyed = stretch.left([key is not None for key in stretch.keys])
            keys = [foreign_key_prefix(key) + asked[2] for key, asked in zip(keyed.keys, keyed.values)]
            kept = [asked[4] if asked[0] >= _KEEP_AND_ANSWER else None for asked in keyed.values]
            return stretch if put_all(keys, kept, keyed.timestamps, keyed.headers) else None

        # An answer looks at the other table alone: all may be kept before the first is answered.
        _take_stretches(wiring, keep_all, run)
        return run


class AnswerSubscription:
    """Answers a subscription with the other table's row as it is now. Keys become those of this table, as bytes."""

    def __init__(self, joining: ForeignKeyJoining, other: Getter) -> None:
        self._joining = joining
        self._other = other

    def compile(self, wiring: Wiring) -> Forward:
        """Make the closure."""
        forward, failed = wiring.forward, wiring.failed
        serdes = self._joining.other
        get = compile_encoded(
            self._other, wiring, serdes.key, serdes.value, self._joining.topic_of("fk", wiring)
        )

        def run(foreign: Any, asked: Subscription, timestamp: int, headers: Headers) -> None:
            instruction, hash, primary, partition, _ = asked
            if instruction == _FORGET:
                return
            value = None
            try:
                row = None if foreign is None else get(foreign)
            except BaseException as error:
                failed(error, foreign, asked, timestamp, headers)
                return
            if row is not None:
                timestamp = max(timestamp, row[1])
                if instruction != _FORGET_AND_ANSWER:
                    value = row[0]
            elif instruction == _KEEP:
                return
            forward(primary, (hash, value, partition), timestamp, headers)

        get_all = compile_all_encoded(self._other, wiring, serdes.key, serdes.value)
        if get_all is None:
            return run

        def answer_all(stretch: Stretch) -> Stretch:
            keys = stretch.keys
            rows = get_all(keys) if None not in keys else [None if key is None else get(key) for key in keys]
            is_answered: list[bool] = []
            primaries: list[bytes] = []
            answers: list[Response[bytes]] = []
            timestamps: list[int] = []
            for (instruction, hash, primary, partition, _), row, timestamp in zip(
                stretch.values, rows, stretch.timestamps
            ):
                value, latest = (None, timestamp) if row is None else row
                if instruction == _FORGET or (row is None and instruction == _KEEP):
                    is_answered.append(False)
                    continue
                is_answered.append(True)
                primaries.append(primary)
                answers.append((hash, None if instruction == _FORGET_AND_ANSWER else value, partition))
                timestamps.append(max(timestamp, latest))
            left = stretch.left(is_answered, keys=primaries, values=answers)
            return left._replace(timestamps=timestamps)

        _take_stretches(wiring, answer_all, run)
        return run


class AnswerSubscriptions:
    """Answers all subscriptions to a row of the other table when that changes."""

    def __init__(self, joining: ForeignKeyJoining, store: str) -> None:
        self._joining = joining
        self._store = store

    def compile(self, wiring: Wiring) -> Forward:
        """Make the closure."""
        forward, failed, drop = wiring.forward, wiring.failed, wiring.drop
        serdes = self._joining.other
        topic = self._joining.topic_of("fk", wiring)
        key_bytes, value_bytes = serdes.key.serializer(topic), serdes.value.serializer(topic)
        subscriptions = wiring.store(self._store).prefix

        def run(key: Any, change: Change, timestamp: int, headers: Headers) -> None:
            new, _, is_latest = change
            if key is None:
                drop("null key")
                return
            if not is_latest:
                drop(_OUT_OF_ORDER)
                return
            try:
                value = None if new is None else value_bytes(new)
                for _, (_, hash, primary, partition, _), _ in subscriptions(
                    foreign_key_prefix(key_bytes(key))
                ):
                    forward(primary, (hash, value, partition), timestamp, headers)
            except BaseException as error:  # what the sink could not handle is raised again
                failed(error, key, new, timestamp, headers)

        return run


class JoinResponse:
    """Joins an answer with the row that asked for it. One that is about the row as it was before is let go."""

    def __init__(self, joining: ForeignKeyJoining, this: Getter) -> None:
        self._joining = joining
        self._this = this

    def compile(self, wiring: Wiring) -> Forward:
        """Make the closure."""
        joining = self._joining
        forward, failed, joiner, keeps_this = (
            wiring.forward,
            wiring.failed,
            joining.joiner,
            joining.keeps_this,
        )
        serdes, topic = joining.this, joining.topic_of("vh", wiring)
        get = compile_encoded(self._this, wiring, serdes.key, serdes.value, topic)
        key_bytes, to_value = serdes.key.serializer(topic), serdes.value.deserializer(topic)

        def join(key: Any, response: Response[Any]) -> Any:
            hash, foreign, _ = response
            row = get(key_bytes(key))
            if hash != (None if row is None else murmur3_128(row[0])):
                return MISSING
            if foreign is None and not (keeps_this and row is not None):
                return None
            return joiner(None if row is None else to_value(row[0]), foreign)

        def run(key: Any, response: Response[Any], timestamp: int, headers: Headers) -> None:
            try:
                joined = join(key, response)
            except BaseException as error:
                failed(error, key, response, timestamp, headers)
                return
            if joined is not MISSING:
                forward(key, joined, timestamp, headers)

        wiring.take_step(Step.JOIN, join)
        return run


def _take_stretches(wiring: Wiring, attempt: Callable[[Stretch], Stretch | None], run: Forward) -> None:
    """Take stretches by `attempt`, which returns what goes on; where it returns None, or fails, records go one by one.

    An attempt that comes to nothing has changed nothing, and none calls a function of the user's.
    """
    onward, context = wiring.onward(), wiring.context

    def together(stretch: Stretch) -> None:
        try:
            left = attempt(stretch)
        except Exception as error:
            if isinstance(error, HeadraceError) and not isinstance(error, SerializationError):
                raise  # not a record's fault
            left = None  # found again by `run`, which asks the handler
        if left is not None:
            onward(left)
            return
        for key, value, timestamp, headers, context.offset in stretch.records():
            run(key, value, timestamp, headers)

    wiring.take_stretches(together)

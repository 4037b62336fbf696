"""What a read as of the last commit vouches for, while a commit is under way and after it."""

import time
from collections.abc import Callable

import pytest

import headrace as hr
from headrace import stores
from headrace.base.errors import TransactionAbortedError
from headrace.engine.store_read import StoreRead
from headrace.log.memory.writer import MemoryWriter
from tests.engine.bench import Bench, eight

NUMBERS = hr.Topic("numbers", key=str, value=int)
SUMS = stores.key_value("sums", key=str, value=int)


def summing() -> hr.Topology:
    builder = hr.StreamsBuilder()
    builder.stream(NUMBERS).group_by_key().reduce(lambda total, value: total + value, store=SUMS)
    return builder.build()


def is_complete(app: Bench, *, committed: bool = True) -> bool:
    """Whether a question that is asked now gets an answer."""
    asked_at = time.monotonic()
    read = app.worker.read("sums", 0, committed=committed)
    assert read is not None
    return read.as_of() >= asked_at


@pytest.mark.parametrize("step", ["state", "next task"])
def test_a_commit_that_the_log_has_and_not_all_rows_is_not_vouched_for(
    bench: Callable[..., Bench], step: str
) -> None:
    seen: list[tuple[str, bool, bool]] = []

    def reached(at: str) -> None:
        if at in ("flush", step, "end"):
            seen.append((at, is_complete(app), is_complete(app, committed=False)))

    app = bench(summing())
    app.reached = reached
    app.open()
    app.write("numbers", (b"a", eight(1), 1))
    app.turn()
    seen.clear()
    app.worker.commit()
    is_written = step == "next task"
    assert seen == [("flush", True, True), (step, is_written, True), ("end", True, True)]


def test_a_read_from_before_the_end_of_a_commit_does_not_vouch_for_it_afterwards(
    bench: Callable[..., Bench],
) -> None:
    reads: list[StoreRead | None] = []

    def reached(at: str) -> None:
        if at == "state":
            reads.append(app.worker.read("sums", 0, committed=True))

    app = bench(summing())
    app.reached = reached
    app.open()
    app.write("numbers", (b"a", eight(1), 1))
    app.turn()
    app.worker.commit()
    after = time.monotonic()
    [read] = reads
    assert read is not None
    assert read.as_of() < after


def test_a_commit_that_is_given_up_is_not_waited_for(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    app = bench(summing(), commit_interval_ms=1000)
    app.reached = lambda at: seen.append(is_complete(app)) if at == "flush" else None
    app.open()
    app.write("numbers", (b"a", eight(1), 1))
    app.turn()
    commit, fails = MemoryWriter.commit, [True]

    def failing(writer: MemoryWriter, *args: object) -> object:
        if fails:
            fails.clear()
            raise TransactionAbortedError("another has it")
        return commit(writer, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(MemoryWriter, "commit", failing)
    seen.clear()
    for _ in range(2):
        app.clock.advance(1000)
        app.turn()
    assert seen == [True, True]  # as the one begins that fails, and as the next one does

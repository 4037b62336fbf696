"""Views for event loops: who is cancelled while rows are read is told so, and what was read is let go of."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from headrace.query.asynchronous import AsyncKeyValueView


class Rows:
    """A view whose second row comes when it may."""

    def __init__(self) -> None:
        self.is_reading, self.may_go_on, self.is_closed = (threading.Event() for _ in range(3))

    def all(self, *, reverse: bool) -> Iterator[tuple[str, int]]:
        try:
            yield "a", 1
            self.is_reading.set()
            self.may_go_on.wait(10)
            yield "b", 2
        finally:
            self.is_closed.set()


def test_who_is_cancelled_while_a_thread_reads_is_told_so_and_the_rows_are_let_go_of() -> None:
    rows = Rows()

    async def read() -> None:
        async for _ in AsyncKeyValueView[str, int](rows).all():
            pass

    async def cancelled() -> None:
        task = asyncio.create_task(read())
        await asyncio.to_thread(rows.is_reading.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not rows.is_closed.is_set()
        rows.may_go_on.set()
        assert await asyncio.to_thread(rows.is_closed.wait, 10)

    asyncio.run(cancelled())


def test_who_has_enough_lets_go_of_the_rows_at_once() -> None:
    rows = Rows()
    rows.may_go_on.set()

    async def read() -> None:
        found = AsyncKeyValueView[str, int](rows).all()
        async for row in found:
            assert row == ("a", 1)
            break
        await found.aclose()  # type: ignore[attr-defined]  # a generator
        assert rows.is_closed.is_set()

    asyncio.run(read())

"""How far an application is behind, all instances together: what `headrace lag` tells, counted in the log.

Records are counted, since offsets count markers of transactions too. That reads what is left, for a second at most,
and what was found is told again for ten times as long as it took: whoever asks all the time costs a tenth of a core.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from headrace.base.errors import LogError, LogUnavailableError
from headrace.engine.status import LagInfo
from headrace.outside.lag import PartitionLag, lag_of_group, lag_row
from headrace.server.answers import Problem
from headrace.server.inspection import offsets_of
from headrace.server.lent_log import lent_log
from headrace.server.parameters import Given
from headrace.server.routes import Route
from headrace.streams.runnable import Runnable
from headrace.streams.streams import Streams

__all__ = ["lag_route"]

_COUNT_SECONDS = 1.0
_TOLD_AGAIN_SECONDS_MIN = 2.0
_TOLD_AGAIN_FACTOR = 10

#: How long somebody who asks is kept waiting for brokers that may be away, while the count goes on for the next one.
_PATIENCE_SECONDS = 3.0


def lag_route(application: Runnable) -> Route:
    """Return the route."""
    return Route(
        "/lag",
        "What is left to process in each partition that the application reads, in all instances together, with the "
        "first record's age: counted, or offsets (`is_exact` is false then) where that takes more than a second; "
        "`counted_at` (epoch ms) may be some seconds ago, or from before brokers went away: `waits_for` says so then, "
        "and is null else. And how far each store here is behind its changelog.",
        _Counting(application).answer,
        statuses=(503,),
        blocks=False,
    )


@dataclass(frozen=True, slots=True)
class _Counted:
    lags: Sequence[PartitionLag]
    at_ms: int
    good_until: float


class _Counting:
    """Of one server, in whose event loop it is asked: all who ask meanwhile wait for the same count."""

    def __init__(self, application: Runnable) -> None:
        self._application = application
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"{application.application_id}-lag")
        self._under_way: Future[_Counted] | None = None
        self._last: _Counted | None = None

    async def answer(self, given: Given) -> object:
        """Tell what was counted last, or count. Where the log does not answer, say what was counted before, and when.

        Raises:
            Problem: nothing is known yet.
            LogError: the log does not allow it, or there is none.
        """
        last, waits_for = self._last, None
        if last is None or time.monotonic() > last.good_until:
            waits_for = await self._count_again()
        if self._last is None:
            raise Problem(503, f"what is left cannot be counted now: {waits_for}")
        found = _document(self._last)
        stores = self._application.lags() if isinstance(self._application, Streams) else {}
        return {**found, "waits_for": waits_for, "stores": _lags_of_stores(stores)}

    async def _count_again(self) -> str | None:
        """Count; or say what that waits for. Who is told of an older count does not wait for brokers that are away."""
        if self._under_way is None or self._under_way.done():
            self._under_way = self._thread.submit(self._count)
        trouble = self._trouble
        if trouble is not None and self._last is not None:
            return trouble
        counting = asyncio.wrap_future(self._under_way)
        try:
            self._last = await asyncio.wait_for(asyncio.shield(counting), _PATIENCE_SECONDS)
        except TimeoutError:
            return self._trouble or f"the log has not answered for {_PATIENCE_SECONDS:g} s"
        except LogUnavailableError as error:
            return str(error)
        return None

    @property
    def _trouble(self) -> str | None:
        """What keeps the log from answering; a sink may wait for its database, which is another matter."""
        return self._application.trouble if isinstance(self._application, Streams) else None

    def _count(self) -> _Counted:
        application, began = self._application, time.monotonic()
        topology = application.topology if isinstance(application, Streams) else None
        with lent_log(application) as log:
            if log is None:
                raise LogError(
                    f"nothing is known of what application {application.application_id!r} has left: its log is not "
                    "there yet; start it"
                )
            _, lags = lag_of_group(log, application.application_id, topology, seconds=_COUNT_SECONDS)
        ended = time.monotonic()
        good_for = max(_TOLD_AGAIN_SECONDS_MIN, _TOLD_AGAIN_FACTOR * (ended - began))
        return _Counted(lags, time.time_ns() // 1_000_000, ended + good_for)


def _document(counted: _Counted) -> dict[str, Any]:
    lags, now_ms = counted.lags, time.time_ns() // 1_000_000
    ages = [each.age_ms(now_ms) for each in lags]
    known = [age for age in ages if age is not None]
    return {
        "counted_at": counted.at_ms,
        "records": sum(each.lag or 0 for each in lags),
        "is_exact": all(each.is_exact for each in lags),
        "partitions_not_told_of": sum(each.lag is None for each in lags),
        "age_ms": None if len(known) < len(ages) else max(known, default=0),
        "partitions": [lag_row(each, now_ms) for each in lags],
    }


def _lags_of_stores(
    lags: Mapping[str, Mapping[int, LagInfo]],
) -> Mapping[str, Mapping[str, Mapping[str, int]]]:
    return {
        store: {str(partition): offsets_of(lag) for partition, lag in found.items()}
        for store, found in lags.items()
    }

"""The other instances of an application, asked for what each of them alone can tell.

# Invariant: what they are asked for waits for nobody, and has a thread of its own: two instances would wait for one
# another else.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import msgspec
from typing_extensions import ParamSpec, TypeVar

from headrace.base.errors import StoreUnavailableError
from headrace.query.metadata import HostInfo
from headrace.query.questions import Refused
from headrace.streams.joining import endpoint_of
from headrace.streams.streams import Streams

__all__ = ["Neighbours", "name_of_host"]

T = TypeVar("T")
P = ParamSpec("P")

#: How long they are waited for: somebody sits in front of it, and asks again every two seconds.
_PATIENCE_SECONDS = 2.0

#: Instances that are asked at the same time.
_ASKED_MAX = 16


class Neighbours:
    """Of one server; `purpose` names its threads."""

    def __init__(self, streams: Streams, purpose: str) -> None:
        self._streams = streams
        own = endpoint_of(streams.config)
        self.own = None if own is None else HostInfo(*own)
        prefix = f"{streams.application_id}-{purpose}"
        self._telling = ThreadPoolExecutor(1, thread_name_prefix=prefix)
        self._asking = ThreadPoolExecutor(_ASKED_MAX, thread_name_prefix=f"{prefix}-of-others")

    async def tell(self, here: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
        """Return what this instance tells, made in the thread for it."""
        return await asyncio.get_running_loop().run_in_executor(self._telling, partial(here, *given, **named))

    async def ask(self, target: str, read: Callable[[bytes], T]) -> Sequence[tuple[str, T | str]]:
        """Ask all others that are known for a document, and return by their names what each tells, or why it does not.

        `read` makes something of the bytes, and raises what msgspec raises where they are none.
        """
        loop, others = asyncio.get_running_loop(), self._others()
        told = await asyncio.gather(
            *(loop.run_in_executor(self._asking, self._told_by, each, target, read) for each in others)
        )
        return list(zip(map(name_of_host, others), told))

    def _others(self) -> Sequence[HostInfo]:
        try:
            known = self._streams.metadata_for_all_streams_clients()
        except StoreUnavailableError:
            return ()
        return [each.host_info for each in known if each.host_info.port > 0 and each.host_info != self.own]

    def _told_by(self, host: HostInfo, target: str, read: Callable[[bytes], T]) -> T | str:
        try:
            return read(self._streams.ask_instance(host, target, timeout_s=_PATIENCE_SECONDS))
        except Refused as refused:
            return str(refused)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return f"it answers what is no answer: {error}"


def name_of_host(host: HostInfo) -> str:
    """Return an instance's name: its `application.server`."""
    return f"{host.host}:{host.port}"

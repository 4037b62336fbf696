"""What the windows of all instances wait for: each tells of its own tasks, and who is asked puts it together.

# Invariant: what others ask (`where=here`) waits for nobody: two instances would wait for one another else.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from headrace.base.errors import StoreUnavailableError
from headrace.query.metadata import HostInfo
from headrace.query.questions import Refused
from headrace.server.held_results import HeldResults
from headrace.server.parameters import Given, Parameter
from headrace.server.routes import Route
from headrace.server.windows import windows_here
from headrace.streams.joining import endpoint_of
from headrace.streams.streams import Streams

__all__ = ["put_together", "window_route"]

#: How long others are waited for: somebody sits in front of it, and asks again every two seconds.
_PATIENCE_SECONDS = 2.0

#: Instances that are asked at the same time.
_ASKED_MAX = 16

_WHERE = Parameter(
    "where",
    "text",
    "all (the default) instances, or here: this one alone.",
    "all",
    allowed=("all", "here"),
)


class _Windows(msgspec.Struct):
    """What another instance tells."""

    nodes: list[dict[str, Any]]


def window_route(streams: Streams) -> Route:
    """Return the route."""
    gathering = _Gathering(streams)
    return Route(
        "/windows",
        "By what windows close: of each node and task stream time, the end of what has closed, what it waits for, and "
        "how many results are held back (or more, where `held_is_exact` is false; as of some seconds ago) until which "
        "stream time; of each input the last record. All instances that are known are asked; those that do not answer "
        "are named, and so are the tasks of which nobody tells.",
        gathering.answer,
        (_WHERE,),
        blocks=False,
    )


class _Gathering:
    """Of one server."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._results = HeldResults(streams)
        own = endpoint_of(streams.config)
        self._own = None if own is None else HostInfo(*own)
        prefix = f"{streams.application_id}-windows"
        self._telling = ThreadPoolExecutor(1, thread_name_prefix=prefix)  # waits for nobody
        self._asking = ThreadPoolExecutor(_ASKED_MAX, thread_name_prefix=f"{prefix}-of-others")

    async def answer(self, given: Given) -> object:
        """Tell of the windows of this instance, or ask the others too."""
        loop = asyncio.get_running_loop()
        here = loop.run_in_executor(self._telling, windows_here, self._streams, self._results)
        if given["where"] == "here":
            return {"nodes": await here}
        others = self._others()
        asked = [loop.run_in_executor(self._asking, self._told_by, each) for each in others]
        told = [(_name(self._own), await here), *zip(map(_name, others), await asyncio.gather(*asked))]
        return {
            "now": time.time_ns() // 1_000_000,
            **put_together(told, self._task_counts()),
        }

    def _others(self) -> Sequence[HostInfo]:
        try:
            known = self._streams.metadata_for_all_streams_clients()
        except StoreUnavailableError:
            return ()
        return [each.host_info for each in known if each.host_info.port > 0 and each.host_info != self._own]

    def _task_counts(self) -> Mapping[int, int]:
        try:
            return self._streams.task_counts()
        except StoreUnavailableError:
            return {}

    def _told_by(self, host: HostInfo) -> Sequence[dict[str, Any]] | str:
        """Return what another instance tells, or why it does not."""
        try:
            data = self._streams.ask_instance(host, "/windows?where=here", timeout_s=_PATIENCE_SECONDS)
            return msgspec.json.decode(data, type=_Windows).nodes
        except Refused as refused:
            return str(refused)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return f"it answers what is no answer: {error}"


def put_together(
    told: Sequence[tuple[str | None, Sequence[Mapping[str, Any]] | str]], task_counts: Mapping[int, int]
) -> dict[str, Any]:
    """Put together what instances tell, by their names, this one first; a text says why one does not answer.

    `task_counts` are the tasks that there are, by sub-topology. A task that two of them tell of is on its way: whoever
    has it restored runs it.
    """
    nodes: dict[str, dict[str, Any]] = {}
    tasks: dict[str, dict[str, dict[str, Any]]] = {}
    for name, found in told:
        for node in () if isinstance(found, str) else found:
            known = nodes.setdefault(node["node"], {**node})
            for field in ("grace_ms", "emits_final", "idle_ms"):
                known[field] = node[field] if known[field] is None else known[field]
            own = tasks.setdefault(node["node"], {})
            for task in node["tasks"]:
                if task["task"] not in own or own[task["task"]]["state"] == "restoring":
                    own[task["task"]] = {**task, "instance": name}
    shown = []
    for name, node in nodes.items():
        own = tasks[name]
        wanted = [
            f"{node['subtopology']}_{number}" for number in range(task_counts.get(node["subtopology"], 0))
        ]
        in_order = sorted(own.values(), key=lambda each: [int(part) for part in each["task"].split("_")])
        missing = [task for task in wanted if task not in own]
        shown.append(
            {**node, "held_back_by": _last(in_order), "tasks": in_order, "tasks_not_told_of": missing}
        )
    return {
        "instances": [name for name, found in told if not isinstance(found, str)],
        "unanswered": [{"instance": name, "reason": found} for name, found in told if isinstance(found, str)],
        "nodes": shown,
    }


def _last(told: Sequence[Mapping[str, Any]]) -> object:
    """The task whose windows close last: one that has seen nothing, or else whose stream time is lowest."""
    last = min(
        told, key=lambda each: -1 if each["stream_time"] is None else each["stream_time"], default=None
    )
    return None if last is None else last["task"]


def _name(host: HostInfo | None) -> str | None:
    return None if host is None else f"{host.host}:{host.port}"

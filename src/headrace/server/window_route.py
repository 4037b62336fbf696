"""What the windows of all instances wait for: each tells of its own tasks, and who is asked puts it together."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from headrace.base.errors import StoreUnavailableError
from headrace.server.held_results import HeldResults
from headrace.server.neighbours import Neighbours, name_of_host
from headrace.server.parameters import Given, Parameter
from headrace.server.routes import Route
from headrace.server.windows import windows_here
from headrace.streams.streams import Streams

__all__ = ["put_together", "window_route"]

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
        self._neighbours = Neighbours(streams, "windows")

    async def answer(self, given: Given) -> object:
        """Tell of the windows of this instance, or ask the others too."""
        here = self._neighbours.tell(windows_here, self._streams, self._results)
        if given["where"] == "here":
            return {"nodes": await here}
        nodes, others = await asyncio.gather(here, self._neighbours.ask("/windows?where=here", _nodes))
        own = self._neighbours.own
        told: list[tuple[str | None, Sequence[dict[str, Any]] | str]] = [
            (None if own is None else name_of_host(own), nodes),
            *others,
        ]
        return {
            "now": time.time_ns() // 1_000_000,
            **put_together(told, self._task_counts()),
        }

    def _task_counts(self) -> Mapping[int, int]:
        try:
            return self._streams.task_counts()
        except StoreUnavailableError:
            return {}


def _nodes(data: bytes) -> Sequence[dict[str, Any]]:
    return msgspec.json.decode(data, type=_Windows).nodes


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

"""Declare a metric: Kafka Streams' name, group and tags, the level at which it is recorded, unit, a line of text."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, TypeAlias

__all__ = ["CLIENT", "NODE", "STATE", "TASK", "THREAD", "Declaration", "Kind", "Level", "fields_of"]

#: Tags of each level, as Kafka Streams has them.
CLIENT = ("client-id",)
THREAD = ("thread-id",)
TASK = (*THREAD, "task-id")
NODE = (*TASK, "processor-node-id")

#: The last one stands for `rocksdb-state-id`, `in-memory-window-state-id` and so on: the kind of store is in its name.
STATE = (*TASK, "state-id")

#: A counter never falls while its thread, task or node is there; a text is said in words.
Kind: TypeAlias = Literal["counter", "gauge", "text"]


class Level(IntEnum):
    """How much is recorded: `metrics.recording.level`. Each level has what those before it have."""

    INFO = 0
    DEBUG = 1
    TRACE = 2


@dataclass(frozen=True, slots=True)
class Declaration:
    """One metric.

    Attributes:
        tags: names of what tells its series apart.
        level: the lowest one at which it is there. Kafka Streams' own, or lower where the figure costs nothing here.
        unit: of its value; empty where it is a plain number, or a text.
        text: one line for the documentation.
        is_own: whether Kafka Streams has no such metric.
    """

    group: str
    name: str
    tags: tuple[str, ...]
    level: Level
    kind: Kind
    unit: str
    text: str
    is_own: bool = False


def fields_of(
    group: str, tags: tuple[str, ...], level: Level = Level.INFO, *, is_own: bool = False
) -> "_Fields":
    """Return what declares metrics that have group, tags and level in common."""
    return _Fields(group, tags, level, is_own)


@dataclass(frozen=True, slots=True)
class _Fields:
    group: str
    tags: tuple[str, ...]
    level: Level
    is_own: bool

    def one(self, name: str, kind: Kind, unit: str, text: str) -> Declaration:
        """Declare one metric."""
        return Declaration(self.group, name, self.tags, self.level, kind, unit, text, self.is_own)

    def extremes(self, name: str, unit: str, text: str, *, least: bool = False) -> tuple[Declaration, ...]:
        """Declare average and maximum, and the minimum where there is one, over the last minute."""
        found = [("avg", "average"), ("max", "maximum")]
        if least:
            found.append(("min", "minimum"))
        return tuple(self.one(f"{name}-{each}", "gauge", unit, f"{text}: {word}.") for each, word in found)

    def counted(self, name: str, unit: str, text: str) -> tuple[Declaration, ...]:
        """Declare a rate over the last minute, and a total."""
        return (
            self.one(f"{name}-rate", "gauge", f"{unit}/s", f"{text}, a second."),
            self.one(f"{name}-total", "counter", unit, f"{text}, in all."),
        )

"""What each public class and method of Kafka Streams is here: a table, checked by tests, as a page.

Lines of `kafka_streams.txt`: a heading after `==`, a class at the margin, its methods below; `{Name}` is a name of ours.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["JavaClass", "names_of_ours", "page", "table"]

_TABLE = Path(__file__).with_suffix(".txt")
_NAME = re.compile(r"\{([\w.]+)\}")

_INTRODUCTION = """\
# Kafka Streams, name by name

Every public class of Kafka Streams 4.4 with its methods, and of its test utilities, in the packages `org.apache.kafka.streams` and
below. [Coming from Kafka Streams](../coming-from/kafka-streams.md) tells what differs in use. Left out are methods that every object
of Java has (`equals`, `hashCode`, `toString`), and those of every enumeration.
"""


@dataclass
class JavaClass:
    """A class of Java's: its section of the page, what it is here, and its methods with what they are here."""

    name: str
    section: str
    ours: str
    methods: list[tuple[Sequence[str], str]] = field(default_factory=list)


def table() -> list[JavaClass]:
    """Read the table, in its order."""
    found: list[JavaClass] = []
    section = ""
    for line in _TABLE.read_text().splitlines():
        if line.startswith("== "):
            section = line[3:]
        elif line and not line.startswith("#"):
            names, _, ours = line.partition(": ")
            if line.startswith("  "):
                found[-1].methods.append((names.strip().split(", "), ours))
            else:
                found.append(JavaClass(names, section, ours))
    return found


def names_of_ours(text: str) -> list[str]:
    """The names of ours that a text of the table has."""
    return _NAME.findall(text)


def page() -> str:
    """Return the page, in Markdown."""
    parts = [_INTRODUCTION]
    section = ""
    for each in table():
        if each.section != section:
            section = each.section
            parts.append(f"\n## {section}\n\n| in Java | here |\n| --- | --- |\n")
        parts.append(f"| **`{each.name}`** | {_linked(each.ours)} |\n")
        for names, ours in each.methods:
            shown = (
                "*the others*" if names == ["*"] and len(each.methods) > 1 else ", ".join(map(_method, names))
            )
            parts.append(f"| {shown} | {_linked(ours)} |\n")
    return "".join(parts)


def _method(name: str) -> str:
    return "*all of it*" if name == "*" else "`new`" if name == "new" else f"`{name}`"


def _linked(text: str) -> str:
    return _NAME.sub(r"{py:obj}`\1 <headrace.\1>`", text)

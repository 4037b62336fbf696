"""Which format a topic's or a store's keys and values have on the command line: by flag, else by the application."""

from collections.abc import Callable
from typing import Any

import click
from typing_extensions import TypeVar

from headrace.query.formats import AUTO, FORMATS, Format, format_of
from headrace.topology.nodes import SinkNode, SourceNode
from headrace.topology.topology import Topology

__all__ = ["format_options", "topic_formats"]

C = TypeVar("C", bound=Callable[..., Any])


def format_options(command: C) -> C:
    """Give a command `--key` and `--value`."""
    for name in ("value", "key"):
        command = click.option(
            f"--{name}",
            f"{name}_format",
            type=click.Choice(list(FORMATS)),
            help=f"What {name}s are; by default what --app declares, else text, JSON objects, or base64.",
        )(command)
    return command


def topic_formats(
    topic: str, application_id: str | None, topology: Topology | None, key: str | None, value: str | None
) -> tuple[Format, Format]:
    """Return the formats of a topic's keys and values."""
    declared = _declared(topic, application_id, topology)
    return FORMATS[key] if key else declared[0], FORMATS[value] if value else declared[1]


def _declared(topic: str, application_id: str | None, topology: Topology | None) -> tuple[Format, Format]:
    if topology is None or application_id is None:
        return AUTO, AUTO
    for node in topology.nodes.values():
        if isinstance(node, SourceNode):
            names = [topology.decorate(name, application_id) for name in node.topics]
        elif isinstance(node, SinkNode) and isinstance(node.topic, str):
            names = [topology.decorate(node.topic, application_id)]
        else:
            continue
        if topic in names:
            return format_of(node.key.for_keys(), topic), format_of(node.value, topic)
    return AUTO, AUTO

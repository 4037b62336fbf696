"""The reference of all properties, from their declarations."""

from collections.abc import Sequence
from typing import Any

from headrace.base.options import Option
from headrace.engine import options as engine_options
from headrace.kafka import options as kafka_options
from headrace.serde.registry import options as registry_options
from headrace.streams import options as streams_options
from headrace.streams import server_options
from headrace.streams.catalogue import OPTIONS

__all__ = ["GROUPS", "page"]

_INTRODUCTION = """\
# Configuration

Names are Kafka's. In Python, `_` stands for each `.`: `commit_interval_ms=100`. A file (`--config shop.toml`) wins over code,
the environment (`HEADRACE_COMMIT_INTERVAL_MS`) over the file, and a flag (`--set commit.interval.ms=100`) over all.
`headrace config explain` prints every property with its value and where it comes from. An unknown name is an error, which suggests
the nearest one. [How to tune](../howto/tune.md) says which of them matter.

Durations in milliseconds may also be written as `5s` or as a `timedelta`. A list is text with commas, or a sequence.
`client.tag.KEY` names a tag of this instance, of up to five, for `rack.aware.assignment.tags`.
"""

#: In the order of the page.
GROUPS: Sequence[tuple[str, Sequence[Option[Any]]]] = (
    ("The application", streams_options.OPTIONS),
    ("Processing", engine_options.OPTIONS),
    ("Over HTTP", server_options.OPTIONS),
    ("Kafka", kafka_options.OPTIONS),
    ("Schema registry", registry_options.OPTIONS),
)


def page() -> str:
    """Return the page, in Markdown."""
    parts = [_INTRODUCTION]
    told = {option.name for _, options in GROUPS for option in options}
    others = [option for name, option in OPTIONS.items() if name not in told]
    for title, options in [*GROUPS, *([("Others", others)] if others else [])]:
        parts.append(f"\n## {title}\n\n| property | default | may be | |\n| --- | --- | --- | --- |\n")
        parts += [_row(option) for option in options]
    return "".join(parts)


def _row(option: Option[Any]) -> str:
    return f"| `{option.name}` | {_default(option)} | {option.kind.allowed} | {_cell(option.text)} |\n"


def _default(option: Option[Any]) -> str:
    if option.is_required:
        return "*required*"
    if option.default in {None, (), ""}:
        return "–"
    if callable(option.default):
        return f"`{option.default.__name__}`"
    if isinstance(option.default, bool):
        return f"`{str(option.default).lower()}`"
    if isinstance(option.default, tuple):
        return f"`{','.join(map(str, option.default))}`"
    return f"`{option.default}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")

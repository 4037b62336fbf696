"""Columns of a store as a table in HTML, for notebooks: everything is escaped, and long texts are cut."""

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

import msgspec

from headrace.query.formats import plain
from headrace.query.table_columns import Column

__all__ = ["html_note", "html_table"]

#: What a cell shows at most.
_CHARACTERS_MAX = 120

_encode = msgspec.json.Encoder(enc_hook=plain).encode


def html_table(columns: Sequence[Column], caption: str) -> str:
    """Return the table, with a line below that says what it is. Notebooks know the class `dataframe`, and style it."""
    head = "".join(f"<th>{escape(each.name)}</th>" for each in columns)
    shown = [[_text(value, is_time=each.is_time) for value in each.values] for each in columns]
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row) + "</tr>" for row in zip(*shown)
    )
    return (
        f'<table border="1" class="dataframe"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        + html_note(caption)
    )


def html_note(text: str) -> str:
    """Return one line of text."""
    return f"<p>{escape(text)}</p>"


def _text(value: Any, *, is_time: bool) -> str:
    if value is None:
        return ""
    if is_time:
        return _time(value)
    text = value if isinstance(value, str) else _as_json(value)
    return text if len(text) <= _CHARACTERS_MAX else f"{text[:_CHARACTERS_MAX]}…"


def _time(ms: int) -> str:
    try:
        return (
            datetime.fromtimestamp(ms / 1000, UTC).isoformat(" ", "milliseconds").removesuffix("+00:00") + "Z"
        )
    except (OverflowError, ValueError, OSError):  # no calendar has it
        return str(ms)


def _as_json(value: Any) -> str:
    try:
        return _encode(plain(value)).decode()
    except (OverflowError, TypeError, ValueError, RecursionError):  # such as a number of 70 bits
        return str(value)

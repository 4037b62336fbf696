"""Tables of what a topology does over time: what goes in, what its stores hold then, and what comes out.

The rows of such a table are given to the test driver, one by one, and the table is made again of what it does. Columns
are named in the page's own names: `CLICKS` in, `COUNTS` holds, `VISITS` out. A time is minutes and seconds, and that of
the record; `clock +5m` moves the clock on the wall instead. `python -m tests.docs.over_time` writes the tables of all
pages anew.
"""

import io
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

import headrace as hr
from headrace import testing
from tests.docs.blocks import Block, blocks, pages

__all__ = ["over_time"]


def over_time(block: Block, names: Mapping[str, Any]) -> str:
    """Return the table that the topology gives for the inputs of the page's table."""
    head, line, *rows = [split(row) for row in block.text.splitlines()]
    columns = [column(each) for each in head[1:]]
    topology, _, options = block.note.partition(" ")
    how = eval(f"dict({options})", dict(names))
    told = [head, line]
    with testing.TopologyTestDriver(names[topology], **how) as driver:
        for time, *cells in rows:
            give(
                driver,
                time,
                [(names[name], cell) for (name, kind), cell in zip(columns, cells) if kind == "in"],
                names,
            )
            now = milliseconds(time)
            done = []
            for (name, kind), cell in zip(columns, cells):
                if kind == "in":
                    done.append(cell)
                elif kind == "holds":
                    done.append("<br>".join(f"`{row}`" for row in held(driver.store(names[name]))))
                else:
                    done.append(
                        "<br>".join(f"`{shown(each, now)}`" for each in driver.output(names[name]).read_all())
                    )
            told.append([time, *done])
    return "".join(f"| {' | '.join(row)} |\n".replace("|  |", "| |").replace("|  |", "| |") for row in told)


def split(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip().strip("|").split("|")]


def column(head: str) -> tuple[str, str]:
    found = re.fullmatch(r"`(\w+)` (in|holds|out)", head)
    assert found is not None, head
    return found[1], found[2]


def give(driver: Any, time: str, inputs: Iterable[tuple[Any, str]], names: Mapping[str, Any]) -> None:
    """Give the record of a row to the driver, or move its clock."""
    if time.startswith("clock +"):
        driver.advance(time.removeprefix("clock +"))
    for topic, cell in inputs:
        for each in filter(None, cell.split("<br>")):
            key, _, value = each.strip("`").partition(": ")
            parts = (read(topic.key, key, names), read(topic.value, value, names))
            driver.input(topic).pipe(*parts, milliseconds(time))


def read(serde: Any, text: str, names: Mapping[str, Any]) -> Any:
    """A key or value as a table writes it: an expression of the page, a dash for None, or text as it stands."""
    if text == "–":
        return None
    is_text = serde is None or serde.type is str
    return text if is_text else eval(text, dict(names))


def milliseconds(time: str) -> int | None:
    found = re.fullmatch(r"(\d+):(\d\d)", time)
    return None if found is None else (int(found[1]) * 60 + int(found[2])) * 1000


def clock(ms: int) -> str:
    return f"{ms // 60_000}:{ms // 1000 % 60:02}"


def held(store: Any) -> Iterator[str]:
    """The rows of a store, of any kind."""
    for kind in ("all", "range", "sessions"):
        if hasattr(store, kind) and not (kind == "range" and hasattr(store, "all")):
            yield from (pair(key, value) for key, value in getattr(store, kind)())
            return
    yield from (f"{key}: {value} @{clock(time)}" for key, value, time in store.latest())


def shown(record: hr.Record[Any, Any], now: int | None) -> str:
    """A record; its timestamp too where that is not the row's time."""
    at = "" if record.timestamp == now else f" @{clock(record.timestamp)}"
    return pair(record.key, record.value) + at


def pair(key: Any, value: Any) -> str:
    if isinstance(key, hr.Windowed):
        key = f"{key.key} {clock(key.window.start)}–{clock(key.window.end)}"
    return f"{key}: {'–' if value is None else value}".replace("|", "/")


def write(page: Path) -> None:
    """Write the tables of a page as the topologies give them. Its programs run here."""
    module = ModuleType(page.stem)
    sys.modules[module.__name__] = module
    text = page.read_text()
    for block in blocks(page):
        if block.language == "python" and not block.note:
            with redirect_stdout(io.StringIO()):
                exec(compile(block.text, block.place, "exec"), vars(module))
        elif block.language == "over time":
            text = text.replace(block.text, over_time(block, vars(module)), 1)
    page.write_text(text)


if __name__ == "__main__":
    for each in pages():
        if any(block.language == "over time" for block in blocks(each)):
            write(each)

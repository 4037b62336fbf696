"""What `headrace top` shows: the server's overview as tables of rich, as wide and as high as the terminal is."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from rich.cells import cell_len
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from headrace.cli.server_client import ServerUnansweredError

__all__ = ["Screen", "frame", "print_once"]

#: Columns that a table has on a terminal of any width, and the blanks between two.
_COLUMNS_MIN, _GAP = 3, 2

#: Tasks that are shown on a terminal of any height.
_TASKS_MIN = 3

_Row = Mapping[str, Any]


class Screen:
    """The whole terminal, for as long as it is entered."""

    #: What has to be written where the process ends without leaving the `with`: the screen of before, and the cursor.
    farewell = b"\x1b[?1049l\x1b[?25h"

    def __init__(self, url: str) -> None:
        self._url = url
        self._console = Console()
        self._live = Live(console=self._console, screen=True, auto_refresh=False)
        self._seen: Any = None
        self._seen_at = 0.0

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, overview: Any) -> None:
        """Show what was found."""
        self._seen, self._seen_at = overview, time.monotonic()
        self._update(None)

    def lose(self, error: ServerUnansweredError) -> None:
        """Keep what was found last, and say that it is old."""
        age = time.monotonic() - self._seen_at
        self._update(f"{error}; asking again, this is from {age:,.0f} s ago")

    def _update(self, trouble: str | None) -> None:
        size = self._console.size
        shown = frame(self._seen, self._url, width=size.width, height=size.height, trouble=trouble)
        self._live.update(shown, refresh=True)


def print_once(overview: Any, url: str) -> None:
    """Print all of it to the output."""
    console = Console()
    console.print(frame(overview, url, width=console.width))


def frame(
    overview: _Row, url: str, *, width: int, height: int | None = None, trouble: str | None = None
) -> Group:
    """Return what is shown of an overview; of more tasks than fit into `height`, those that lag most."""
    head = [_title(overview, url), *_figures(overview)]
    if trouble is not None:
        head.insert(1, Text(trouble, "red"))
    threads, instances = _threads(overview, width), _instances(overview, width)
    lines = _lines(overview)
    hidden = 0
    if height is not None:
        taken = sum(1 + each.cell_len // width for each in head)
        left = max(_TASKS_MIN, height - taken - threads.row_count - instances.row_count - 4)
        if len(lines) > left:
            hidden = len(lines) - left + 1
            lines = sorted(lines, key=lambda line: (line.is_restoring, line.lag), reverse=True)[:-hidden]
    more = (Text(f"… and {hidden:,} more, which lag less"),) if hidden else ()
    return Group(*head, threads, _tasks(lines, width), *more, instances)


def _title(overview: _Row, url: str) -> Text:
    is_well = overview["state"] == "running" and overview["waits_for"] is None
    return Text.assemble(
        ("● ", "green" if is_well else "yellow"),
        (overview["application_id"], "bold"),
        f" {overview['waits_for'] or overview['state']}",
        (f"  {url}, headrace {overview['version']}", "dim"),
    )


def _figures(overview: _Row) -> Sequence[Text]:
    lag = f"lag {overview['lag_records']:,}"
    if overview["lag_records"] and overview["lag_age_ms"]:
        lag += f" (oldest {_span(overview['lag_age_ms'])})"
    if overview["waits_for"] is not None and overview["lag_as_of"] is not None:
        lag += f" as of {datetime.fromtimestamp(overview['lag_as_of'] / 1000):%H:%M:%S}"
    dropped, failed = overview["dropped"], overview["failed"]
    return (
        Text(f"{overview['records_per_second']:,.0f} records/s, {lag}, {overview['records']:,} processed"),
        Text.assemble(
            f"{overview['commits']:,} commits, {_ms(overview['commit_ms_average'])} on average, "
            f"{_ms(overview['commit_ms_max'])} at most; {dropped:,} dropped",
            (f", {failed:,} of them failed" if failed else "", "red"),
        ),
    )


def _threads(overview: _Row, width: int) -> Table:
    rows = [
        (
            each["name"].removeprefix(f"{overview['application_id']}-"),
            each["state"],
            f"{len(each['tasks'])} + {len(each['standbys'])}"
            if each["standbys"]
            else str(len(each["tasks"])),
            _rate(each["records_per_second"]),
            _ms(each["commit_ms_average"]),
            _ms(each["commit_ms_max"]),
        )
        for each in overview["threads"]
    ]
    return _table(("thread", "state", "tasks>", "records/s>", "commit>", "longest>"), rows, width)


@dataclass(frozen=True, slots=True)
class _Line:
    """A task, a standby, or what fills global stores."""

    id: str
    state: str
    lag: int
    rate: float | None
    age_ms: int = 0
    dropped: int = 0
    is_restoring: bool = False


def _lines(overview: _Row) -> Sequence[_Line]:
    filling = overview["global_stores"]
    return [
        *([] if filling is None else [_follower(filling, "global")]),
        *(_task(each) for each in overview["tasks"]),
        *(_follower(each, each["id"]) for each in overview["standbys"]),
    ]


def _task(task: _Row) -> _Line:
    restore = task["restore"]
    return _Line(
        task["id"],
        task["state"] if restore is None else _progress(restore),
        task["lag_records"],
        (task if restore is None else restore)["records_per_second"],
        task["lag_age_ms"],
        task["dropped"],
        restore is not None,
    )


def _follower(found: _Row, name: str) -> _Line:
    is_restoring = found["state"] == "restoring"
    state = _progress(found) if is_restoring else found["state"]
    return _Line(name, state, found["remaining"], found["records_per_second"], is_restoring=is_restoring)


def _progress(restore: _Row) -> str:
    done, remaining = restore["restored"], restore["remaining"]
    return f"restoring {100 * done // max(1, done + remaining)} %"


def _tasks(lines: Sequence[_Line], width: int) -> Table:
    rows = [
        (
            each.id,
            Text(each.state, "yellow" if each.is_restoring else ""),
            f"{each.lag:,}",
            _span(each.age_ms) if each.lag and each.age_ms else "",
            _rate(each.rate),
            f"{each.dropped:,}",
        )
        for each in lines
    ]
    return _table(("task", "state", "lag>", "oldest>", "records/s>", "dropped>"), rows, width)


def _instances(overview: _Row, width: int) -> Table:
    rows = [
        (
            f"{each['host']}:{each['port']}" if each["port"] > 0 else "this one",
            *(f"{each[key]:,}" for key in ("stores", "partitions", "standby_partitions")),
        )
        for each in overview["instances"]
    ]
    return _table(("instance", "stores>", "partitions>", "standby>"), rows, width)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str | Text]], width: int) -> Table:
    """Return a table of as many columns as fit: the last ones matter least.

    Those whose heads end in > stand to the right.
    """
    names = [head.removesuffix(">") for head in heads]
    widths = [max(map(_width, cells)) for cells in zip(names, *rows)]
    columns = len(names)
    while columns > _COLUMNS_MIN and sum(widths[:columns]) + _GAP * (columns - 1) > width:
        columns -= 1
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, _GAP, 0, 0))
    for name, head in zip(names[:columns], heads):
        table.add_column(name, justify="right" if name != head else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row[:columns])
    return table


def _width(cell: str | Text) -> int:
    return cell.cell_len if isinstance(cell, Text) else cell_len(cell)


def _rate(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:,.0f}"


def _ms(ms: float | None) -> str:
    return "-" if ms is None else f"{ms:,.1f} ms"


def _span(ms: int) -> str:
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if ms >= size:
            return f"{ms // size}{unit}"
    return f"{ms}ms"

"""`Streams.table`: a store as a table, which notebooks show and data frames are made of."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from headrace.base.durations import Duration, milliseconds
from headrace.base.errors import HeadraceError
from headrace.query.frames import arrow_table, package
from headrace.query.live_table import LiveTable
from headrace.query.table_columns import columns_of
from headrace.query.table_html import html_note, html_table
from headrace.state.spec import StoreSpec

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

__all__ = ["StoreTable"]

#: Rows that a notebook shows, and how far it counts those behind them.
_SHOWN_MAX, _COUNTED_MAX = 20, 10_000


class StoreTable:
    """A store as a table: as of the moment at which it is shown or converted, each time anew.

    A notebook shows its first rows and says how many there are; `live` keeps what it shows up to date. Columns are the
    key, or its fields, `window_start` and `window_end` of windows and sessions, the value, or its fields, and of
    versions, the latest of each key, `timestamp`; of a store with headers `timestamp` and `headers`. Rows come
    partition by partition.

    `view` is what `Streams.query` returns, and `is_over` says whether the application has ended.
    """

    def __init__(self, spec: StoreSpec, view: Any, is_over: Callable[[], bool]) -> None:
        self._spec = spec
        self._view = view
        self._is_over = is_over

    def __repr__(self) -> str:
        return f"StoreTable({self._spec.name!r}, {self._kind}, {self._spec.key!r} to {self._spec.value!r})"

    @property
    def _kind(self) -> str:
        return self._spec.kind.replace("_", "-")

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        view = self._view
        match self._spec.kind:
            case "window":
                found = view.range()
            case "session":
                found = view.sessions()
            case "versioned":
                found = view.latest()
            case _:
                found = view.all()
        rows: Iterator[tuple[Any, ...]] = found
        return rows

    def _taken(self, limit: int | None) -> Sequence[tuple[Any, ...]]:
        return list(islice(self._rows(), limit))

    # ── notebooks ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _repr_html_(self) -> str:
        """Return the first rows as HTML, or why they cannot be read now. Notebooks call it."""
        spec = self._spec
        what = f"store {spec.name} ({self._kind})"
        try:
            rows = self._rows()
            shown = list(islice(rows, _SHOWN_MAX))
            more = sum(1 for _ in islice(rows, _COUNTED_MAX - len(shown) + 1))
        except (HeadraceError, TimeoutError) as error:
            return html_note(f"{what} cannot be read now: {error}")
        count = len(shown) + more
        if count > _COUNTED_MAX:
            caption = f"{what}: {len(shown)} rows, and more than {_COUNTED_MAX - len(shown):,} more"
        elif more:
            caption = f"{what}: {len(shown)} rows, and {more:,} more"
        else:
            caption = f"{what}: {count} row{'' if count == 1 else 's'}"
        return html_table(columns_of(spec, shown), caption)

    def live(self, every: Duration = "1s") -> LiveTable:
        """Show it in a notebook, and again and again until `stop()` of what is returned, or the end of the application.

        A thread looks once in `every`, ten times a second at most, and sends what has changed.

        Raises:
            ImportError: IPython is not installed.
            StateError: this is no notebook.
        """
        seconds = max(0.1, milliseconds(every, name="every") / 1000)
        return LiveTable(self._repr_html_, seconds, self._is_over, name=f"headrace-live-{self._spec.name}")

    # ── data frames ─────────────────────────────────────────────────────────────────────────────────────────────────

    def to_arrow(self, limit: int | None = None) -> "pyarrow.Table":
        """Return all rows, or so many, as a table of Arrow, with the types that keys and values were declared with.

        Times are UTC, in milliseconds. What Arrow has no one type for is JSON, as text.

        Raises:
            ImportError: pyarrow is not installed.
            SerializationError: a value has no place in the type of its column, such as a number of 70 bits.
            StoreUnavailableError: as of `Streams.query`.
        """
        return self._arrow("to_arrow()", limit)

    def to_pandas(self, limit: int | None = None) -> "pandas.DataFrame":
        """Return all rows, or so many, as a data frame of pandas, by way of Arrow; see `to_arrow`.

        Raises:
            ImportError: pandas or pyarrow is not installed.
        """
        package("pandas", "to_pandas()")
        return self._arrow("to_pandas()", limit).to_pandas()

    def to_polars(self, limit: int | None = None) -> "polars.DataFrame":
        """Return all rows, or so many, as a data frame of polars, by way of Arrow; see `to_arrow`.

        Raises:
            ImportError: polars or pyarrow is not installed.
        """
        made_by = package("polars", "to_polars()")
        frame: polars.DataFrame = made_by.from_arrow(self._arrow("to_polars()", limit))
        return frame

    def _arrow(self, wanted_by: str, limit: int | None) -> "pyarrow.Table":
        package("pyarrow", wanted_by)  # before all rows are read
        return arrow_table(columns_of(self._spec, self._taken(limit)), self._spec.name, wanted_by)

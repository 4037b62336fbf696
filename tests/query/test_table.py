"""Stores as tables: what notebooks show of them, and the data frames that they become."""

import enum
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import msgspec
import polars
import pyarrow
import pydantic
import pytest
from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell

import headrace as hr
from headrace import agg, stores
from headrace.base.columns import Columns
from headrace.base.errors import SerializationError, StateError
from headrace.log.embedded import EmbeddedLog
from headrace.log.port import TopicSpec
from headrace.query import table as table_module
from headrace.query.frames import arrow_table
from headrace.query.table import StoreTable
from headrace.query.table_columns import columns_of
from headrace.testing import TopologyTestDriver
from tests.streams.waiting import until


@dataclass(frozen=True)
class Shop:
    city: str
    id: int


@dataclass(frozen=True)
class Sale:
    id: int
    amount: float
    note: str | None = None


@dataclass(frozen=True)
class Sums:
    sales: int
    total: float


SALES = hr.Topic("sales", key=Shop, value=Sale)
CLICKS = hr.Topic("clicks", value=str)
PRICES = hr.Topic("prices", value=float, partitions=2)
LATEST = stores.key_value("latest", key=Shop, value=Sale)
SUMS = stores.key_value("sums", key=Shop, value=Sums)
MINUTES = stores.window("minutes", key=str, value=int, retention="1h")
VISITS = stores.session("visits", key=str, value=int, retention="1h")
PRICED = stores.versioned("priced", key=str, value=float, history="1h")
EMPTY = stores.key_value("empty", key=str, value=Sale)


def application(folder: Path) -> hr.Streams:
    log = EmbeddedLog.open(folder / "log.db")
    log.create_topics([TopicSpec("sales", 1), TopicSpec("clicks", 1), TopicSpec("prices", 2)])
    writer = log.writer("test")
    sales, clicks = Columns(), Columns()
    for number in range(3):
        key = msgspec.json.encode(Shop("<b>Bern</b>" if number else "Basel", number))
        sales.append(key, msgspec.json.encode(Sale(number, number / 2)), number, ())
    for second in (0, 10, 70):
        clicks.append(b"ann", b"/", second * 1000, ())
    writer.append("sales", 0, sales)
    writer.append("clicks", 0, clicks)
    for partition in range(2):
        prices = Columns()
        for number in range(4):
            name, price = f"p{partition}{number % 3}".encode(), repr(number / 4).encode()
            prices.append(name, hr.float64.serialize("prices", float(price)), number * 1000, ())
        writer.append("prices", partition, prices)
    writer.commit({})
    writer.close()
    log.close()
    builder = hr.StreamsBuilder()
    builder.table(SALES, store=LATEST)
    builder.stream(hr.Topic("none", value=Sale)).to_table(store=EMPTY)
    grouped = builder.stream(CLICKS).group_by_key()
    grouped.windowed_by(hr.TimeWindows("1m", grace="0s")).count(store=MINUTES)
    grouped.windowed_by(hr.SessionWindows("30s", grace="0s")).count(store=VISITS)
    builder.table(PRICES, store=PRICED)
    return hr.Streams(
        builder.build(),
        application_id="shop",
        embedded_path=str(folder / "log.db"),
        state_dir=str(folder / "state"),
        commit_interval_ms=20,
    )


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[hr.Streams]:
    with application(tmp_path_factory.mktemp("shop")) as found:
        found.wait_running("30s")
        until(lambda: len(list(found.query(LATEST).all())) == 3)
        until(lambda: len(list(found.query(VISITS).sessions())) == 2)
        until(lambda: len(list(found.query(PRICED).latest())) == 6)
        yield found


def at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def schema(table: pyarrow.Table) -> dict[str, str]:
    return {field.name: str(field.type) for field in table.schema}


def test_fields_of_keys_and_values_are_columns_of_their_types(streams: hr.Streams) -> None:
    table = streams.table(LATEST).to_arrow()
    assert schema(table) == {
        "city": "string",
        "key.id": "int64",
        "value.id": "int64",
        "amount": "double",
        "note": "string",
    }
    assert table.to_pylist()[-1] == {"city": "Basel", "key.id": 0, "value.id": 0, "amount": 0.0, "note": None}


def test_windows_have_their_times(streams: hr.Streams) -> None:
    table = streams.table(MINUTES).to_arrow()
    assert schema(table) == {
        "key": "string",
        "window_start": "timestamp[ms, tz=UTC]",
        "window_end": "timestamp[ms, tz=UTC]",
        "value": "int64",
    }
    assert table.to_pylist() == [
        {"key": "ann", "window_start": at(0), "window_end": at(60_000), "value": 2},
        {"key": "ann", "window_start": at(60_000), "window_end": at(120_000), "value": 1},
    ]


def test_sessions_have_theirs(streams: hr.Streams) -> None:
    assert streams.table(VISITS).to_arrow().to_pylist() == [
        {"key": "ann", "window_start": at(0), "window_end": at(10_000), "value": 2},
        {"key": "ann", "window_start": at(70_000), "window_end": at(70_000), "value": 1},
    ]


def test_of_versions_there_is_the_latest_of_each_key(streams: hr.Streams) -> None:
    table = streams.table(PRICED).to_arrow()
    assert schema(table) == {"key": "string", "value": "double", "timestamp": "timestamp[ms, tz=UTC]"}
    assert table.to_pylist() == [
        {"key": f"p{partition}{number}", "value": price, "timestamp": at(time)}
        for partition in range(2)
        for number, price, time in ((0, 0.75, 3000), (1, 0.25, 1000), (2, 0.5, 2000))
    ]


def test_an_empty_store_has_columns_and_types(streams: hr.Streams) -> None:
    table = streams.table(EMPTY).to_arrow()
    assert (table.num_rows, schema(table)) == (
        0,
        {"key": "string", "id": "int64", "amount": "double", "note": "string"},
    )


def test_pandas_and_polars_take_it_over(streams: hr.Streams) -> None:
    windows = streams.table("minutes")
    frame = windows.to_pandas()
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == {
        "key": str(frame["key"].dtype),  # text is another one from pandas 3 on
        "window_start": "datetime64[ms, UTC]",
        "window_end": "datetime64[ms, UTC]",
        "value": "int64",
    }
    assert list(frame["value"]) == [2, 1]
    table = windows.to_polars()
    assert dict(table.schema) == {
        "key": polars.String,
        "window_start": polars.Datetime("ms", "UTC"),
        "window_end": polars.Datetime("ms", "UTC"),
        "value": polars.Int64,
    }
    assert table["window_start"].to_list() == [at(0), at(60_000)]


def test_as_many_rows_are_read_as_are_wanted(streams: hr.Streams) -> None:
    assert streams.table(PRICED).to_arrow(limit=2).num_rows == 2
    assert len(streams.table(PRICED).to_pandas(limit=1)) == 1
    assert streams.table(PRICED).to_polars(limit=0).height == 0


def test_options_are_those_of_a_query(streams: hr.Streams) -> None:
    assert streams.table(PRICED, partitions=[1]).to_arrow()["key"].to_pylist() == ["p10", "p11", "p12"]
    assert streams.table(PRICED, where="local", committed=True).to_arrow().num_rows == 6


def test_a_notebook_shows_escaped_rows_and_what_they_are(streams: hr.Streams) -> None:
    html = streams.table(LATEST)._repr_html_()
    assert "<td>&lt;b&gt;Bern&lt;/b&gt;</td><td>1</td><td>1</td><td>0.5</td><td></td>" in html
    assert "<b>" not in html
    assert re.findall("<th>(.*?)</th>", html) == ["city", "key.id", "value.id", "amount", "note"]
    assert html.endswith("<p>store latest (key-value): 3 rows</p>")
    assert "<td>1970-01-01 00:01:00.000Z</td>" in streams.table(MINUTES)._repr_html_()
    assert repr(streams.table(MINUTES)) == "StoreTable('minutes', window, string to int64)"


@pytest.mark.parametrize(
    ("counted", "said"),
    [(10, "2 rows, and 4 more"), (6, "2 rows, and 4 more"), (5, "2 rows, and more than 3 more")],
)
def test_a_notebook_shows_some_rows_and_counts_the_others(
    streams: hr.Streams, counted: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_module, "_SHOWN_MAX", 2)
    monkeypatch.setattr(table_module, "_COUNTED_MAX", counted)
    html = streams.table(PRICED)._repr_html_()
    assert html.count("<tr>") == 1 + 2
    assert html.endswith(f"<p>store priced (versioned): {said}</p>")


def test_a_store_that_nobody_answers_for_says_why(tmp_path: Path) -> None:
    streams = application(tmp_path)
    assert streams.table(LATEST)._repr_html_() == (
        "<p>store latest (key-value) cannot be read now: cannot query a store: application &#x27;shop&#x27; is "
        "created; start it, and wait_running()</p>"
    )


@pytest.fixture
def notebook() -> Iterator[CapturingDisplayPublisher]:
    shell = InteractiveShell.instance()
    publisher: CapturingDisplayPublisher = CapturingDisplayPublisher()  # type: ignore[no-untyped-call]  # as it is
    before, shell.display_pub = shell.display_pub, publisher
    try:
        yield publisher
    finally:
        shell.display_pub = before
        InteractiveShell.clear_instance()


def test_a_live_table_follows_the_store_until_the_application_ends(
    tmp_path: Path, notebook: CapturingDisplayPublisher
) -> None:
    def shown() -> list[str]:
        return [each["data"]["text/html"] for each in notebook.outputs]

    with application(tmp_path) as streams:
        streams.wait_running("30s")
        until(lambda: len(list(streams.query(PRICED).latest())) == 6)
        live = streams.table(PRICED).live("100ms")
        assert shown()[0].endswith("<p>store priced (versioned): 6 rows</p>")
        log = EmbeddedLog.open(tmp_path / "log.db")
        writer, columns = log.writer("test"), Columns()
        columns.append(b"new", hr.float64.serialize("prices", 9.5), 5000, ())
        writer.append("prices", 0, columns)
        writer.commit({})
        writer.close()
        log.close()
        until(lambda: "<td>new</td><td>9.5</td>" in shown()[-1])
        assert live.is_running
    until(lambda: not live.is_running)
    assert shown()[-1].endswith(
        "<p>store priced (versioned): 7 rows</p><p>the application has ended: this is what was seen last</p>"
    )
    assert {each["transient"]["display_id"] for each in notebook.outputs} == {
        notebook.outputs[0]["transient"]["display_id"]
    }
    assert [each.get("update", False) for each in notebook.outputs] == [False, *[True] * (len(shown()) - 1)]


def test_a_live_table_can_be_stopped(streams: hr.Streams, notebook: CapturingDisplayPublisher) -> None:
    live = streams.table(PRICED).live("1h")
    live.stop()
    live.stop()
    assert not live.is_running


def test_a_live_table_wants_a_notebook(streams: hr.Streams) -> None:
    with pytest.raises(StateError, match="shows itself in a notebook, and this is none"):
        streams.table(PRICED).live()


@pytest.mark.parametrize(
    ("missing", "call"),
    [
        ("pyarrow", "to_arrow"),
        ("pyarrow", "to_pandas"),
        ("pandas", "to_pandas"),
        ("polars", "to_polars"),
        ("IPython", "live"),
    ],
)
def test_without_a_package_it_says_what_to_install(
    streams: hr.Streams, missing: str, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError) as raised:
        getattr(streams.table(PRICED), call)()
    assert str(raised.value) == f"{call}() needs {missing}, which is not installed: pip install {missing}"


def test_none_of_the_packages_is_imported_before_it_is_needed() -> None:
    program = (
        "import sys; import headrace; headrace.Streams.table; "
        "print(sorted({'pandas', 'polars', 'pyarrow', 'IPython'} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"


# ── types ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Colour(enum.Enum):
    RED = "red"


class Point(NamedTuple):
    x: int
    y: float


class Named(TypedDict, total=False):
    name: str
    age: int


class Model(pydantic.BaseModel):
    name: str
    tags: list[str]


class Inner(msgspec.Struct, frozen=True, rename="camel"):
    first_name: str
    when: datetime | None = None


class Outer(msgspec.Struct, frozen=True):
    inner: Inner
    colour: Colour
    points: tuple[Point, ...]
    by_name: dict[str, int]
    span: timedelta
    price: Decimal
    number: uuid.UUID
    raw: bytes
    self_made: "Outer | None" = None


def arrow_of(kind: Any, *values: Any) -> pyarrow.Table:
    """The columns of values that a store of this type may have."""
    builder = hr.StreamsBuilder()
    builder.table(hr.Topic("t", value=kind), store=stores.key_value("s", key=str, value=kind))
    spec = builder.build().stores["s"]
    rows = [(str(number), value) for number, value in enumerate(values)]
    return arrow_table(columns_of(spec, rows), "s", "a test").drop(["key"])


def test_named_tuples_typed_dictionaries_and_models_are_spread() -> None:
    assert arrow_of(hr.json(Point), Point(1, 2)).to_pylist() == [{"x": 1, "y": 2.0}]
    assert arrow_of(hr.json(Named), {"name": "ann"}).to_pylist() == [{"name": "ann", "age": None}]
    assert schema(arrow_of(Model)) == {"name": "string", "tags": "list<item: string>"}
    assert arrow_of(Model, Model(name="a", tags=["b"])).to_pylist() == [{"name": "a", "tags": ["b"]}]


def test_what_is_within_a_field_has_arrows_types() -> None:
    point = Point(1, 2.5)
    inner = Inner("Ann", datetime(2024, 1, 2, tzinfo=UTC))
    number = uuid.UUID(int=7)
    outer = Outer(
        inner, Colour.RED, (point,), {"a": 1}, timedelta(seconds=2), Decimal("1.50"), number, b"\x00"
    )
    (row,) = arrow_of(Outer, outer).to_pylist()
    assert row == {
        "inner": {"firstName": "Ann", "when": datetime(2024, 1, 2, tzinfo=UTC)},
        "colour": "red",
        "points": [{"x": 1, "y": 2.5}],
        "by_name": [("a", 1)],
        "span": timedelta(seconds=2),
        "price": Decimal("1.50"),
        "number": str(number),
        "raw": b"\x00",
        "self_made": None,
    }


def test_values_with_headers_have_them_beside_their_fields() -> None:
    builder = hr.StreamsBuilder()
    kept = stores.key_value("kept", key=str, value=Sale, headers=True)

    @hr.processor(kept)
    def keep(
        record: hr.Record[str, Sale], store: stores.KeyValueStore[str, stores.Stamped[Sale]]
    ) -> Iterator[hr.Record[str, Sale]]:
        store.put(record.key, stores.Stamped.of(record))
        yield record

    sales = hr.Topic("sales", value=Sale)
    builder.stream(sales).process(keep)
    topology = builder.build()
    with TopologyTestDriver(topology) as driver:
        driver.input(sales).pipe("k", Sale(1, 2.5), timestamp=5, headers=(("a", b"1"), ("b", None)))
        table = StoreTable(topology.stores["kept"], driver.store(kept), lambda: False)
        assert table.to_arrow().to_pylist() == [
            {
                "key": "k",
                "id": 1,
                "amount": 2.5,
                "note": None,
                "timestamp": at(5),
                "headers": [{"name": "a", "content": b"1"}, {"name": "b", "content": None}],
            }
        ]
        assert "<td>1970-01-01 00:00:00.005Z</td><td>[[&quot;a&quot;" in table._repr_html_()


def test_windowed_keys_of_a_table_have_their_times() -> None:
    builder = hr.StreamsBuilder()
    topic = hr.Topic("windows", key=hr.time_windowed(str, "1m"), value=int)
    builder.table(topic, store="windows")
    topology = builder.build()
    with TopologyTestDriver(topology) as driver:
        driver.input(topic).pipe(hr.Windowed("k", hr.Window(60_000, 120_000)), 7, timestamp=5)
        table = StoreTable(topology.stores["windows"], driver.store("windows"), lambda: False)
        assert table.to_arrow().to_pylist() == [
            {"key": "k", "window_start": at(60_000), "window_end": at(120_000), "value": 7}
        ]


def test_what_has_no_type_in_common_is_json() -> None:
    mixed = hr.json(dict[str, int | str])
    assert arrow_of(mixed, {"a": 1}, {"a": "b"}).to_pylist() == [{"value": '{"a":1}'}, {"value": '{"a":"b"}'}]


def test_a_number_that_does_not_fit_is_refused_with_its_column() -> None:
    with pytest.raises(SerializationError, match="column 'value' of store 's' cannot be made int64: "):
        arrow_of(hr.json(int), 2**70)


def test_results_of_ready_made_aggregations_are_spread() -> None:
    builder = hr.StreamsBuilder()
    sums = agg.into(Sums, sales=agg.count(), total=agg.sum(lambda sale: sale.amount))
    builder.stream(SALES).group_by_key().aggregate(sums, store=SUMS)
    spec = builder.build().stores["sums"]
    table = StoreTable(spec, _View([(Shop("Bern", 1), Sums(2, 1.5))]), lambda: False)
    assert table.to_arrow().to_pylist() == [{"city": "Bern", "id": 1, "sales": 2, "total": 1.5}]


class _View:
    def __init__(self, rows: list[tuple[Any, ...]]) -> None:
        self._rows = rows

    def all(self) -> Iterator[tuple[Any, ...]]:
        return iter(self._rows)

"""The programs of the README, and of the page on databases, run, and do what is said of them."""

import importlib.util
import re
import sqlite3
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import ModuleType

import pytest

import headrace as hr
from headrace import stores, testing
from headrace.base.columns import Columns
from headrace.log.embedded.log import EmbeddedLog
from headrace.log.port import TopicSpec
from tests.streams.waiting import until

_PAGES = ["README.md", "docs/howto/databases.md"]
_BLOCKS: list[str] = [
    found
    for page in _PAGES
    for found in re.findall(
        r"^```python\n(.*?)^```", (Path(__file__).parents[1] / page).read_text(), re.S | re.M
    )
]
_MINUTE_MS = 60_000

Load = Callable[..., ModuleType]


def block(words: str) -> str:
    """Return the one block with these words."""
    found = [each for each in _BLOCKS if words in each]
    assert len(found) == 1, words
    return found[0]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """What runs a block in an empty folder, as a module of that name; names may be given that it goes on from."""
    monkeypatch.chdir(tmp_path)

    def load(name: str, text: str, **given: object) -> ModuleType:
        file = tmp_path / f"{name}.py"
        file.write_text(text)
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        vars(module).update(given)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return load


def test_every_program_of_these_pages_is_run_by_a_test_here() -> None:
    assert len(_BLOCKS) == 13


def test_word_count_passes_its_own_test(load: Load) -> None:
    load("wordcount", block("flat_map_values(words"))
    load("test_wordcount", block("driver.restart()")).test_words_are_counted_without_regard_to_case()


def test_word_count_is_asked_in_all_ways(load: Load, tmp_path: Path) -> None:
    wordcount = load("wordcount", block("flat_map_values(words"))
    with hr.Streams(wordcount.topology, application_id="wordcount", embedded_path="shop.db") as streams:
        streams.wait_running("30s")
        load("queries", block("goes to the instance"), hr=hr, streams=streams, WORDS=wordcount.WORDS)


def test_word_count_runs_in_a_program(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    wordcount = load("wordcount", block("flat_map_values(words"))
    load(
        "program", block("streams.wait_running()"), hr=hr, topology=wordcount.topology, WORDS=wordcount.WORDS
    )
    assert capsys.readouterr().out == "None\n"


def test_word_count_is_made_for_a_cluster(load: Load) -> None:
    wordcount = load("wordcount", block("flat_map_values(words"))
    load("cluster", block("bootstrap_servers="), hr=hr, topology=wordcount.topology)


def test_failures_are_decided_by_a_handler(load: Load) -> None:
    wordcount = load("wordcount", block("flat_map_values(words"))
    shop = load("shop", block("def on_failure"), hr=hr, topology=wordcount.topology)

    def parse(line: str) -> int:
        if line == "stop":
            raise RuntimeError(line)
        return int(line)

    builder = hr.StreamsBuilder()
    lines, numbers = hr.Topic("lines", value=str), hr.Topic("numbers", value=int)
    builder.stream(lines).map_values(parse, value=int).to(numbers)
    with testing.TopologyTestDriver(
        builder.build(),
        processing_exception_handler=shop.on_failure,
        errors_dead_letter_queue_topic_name="dead-letters",
    ) as driver:
        driver.input(lines).pipe_all([("a", "1"), ("b", "two"), ("c", "3")])
        assert driver.output(numbers).read_pairs() == [("a", 1), ("c", 3)]
        assert driver.output(hr.Topic("dead-letters", value=str)).read().value == "two"
        with pytest.raises(hr.ProcessingError):
            driver.input(lines).pipe("d", "stop")


def test_orders_go_through_a_schema_registry(load: Load) -> None:
    shop = load("registered", block("hr.registry.Decimal(10, 2)"))
    builder = hr.StreamsBuilder()
    builder.stream(shop.ORDERS).to(shop.PAID)
    order = shop.Order("1", Decimal("2.50"), datetime(2026, 1, 1, tzinfo=UTC))
    with testing.TopologyTestDriver(builder.build(), schema_registry_url="mock://readme") as driver:
        driver.input(shop.ORDERS).pipe("1", order)
        assert driver.output(shop.PAID).read().value == order
    assert list(hr.registry.mock("readme").subjects) == ["orders-key", "orders-value", "paid-value"]


def test_sales_are_counted_once_an_order_by_country_and_hour(load: Load) -> None:
    sales = load("sales", block("def first_only"))
    with testing.TopologyTestDriver(sales.topology) as driver:
        driver.input(sales.CUSTOMERS).pipe("ada", sales.Customer("CH"), 0)
        for number, amount, minute in (
            ("1", 10.0, 1),
            ("2", 5.0, 2),
            ("1", 10.0, 3),
            ("3", 0.0, 4),
            ("4", 2.5, 61),
        ):
            driver.input(sales.ORDERS).pipe("ada", sales.Order(number, amount), minute * _MINUTE_MS)
        found = {
            (window.key, window.window.start // _MINUTE_MS): total
            for partition in range(4)
            for window, total in driver.store(sales.HOURLY, partition=partition).range("CH", start=0)
        }
        assert found == {("CH", 0): 15.0, ("CH", 60): 2.5}


@pytest.fixture
def shop(load: Load) -> ModuleType:
    return load("shop", block("builder.global_table"))


def test_orders_find_their_product_in_a_global_table(shop: ModuleType) -> None:
    with testing.TopologyTestDriver(shop.topology) as driver:
        driver.input(hr.Topic("catalogue", value=shop.Product)).pipe("p1", shop.Product("pen", "s1"))
        driver.input(shop.ORDERS).pipe_all(
            [("o1", shop.Order("ada", "p1", 2.5)), ("o2", shop.Order("ada", "p2", 1.0))]
        )
        assert driver.output(shop.NAMED).read_pairs() == [("o1", "pen")]


def test_orders_without_a_payment_are_told_when_their_hour_is_over(shop: ModuleType) -> None:
    orders = [shop.Order("ada", f"p{number}", 1.0) for number in range(3)]
    with testing.TopologyTestDriver(shop.topology) as driver:
        driver.input(shop.ORDERS).pipe_all(
            [(f"o{n}", order, n * _MINUTE_MS) for n, order in enumerate(orders)]
        )
        driver.input(shop.PAYMENTS).pipe("o0", 1.0, 60 * _MINUTE_MS)
        driver.input(shop.PAYMENTS).pipe("o1", 1.0, 62 * _MINUTE_MS)
        driver.advance("2s")
        assert driver.output(shop.UNPAID).read_all() == []
        driver.input(shop.PAYMENTS).pipe("later", 1.0, 70 * _MINUTE_MS)
        assert driver.output(shop.UNPAID).read_pairs() == [("o1", orders[1]), ("o2", orders[2])]


def test_products_know_their_supplier_also_when_it_is_renamed(shop: ModuleType) -> None:
    with testing.TopologyTestDriver(shop.topology) as driver:
        driver.input(shop.PRODUCTS).pipe_all(
            [("p1", shop.Product("pen", "s1")), ("p2", shop.Product("desk", "s1"))]
        )
        driver.input(shop.SUPPLIERS).pipe("s1", "Smith")
        assert dict(driver.store(shop.ORIGINS).all()) == {"p1": "pen by Smith", "p2": "desk by Smith"}
        driver.input(shop.SUPPLIERS).pipe("s1", "Jones")
        assert dict(driver.store(shop.ORIGINS).all()) == {"p1": "pen by Jones", "p2": "desk by Jones"}


def test_visits_have_one_result_when_they_are_over(shop: ModuleType) -> None:
    with testing.TopologyTestDriver(shop.topology) as driver:
        driver.input(shop.CLICKS).pipe_all(
            [("ada", page, minute * _MINUTE_MS) for page, minute in (("/", 0), ("/a", 30))]
        )
        assert driver.output(shop.VISITS).read_all() == []
        driver.input(shop.CLICKS).pipe("bob", "/", 65 * _MINUTE_MS)
        visit = driver.output(shop.VISITS).read()
        assert (visit.key.key, *visit.key.window, visit.value) == ("ada", 0, 30 * _MINUTE_MS, 2)


def test_ready_made_aggregations_give_means_and_sales(load: Load) -> None:
    made = load("made", block("agg.into("))
    with testing.TopologyTestDriver(made.topology) as driver:
        orders = driver.input(hr.Topic("orders", value=made.Order))
        for amount in (1.0, 2.0):
            orders.pipe("ann", made.Order("book", amount), timestamp=0)
        assert driver.output(hr.Topic("means", value=float)).read_pairs() == [("ann", 1.0), ("ann", 1.5)]
        sales = driver.store(next(name for name in made.topology.stores if name.endswith("0000000005")))
        assert [value for _, value in sales.sessions("ann")] == [made.Sales(2, 3.0, 1)]


def test_visits_meet_the_customers_of_a_database(load: Load) -> None:
    shop = load("customers", block("named-visits"))
    changes = hr.Topic("shop.public.customers", key=str, value=str)
    row = '"name":"Ada","credit":"BM4=","since":1796033472131415,"photo":null,"city":"Bern"'
    change = '{"before":null,"after":{"id":NUMBER,' + row + '},"source":{"ts_ms":0},"op":"c","ts_ms":0}'
    with testing.TopologyTestDriver(shop.topology, partitions=3) as driver:
        for number in ("0", "1", "2"):
            driver.input(changes).pipe(
                '{"id":NUMBER}'.replace("NUMBER", number), change.replace("NUMBER", number)
            )
        driver.input(hr.Topic("visits", key=int, value=str)).pipe_all([(1, "/tea"), (2, "/cup"), (7, "/")])
        named = driver.output(hr.Topic("named-visits", key=int, value=str)).read_pairs()
        assert sorted(named) == [(1, "Ada: /tea"), (2, "Ada: /cup")]


def test_rows_of_a_database_come_in_avro(load: Load) -> None:
    users = load("users", block('format="avro"'))
    key = '{"type":"record","name":"Key","fields":[{"name":"id","type":"int"}]}'
    row = (
        '{"type":"record","name":"Value","fields":[{"name":"id","type":"int"},{"name":"name","type":"string"},'
        '{"name":"credit","type":{"type":"bytes","logicalType":"decimal","precision":10,"scale":2}},'
        '{"name":"since","type":{"type":"long","connect.name":"io.debezium.time.MicroTimestamp"}}]}'
    )
    change = (
        '{"type":"record","name":"Envelope","fields":[{"name":"before","type":["null",' + row + "]},"
        '{"name":"after","type":["null","Value"]},{"name":"op","type":"string"}]}'
    )
    changes = hr.Topic(
        "shop.public.users", key=hr.registry.avro(schema=key), value=hr.registry.avro(schema=change)
    )
    named = hr.Topic("named", key=users.USER, value=hr.raw)
    of_users = stores.key_value("of-users", key=users.USER, value=users.User)
    builder = hr.StreamsBuilder()
    builder.table(users.USERS, store=of_users).to_stream().map_values(lambda user: b"", value=hr.raw).to(
        named
    )
    with testing.TopologyTestDriver(builder.build(), schema_registry_url="mock://users") as driver:
        ada = {"id": 7, "name": "Ada", "credit": Decimal("12.50"), "since": 1796033472131415}
        driver.input(changes).pipe({"id": 7}, {"before": None, "after": ada, "op": "c"})
        assert driver.store(of_users).get(7) == users.User(
            "Ada", Decimal("12.50"), datetime(2026, 11, 30, 10, 11, 12, 131415)
        )
        assert driver.output(named).read_pairs() == [(7, b"")]


def test_counts_of_words_are_written_into_a_database(load: Load) -> None:
    wordcount = load("wordcount", block("flat_map_values(words"))
    log = EmbeddedLog.open("shop.db")
    log.create_topics([TopicSpec("lines", 1)])
    columns = Columns()
    columns.append(None, b"to be or not to be", 0, ())
    writer = log.writer("feed")
    writer.append("lines", 0, columns)
    writer.commit({})
    log.close()
    with sqlite3.connect("words.db") as made:
        made.execute("CREATE TABLE word_counts (word text PRIMARY KEY, n bigint)")
    sink = load("words", block("hr.sql.Sink(")).sink

    def rows() -> list[tuple[str, int]]:
        return sorted(made.execute("SELECT word, n FROM word_counts"))

    with hr.Streams(wordcount.topology, application_id="wordcount", embedded_path="shop.db"), sink:
        until(lambda: rows() == [("be", 2), ("not", 1), ("or", 1), ("to", 2)])
    made.close()

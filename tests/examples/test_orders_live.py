"""The shop with PostgreSQL, Debezium, a broker, headrace and FastAPI as processes, each killed at a random moment.

Orders in are orders out and dead letters, exactly.
"""

import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Engine, create_engine, select

import headrace as hr
from examples.orders.database import approvals, orders, shipments
from examples.orders.events import DEAD_LETTERS, ONCE, ORDER_EVENTS, PRODUCT_EVENTS, TO_APPROVE, TO_SHIP
from headrace.log.port import TopicSpec
from headrace.streams.logs import open_log
from headrace.testing import LocalKafka
from tests.budget import IS_LONG
from tests.cdc import capture
from tests.examples.programs import EXAMPLES, answer, free_port, listen_to_ctrl_c
from tests.sql.orders import read_from
from tests.sql.postgres import LocalPostgres

pytestmark = [pytest.mark.process, pytest.mark.broker]

ORDERS = 4_000 if IS_LONG else 300
KILLS = 4 if IS_LONG else 1  # of each part
PRICES = {"pen": 250, "desk": 40_000}
SECONDS = 120.0

Process = subprocess.Popen[bytes]


class Shop:
    """All parts. A process that has ended is started again by `tend`, as a service manager does."""

    def __init__(self, kafka: LocalKafka, postgres: LocalPostgres, folder: Path) -> None:
        self.kafka = kafka
        self.postgres = postgres
        self.config = hr.Config(bootstrap_servers=kafka.bootstrap_servers)
        self._folder = folder
        self._address = postgres.make_database()
        self.engine: Engine = create_engine(self._address, pool_pre_ping=True)
        self._ports = {"service": free_port(), "worker": free_port()}
        self.url = f"http://127.0.0.1:{self._ports['service']}"
        self._connector = self._connector_file()
        self.processes: dict[str, Process] = {}
        self.starts: Counter[str] = Counter()
        self.tend()

    def _connector_file(self) -> Path:
        """The example's own properties, but for where the database is; and what a worker of Connect would have."""
        lines = (EXAMPLES / "orders/connector.properties").read_text().splitlines()
        told = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
        own = {name: text for name, text in told.items() if not name.startswith("database.")}
        database = self._address.rpartition("/")[2]
        own["bootstrap.servers"] = self.kafka.bootstrap_servers
        # It notes how far it is once a minute by default, and a crash repeats what came since: here, all of it.
        own["offset.flush.interval.ms"] = "3600000"
        return capture.properties_of(self.postgres.port, database, self._folder / "debezium", own)

    def tend(self) -> None:
        """Start what does not run."""
        for part in ("service", "worker"):
            if not self._runs(part):
                self._started(part, self._start(part))
        # It looks for the table that it is to read, which the service makes.
        if not self._runs("debezium") and (self.starts["debezium"] or self.is_up("service")):
            self._started("debezium", capture.start(self._connector))

    def _runs(self, part: str) -> bool:
        return part in self.processes and self.processes[part].poll() is None

    def _started(self, part: str, process: Process) -> None:
        if part in self.processes:
            capture.end(self.processes[part])
        self.processes[part] = process
        self.starts[part] += 1

    def _start(self, part: str) -> Process:
        options = ["--port", str(self._ports[part]), "--state-dir", str(self._folder / part)]
        with (self._folder / f"{part}.log").open("ab") as said:
            return subprocess.Popen(
                [
                    *(sys.executable, "-m", "examples.orders", "--database", self._address),
                    *("--bootstrap-servers", self.kafka.bootstrap_servers),
                    *options,
                    *(["--worker"] if part == "worker" else []),
                ],
                cwd=EXAMPLES.parent,
                stdout=said,
                stderr=said,
                preexec_fn=listen_to_ctrl_c,  # noqa: PLW1509 - only one thread starts processes here
            )

    def is_up(self, part: str) -> bool:
        return answer(f"http://127.0.0.1:{self._ports[part]}/streams/health/ready")[0] == 200

    def until(self, condition: Callable[[], object]) -> None:
        """Wait for a condition, and start meanwhile what has ended."""
        deadline = time.monotonic() + SECONDS
        while True:
            self.tend()
            with suppress(hr.HeadraceError):
                if condition():
                    return
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.05)

    def said(self) -> str:
        """The end of what each part has said."""
        files = [*self._folder.glob("*.log"), *self._folder.glob("debezium/errors.log")]
        return "\n".join(f"── {file.name}\n{file.read_text(errors='replace')[-3000:]}" for file in files)

    def close(self) -> None:
        for process in self.processes.values():
            capture.end(process)
        self.engine.dispose()


@pytest.fixture
def shop(debezium_is_there: None, local_kafka_is_there: None, tmp_path: Path) -> Iterator[Shop]:
    reason = LocalPostgres.unavailable()
    if reason is not None:
        pytest.skip(reason)
    # Both of its own, since they are killed. A controller beside the broker loses no transaction's end with it.
    with LocalKafka(controller=True) as kafka, LocalPostgres() as postgres:
        log = open_log(hr.Config(bootstrap_servers=kafka.bootstrap_servers))
        names = [
            topic.name for topic in (ORDER_EVENTS, PRODUCT_EVENTS, ONCE, TO_SHIP, TO_APPROVE, DEAD_LETTERS)
        ]
        log.create_topics([TopicSpec(name, 4) for name in names])
        log.close()
        made = Shop(kafka, postgres, tmp_path)
        yield made
        made.close()


def kill(shop: Shop, part: str) -> None:
    """Kill a part. Who manages processes starts them again; broker and database are back after a while."""
    if part == "broker":
        shop.kafka.kill_broker(0)
    elif part == "postgres":
        shop.postgres.stop(at_once=True)
    else:
        shop.processes[part].kill()


def bring_back(shop: Shop, part: str) -> None:
    if part == "broker":
        shop.kafka.start_broker(0)
    elif part == "postgres":
        shop.postgres.start()


@pytest.mark.timeout(3600 if IS_LONG else 600)
def test_orders_in_are_orders_out_and_dead_letters_whatever_is_killed(shop: Shop) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    shop.until(lambda: shop.is_up("service") and shop.is_up("worker"))
    for product, cents in PRICES.items():
        assert answer(f"{shop.url}/products/{product}", {"price": cents}, method="PUT")[0] == 204
        priced = (200, {"key": product, "value": cents})
        shop.until(lambda: answer(f"{shop.url}/streams/stores/prices/{product}") == priced)  # noqa: B023

    parts = [*("service", "worker", "debezium", "broker", "postgres")] * KILLS
    chance.shuffle(parts)
    moments = dict(zip(sorted(chance.sample(range(20, ORDERS - 20), len(parts))), parts))
    print(moments)
    asked: dict[str, dict[str, object]] = {}
    for number in range(ORDERS):
        shop.tend()
        name, product = str(UUID(int=chance.getrandbits(128))), chance.choice(["pen", "desk", "yacht"])
        asked[name] = {"id": name, "customer": "ada", "product": product, "quantity": chance.randrange(5)}
        part = moments.get(number)
        # While the order is taken, or a little later.
        killer = threading.Timer(chance.random() / 20, kill, (shop, part)) if part else None
        if killer:
            killer.start()
        status, _ = answer(f"{shop.url}/orders", asked[name])
        if killer and part:
            killer.join()
            bring_back(shop, part)
        if status != 201:
            shop.until(lambda: answer(f"{shop.url}/orders", asked[name])[0] in (200, 201))  # noqa: B023

    good = {name for name, what in asked.items() if what["quantity"] and what["product"] in PRICES}
    shop.until(
        lambda: (
            out(shop).total() + refused(shop).total() >= ORDERS
            and told(shop, ORDER_EVENTS).keys() >= asked.keys()
        )
    )
    shop.until(lambda: lag(shop) == 0)

    with shop.engine.connect() as connection:
        assert {row.id for row in connection.execute(select(orders.c.id))} == asked.keys()
    assert out(shop) == Counter(good)
    assert refused(shop) == Counter(asked.keys() - good)
    assert told(shop, ONCE) == Counter(asked.keys())
    repeated = told(shop, ORDER_EVENTS).total() - ORDERS
    print(f"{repeated} events came again; starts: {dict(shop.starts)}")
    assert repeated > 0
    states = Counter(answer(f"{shop.url}/orders/{name}")[1]["state"] for name in asked)
    assert states["to ship"] + states["to approve"] == len(good)
    assert all(shop.starts[part] > KILLS for part in ("service", "worker", "debezium"))


def out(shop: Shop) -> Counter[str]:
    """The orders that are to be delivered, and how often the database has each."""
    with shop.engine.connect() as connection:
        found = [connection.execute(select(table.c.order_id)) for table in (shipments, approvals)]
        return Counter(row[0] for rows in found for row in rows)


def told(shop: Shop, topic: hr.Topic[str, bytes]) -> Counter[str]:
    """The orders that a topic's committed records are of: their keys."""
    return Counter((key or b"").decode() for key, _, _ in read(shop, topic))


def refused(shop: Shop) -> Counter[str]:
    """The orders that are dead letters, and how often each is."""
    return Counter(json.loads(value or b"{}")["order"] for _, value, _ in read(shop, DEAD_LETTERS))


def read(
    shop: Shop, topic: hr.Topic[str, bytes]
) -> list[tuple[bytes | None, bytes | None, dict[str, bytes | None]]]:
    log = open_log(shop.config)
    try:
        return read_from(log, topic.name)
    finally:
        log.close()


def lag(shop: Shop) -> int:
    """Records of all topics that the topology has not processed yet."""
    status, said = answer(f"{shop.url}/streams/lag")
    return said["records"] if status == 200 and not said["partitions_not_told_of"] else -1

"""The shop as one process, on files alone: a log, and SQLite. Orders in are orders out and dead letters."""

import json
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Engine, create_engine, func, select

from examples.orders.database import approvals, outbox, shipments
from tests.examples.programs import EXAMPLES, SECONDS, answer, free_port, headrace, running
from tests.streams.waiting import until

pytestmark = [pytest.mark.process, pytest.mark.timeout(180)]

PRICES = {"pen": 250, "desk": 40_000}


@contextmanager
def shop(folder: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    port = free_port()
    command = [sys.executable, "-m", "examples.orders", "--embedded", "orders.db", "--port", str(port)]
    with running(command, folder, {"PYTHONPATH": str(EXAMPLES.parent)}) as process:
        url = f"http://127.0.0.1:{port}"
        until(lambda: process.poll() is not None or answer(f"{url}/streams/health/ready")[0] == 200)
        yield url, process


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = create_engine(f"sqlite:///{tmp_path / 'orders.sqlite'}")
    yield made
    made.dispose()


def price(url: str, product: str, cents: int) -> None:
    assert answer(f"{url}/products/{product}", {"price": cents}, method="PUT")[0] == 204
    until(lambda: answer(f"{url}/streams/stores/prices/{product}") == (200, {"key": product, "value": cents}))


def order(url: str, customer: str, product: str, quantity: int) -> str:
    asked = {"customer": customer, "product": product, "quantity": quantity}
    status, said = answer(f"{url}/orders", asked)
    assert (status, said["state"]) == (201, "placed")
    return str(said["id"])


def state(url: str, order: str) -> tuple[str, int | None]:
    status, said = answer(f"{url}/orders/{order}")
    assert status == 200
    return said["state"], said["total"]


def letters(url: str) -> list[str]:
    status, said = answer(f"{url}/streams/dead-letters?limit=1000")
    assert status == 200
    return sorted(letter["message"] for letter in said["letters"])


def test_orders_are_priced_routed_and_written_or_put_aside(tmp_path: Path, engine: Engine) -> None:
    with shop(tmp_path) as (url, _):
        for product, cents in PRICES.items():
            price(url, product, cents)
        small = order(url, "ada", "pen", 10)
        large = order(url, "bob", "desk", 3)
        order(url, "bob", "pen", 0)
        early = order(url, "eve", "yacht", 1)
        until(lambda: (state(url, small), state(url, large)) == (("to ship", 2500), ("to approve", 120_000)))
        until(lambda: letters(url) == ["a quantity of 0: 1 or more is wanted", "there is no product 'yacht'"])
        assert state(url, early) == ("placed", None)
        until(
            lambda: (
                answer(f"{url}/health")
                == (200, dict.fromkeys(("shipments", "approvals", "streams"), "running"))
            )
        )

        # Once there is a price, the order goes back to where it had failed.
        price(url, "yacht", 7)
        replay = ("dlq", "replay", "orders-dead-letters", "--embedded", "orders.db", "--origin")
        headrace(tmp_path, *replay, "orders-by-product-repartition")
        until(lambda: state(url, early) == ("to ship", 7))

        def rows() -> list[tuple[str, str, int]]:
            with engine.connect() as connection:
                found = [connection.execute(select(table)).all() for table in (shipments, approvals)]
            return [(row.order_id, row.product, row.total) for table in found for row in table]

        until(lambda: len(rows()) == 3)
        assert rows() == [(small, "pen", 2500), (early, "yacht", 7), (large, "desk", 120_000)]


def test_order_that_is_sent_again_is_the_same_order_and_nonsense_is_refused(tmp_path: Path) -> None:
    with shop(tmp_path) as (url, _):
        asked = {"id": str(UUID(int=1)), "customer": "ada", "product": "pen", "quantity": 1}
        assert answer(f"{url}/orders", asked)[0] == 201
        assert answer(f"{url}/orders", asked)[0] == 200
        assert answer(f"{url}/orders", {**asked, "quantity": 2})[0] == 409
        assert answer(f"{url}/orders/{UUID(int=2)}")[0] == 404
        assert answer(f"{url}/orders", {**asked, "quantity": "many"})[0] == 422
        assert answer(f"{url}/orders", {**asked, "customer": "a\0"})[0] == 422


def test_killed_at_any_moment_every_order_comes_out_once(tmp_path: Path, engine: Engine) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    asked: dict[str, dict[str, object]] = {}
    unanswered: list[dict[str, object]] = []

    def send(url: str) -> bool:
        name, product = str(UUID(int=chance.getrandbits(128))), chance.choice(["pen", "desk", "yacht"])
        asked[name] = {"id": name, "customer": "ada", "product": product, "quantity": chance.randrange(5)}
        is_answered = answer(f"{url}/orders", asked[name])[0] == 201
        if not is_answered:
            unanswered.append(asked[name])
        return is_answered

    with shop(tmp_path) as (url, process):
        for product, cents in PRICES.items():
            price(url, product, cents)
        kill_soon(process, chance)
        while send(url):
            pass
        process.wait(SECONDS)
    for _ in range(2):
        with shop(tmp_path) as (url, process):
            kill_soon(process, chance)
            while send(url):
                pass
            process.wait(SECONDS)
    with shop(tmp_path) as (url, _):
        for again in unanswered:
            assert answer(f"{url}/orders", again)[0] in (200, 201)
        good = [name for name, what in asked.items() if what["quantity"] and what["product"] in PRICES]
        assert 0 < len(good) < len(asked)
        until(lambda: is_told(engine) and out(engine).total() + len(letters(url)) >= len(asked))
        assert out(engine) == Counter(good)
        assert len(letters(url)) == len(asked) - len(good)
    once = headrace(tmp_path, "topics", "read", "orders", "--embedded", "orders.db")
    assert Counter(json.loads(line)["key"] for line in once.splitlines()) == Counter(asked.keys())


def kill_soon(process: "subprocess.Popen[bytes]", chance: random.Random) -> None:
    """Kill it within a second: which moment it is, nobody knows."""
    threading.Timer(chance.random(), process.kill).start()


def out(engine: Engine) -> Counter[str]:
    """The orders that are to be delivered, and how often the database has each."""
    with engine.connect() as connection:
        found = [connection.execute(select(table.c.order_id)) for table in (shipments, approvals)]
        return Counter(row[0] for rows in found for row in rows)


def is_told(engine: Engine) -> bool:
    """Whether nothing is in the outbox any more."""
    with engine.connect() as connection:
        return not connection.execute(select(func.count()).select_from(outbox)).scalar_one()

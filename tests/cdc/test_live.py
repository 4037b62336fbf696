"""PostgreSQL, Debezium, Kafka and headrace together: whatever of them is killed, the table ends as the database's."""

import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psycopg
import pytest

from headrace.cdc import Format
from headrace.kafka.log import KafkaLog
from headrace.kafka.options import ConnectionSettings, KafkaOptions
from headrace.log.port import TopicSpec
from headrace.testing import LocalKafka
from tests.cdc import capture
from tests.cdc.application import PER_NAME, Item, rows_of, streams_of, topic_of
from tests.serde.registry.apicurio import Apicurio
from tests.sql.postgres import LocalPostgres
from tests.streams.waiting import until

pytestmark = [pytest.mark.process, pytest.mark.broker]

#: In Avro there is the same behind the bytes.
CHANGES = {"json": 10_000, "avro": 1_000}
NAMES = ("tea", "cup", "pot", "jug")


class Shop:
    """The database, the engine and the application; each may be killed and started again."""

    def __init__(
        self, kafka: LocalKafka, server: LocalPostgres, folder: Path, registry: Apicurio | None
    ) -> None:
        self.registry = registry
        self.format: Format = "json" if registry is None else "avro"
        self._kafka = kafka
        self._server = server
        self._folder = folder
        self.address = server.make_database()
        self._database = self.address.rpartition("/")[2]
        self._at = self.address.replace("postgresql+psycopg://", "postgresql://")
        server.say(
            self._database,
            "CREATE TABLE items (id bigint PRIMARY KEY, name text NOT NULL, amount numeric(12, 2) NOT NULL, body text, "
            "at timestamptz NOT NULL); ALTER TABLE items ALTER body SET STORAGE EXTERNAL",
        )
        properties = {
            "table.include.list": "public.items",
            "topic.prefix": self.format,
            "slot.name": f"of_{self.format}",  # one name in all databases of a server
            "bootstrap.servers": kafka.bootstrap_servers,
            **({} if registry is None else capture.avro_converters(registry.native_url)),
        }
        self._file = capture.properties_of(server.port, self._database, folder / "engine", properties)
        self._random = random.Random(3)
        self._ids: list[int] = []
        self.start_engine()
        self.start_application()

    def start_engine(self) -> None:
        self.engine = capture.start(self._file)

    def start_application(self) -> None:
        with (self._folder / "application.log").open("ab") as errors:
            self.application = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tests.cdc.application",
                    self._kafka.bootstrap_servers,
                    self._folder / "state",
                    *([] if self.registry is None else [self.registry.url]),
                ],
                stderr=errors,
            )

    def change(self, count: int) -> None:
        """Change so many rows, some within one transaction; half of the updates leave the large values alone."""
        with psycopg.connect(self._at) as connection:
            for number in range(count):
                self._change_one(connection)
                if number % 5 == 0:
                    connection.commit()

    def _change_one(self, connection: "psycopg.Connection[tuple[object, ...]]") -> None:
        chance, name = self._random.random(), self._random.choice(NAMES)
        amount = f"{self._random.randrange(-(10**8), 10**8) / 100:.2f}"
        if chance < 0.4 or len(self._ids) < 10:
            new = self._random.randrange(10**9)
            body = None if chance < 0.05 else name * self._random.randrange(1, 1500)
            connection.execute("INSERT INTO items VALUES (%s, %s, %s, %s, now())", (new, name, amount, body))
            self._ids.append(new)
            return
        place = self._random.randrange(len(self._ids))
        if chance < 0.6:
            connection.execute("DELETE FROM items WHERE id = %s", (self._ids.pop(place),))
        elif chance < 0.8:
            connection.execute(
                "UPDATE items SET name = %s, amount = %s WHERE id = %s", (name, amount, self._ids[place])
            )
        else:
            body = name * self._random.randrange(1, 1500)
            connection.execute(
                "UPDATE items SET body = %s, at = now() WHERE id = %s", (body, self._ids[place])
            )

    def rows(self) -> dict[int, Item]:
        """What the database has."""
        with psycopg.connect(self._at) as connection:
            return {
                row[0]: Item(*row)
                for row in connection.execute("SELECT id, name, amount, body, at FROM items")
            }

    def close(self) -> None:
        for process in (self.engine, self.application):
            with suppress(OSError):
                capture.end(process)


@pytest.fixture
def shop(
    request: pytest.FixtureRequest,
    debezium_is_there: None,
    local_kafka: LocalKafka,
    postgres: LocalPostgres,
    tmp_path: Path,
) -> Iterator[Shop]:
    with ExitStack() as stack:
        registry: Apicurio | None = None
        if request.param == "avro":
            Apicurio.prepare()
            registry = stack.enter_context(Apicurio())
        log = KafkaLog(
            ConnectionSettings.of({"bootstrap.servers": [local_kafka.bootstrap_servers]}), KafkaOptions.of({})
        )
        log.create_topics([TopicSpec(topic_of(request.param), 3)])
        log.close()
        made = Shop(local_kafka, postgres, tmp_path, registry)
        stack.callback(made.close)
        yield made


@pytest.mark.timeout(900)
@pytest.mark.parametrize("shop", ["json", "avro"], indirect=True)
def test_table_is_that_of_the_database_whatever_is_killed(
    shop: Shop, local_kafka: LocalKafka, postgres: LocalPostgres, tmp_path: Path
) -> None:
    changes = CHANGES[shop.format]
    shop.change(changes // 5)
    capture.end(shop.engine)
    shop.change(changes // 5)
    shop.start_engine()
    shop.change(changes // 10)
    capture.end(shop.application)
    shop.change(changes // 10)
    shop.start_application()
    shop.change(changes // 5)
    capture.end(shop.engine)
    postgres.stop(at_once=True)
    postgres.start()
    shop.start_engine()
    shop.change(changes // 5)
    capture.end(shop.application)
    expected = shop.rows()
    assert len(expected) > changes // 10
    registry = None if shop.registry is None else shop.registry.url
    streams = streams_of(local_kafka.bootstrap_servers, str(tmp_path / "state"), registry)
    with streams:
        streams.wait_running("120s")
        rows, names = streams.query(rows_of(shop.format)), streams.query(PER_NAME)
        until(lambda: len(dict(rows.all())) == len(expected) and dict(rows.all()) == expected)
        of_names = Counter(item.name for item in expected.values())
        # They come by a repartition topic, after the rows.
        until(lambda: {name: count for name, count in names.all() if count} == of_names)

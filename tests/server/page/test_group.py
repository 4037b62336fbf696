"""The page of one of two instances on a broker: tasks that move from it, and the other one in its list."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import headrace as hr
from headrace import stores
from headrace.log.port import TopicSpec
from headrace.server import Server
from headrace.streams.config import Config
from headrace.streams.logs import open_log
from headrace.testing import LocalKafka
from tests.server.page.looking import Look
from tests.streams.waiting import until

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.process, pytest.mark.broker]


@contextmanager
def instance(kafka: LocalKafka, directory: Path) -> Iterator[Server]:
    """Run and serve one, which says where it is served."""
    builder = hr.StreamsBuilder()
    clicks = builder.stream(hr.Topic("page-clicks", value=str))
    clicks.group_by_key().count(store=stores.key_value("clicks", key=str, value=int))
    streams = hr.Streams(
        builder.build(),
        application_id="page",
        bootstrap_servers=kafka.bootstrap_servers,
        state_dir=str(directory),
        application_server=f"127.0.0.1:{8000 + len(directory.name)}",
        commit_interval_ms=100,
    )
    with streams, Server(streams) as server:
        streams.wait_running("60s")
        yield server


def test_tasks_that_move_to_another_instance_are_shown_as_they_are(
    browser: "Browser", local_kafka: LocalKafka, tmp_path: Path
) -> None:
    config = Config(application_id="page", bootstrap_servers=local_kafka.bootstrap_servers)
    log = open_log(config)
    log.create_topics([TopicSpec("page-clicks", 4)])
    log.close()
    with instance(local_kafka, tmp_path / "a") as server, Look.at(browser, server.url) as look:
        page = look.open("tasks")
        assert page.locator("tr[data-task]").count() == 4
        with instance(local_kafka, tmp_path / "bb"):
            until(lambda: len(look.ask("tasks")["tasks"]) == 2)
            until(lambda: len(look.ask("instances")["instances"]) == 2)
            look.again(2)
            found, instances = look.ask("tasks"), look.ask("instances")["instances"]
            shown = [each.get_attribute("data-task") for each in page.locator("tr[data-task]").all()]
            assert shown == [each["id"] for each in found["tasks"]]
            for each in instances:
                row = f"tr[data-key='{each['host']}:{each['port']}']"
                assert look.cells(row)[:3] == [
                    f"{each['host']}:{each['port']}",
                    " ".join(each["partitions"]),
                    " ".join(each["stores"]),
                ]
            assert sorted(each["port"] for each in instances) == [8001, 8002]
        until(lambda: len(look.ask("tasks")["tasks"]) == 4)
        look.again(2)
        assert page.locator("tr[data-task]").count() == 4
        assert look.problems == []

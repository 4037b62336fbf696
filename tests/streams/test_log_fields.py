"""Log records say which application, task, record and node they are about."""

import logging
from collections.abc import Iterator

import pytest

import headrace as hr
from headrace.base.log_fields import FIELDS
from headrace.testing import TopologyTestDriver

_mine = logging.getLogger("mine")


class Kept(logging.Handler):
    """Keeps the fields of records."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[dict[str, object]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.rows.append({name: getattr(record, name) for name in FIELDS})


@pytest.fixture
def kept() -> Iterator[Kept]:
    handler, root = Kept(), logging.getLogger()
    handler.addFilter(hr.LogFields("other"))
    root.addHandler(handler)
    yield handler
    root.removeHandler(handler)


LINES = hr.Topic("lines", value=str)


def looking(function: object) -> hr.Topology:
    builder = hr.StreamsBuilder()
    builder.stream(LINES).peek(function, name="look")  # type: ignore[arg-type]  # a function of key and value
    return builder.build()


def place(**changes: object) -> dict[str, object]:
    found = {"application": "app", "task": "0_1", "topic": "lines", "partition": 1, "offset": 0, "node": None}
    return found | changes


def test_what_a_function_logs_says_which_record_it_was_at(kept: Kept) -> None:
    with TopologyTestDriver(
        looking(lambda key, value: _mine.warning("seen")), partitions=2, application_id="app"
    ) as driver:
        for offset in range(2):
            driver.input(LINES).pipe("a", "x", partition=1)
            assert kept.rows[-1] == place(offset=offset)


def test_a_record_that_is_put_aside_is_told_with_its_node(kept: Kept) -> None:
    def refuse(key: str, value: str) -> None:
        raise ValueError(value)

    with TopologyTestDriver(
        looking(refuse),
        partitions=2,
        application_id="app",
        processing_exception_handler=lambda failure: hr.Reaction.resume,
    ) as driver:
        driver.input(LINES).pipe("a", "x", partition=1)
    assert kept.rows == [place(node="look")]


def test_handlers_that_log_name_the_node(kept: Kept) -> None:
    def refuse(key: str, value: str) -> None:
        raise ValueError(value)

    with TopologyTestDriver(
        looking(refuse), partitions=2, application_id="app", processing_exception_handler=hr.log_and_continue
    ) as driver:
        driver.input(LINES).pipe("a", "x", partition=1)
    assert kept.rows == [place(node="look")] * 2


def test_a_record_that_is_dropped_is_told_with_its_node(kept: Kept) -> None:
    builder = hr.StreamsBuilder()
    builder.stream(LINES).group_by_key().count(name="counted")
    with TopologyTestDriver(builder.build(), partitions=2, application_id="app") as driver:
        driver.input(LINES).pipe(None, "x", partition=1)
    assert kept.rows == [place(node="counted")]


def test_what_is_logged_outside_of_tasks_has_the_application_alone(kept: Kept) -> None:
    with TopologyTestDriver(looking(lambda key, value: None), partitions=2, application_id="app") as driver:
        driver.input(LINES).pipe("a", "x", partition=1)
    _mine.warning("outside")
    assert kept.rows == [dict.fromkeys(FIELDS) | {"application": "other"}]


def test_what_the_caller_says_stays(kept: Kept) -> None:
    _mine.warning("mine", extra={"topic": "of mine"})
    assert kept.rows[0]["topic"] == "of mine"

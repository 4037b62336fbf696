"""Stores of another instance: all that a view gives there comes here too, whatever the pages are."""

import http.client
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

import headrace as hr
from headrace.base.errors import StoreUnavailableError
from headrace.engine.store_read import GONE, StoreRead
from headrace.engine.task_places import TaskPlaces
from headrace.query import questions
from headrace.query.anywhere import view_anywhere
from headrace.query.connections import MEDIA_TYPE, Connections
from headrace.query.position import Position
from headrace.query.questions import Answer, Question
from headrace.query.routing import Asking, Here, Router, StoreRoute, position_of
from tests.server.conftest import COUNTS, LAST, MINUTES, NUMBERS, VISITS, Served


class Elsewhere:
    """An instance that has nothing itself, and knows of one other."""

    def __init__(
        self,
        served: Served,
        endpoint: tuple[str, int],
        *,
        asks_once: bool = False,
        waits_for: str | None = None,
    ) -> None:
        known = served.streams._places()
        assert known is not None
        assert known.planned is not None
        self.places = TaskPlaces()
        self.places.planned = known.planned
        [has] = known.endpoints.values()
        self.places.have_moved({endpoint: has})
        here = Here(
            lambda store, partition, committed: None,
            lambda store, partition: None,
            lambda: self.places,
            ("here", 1),
            lambda: not asks_once,
            lambda: waits_for,
        )
        self.connections = Connections(path="", token=None, is_over_tls=False, ca=None)
        self.router = Router(served.streams.topology, "shop", here, self.connections)

    def view(self, store: Any, **asking: Any) -> Any:
        spec = self.router.topology.stores[store.name]
        route = StoreRoute(self.router, store.name, Asking(**{"timeout_s": 2.0, **asking}))
        return view_anywhere(route, spec, None)


@pytest.fixture
def elsewhere(served: Served) -> Iterator[Elsewhere]:
    parts = urlsplit(served.url)
    found = Elsewhere(served, (parts.hostname or "", parts.port or 0))
    yield found
    found.connections.close()


@pytest.mark.parametrize("rows", [1, 2, 7, 2000])
def test_all_that_a_view_gives_comes_from_elsewhere_too(
    served: Served, elsewhere: Elsewhere, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "_ROWS_MAX", rows)
    query = served.streams.query
    far, near = elsewhere.view(NUMBERS), query(NUMBERS)
    assert [far.get(number) for number in range(21)] == [near.get(number) for number in range(21)]
    for reverse in (False, True):
        assert list(far.all(reverse=reverse)) == list(near.all(reverse=reverse))
        assert list(far.range(3, 11, reverse=reverse)) == list(near.range(3, 11, reverse=reverse))
        assert list(far.range(reverse=reverse)) == list(near.range(reverse=reverse))
    assert far.approximate_count() == near.approximate_count()
    assert list(elsewhere.view(COUNTS).prefix("a")) == [("a", 12)]
    assert list(elsewhere.view(COUNTS).prefix("")) == list(query(COUNTS).all())
    windows, near_windows = elsewhere.view(MINUTES), query(MINUTES)
    sessions, near_sessions = elsewhere.view(VISITS), query(VISITS)
    for reverse in (False, True):
        for key in (None, "a", "nobody"):
            for times in ({}, {"start": 1}, {"end": 59_999}, {"start": 60_000, "end": 60_000}):
                asked: dict[str, Any] = {"reverse": reverse, **times}
                assert list(windows.range(key, **asked)) == list(near_windows.range(key, **asked))
                assert list(sessions.sessions(key, **asked)) == list(near_sessions.sessions(key, **asked))
    assert [windows.get("a", start) for start in (0, 60_000, 120_000)] == [6, 6, None]
    [(session, count)] = near_sessions.sessions("a")
    assert sessions.get(session) == count == 12
    versions = elsewhere.view(LAST)
    assert versions.get("home") == ("three", 120_000)
    assert versions.get("home", as_of=60_001) == ("two", 60_000)
    assert versions.get("nobody") is None
    assert list(versions.latest()) == list(query(LAST).latest()) == [("home", "three", 120_000)]
    assert list(versions.history("home")) == list(query(LAST).history("home"))
    assert list(versions.history("home", start=60_001, end=60_002)) == [("two", 60_000, 120_000)]


def test_pages_end_at_their_bytes(elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "_BYTES_MAX", 1)
    assert len(list(elsewhere.view(NUMBERS).all())) == 20


def test_instance_that_is_not_there_is_unavailable_in_time(served: Served) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    view = Elsewhere(served, ("127.0.0.1", port)).view(COUNTS, timeout_s=0.2)
    with pytest.raises(StoreUnavailableError, match="nobody listens there"):
        view.get("a")


def test_instance_that_never_answers_is_unavailable_in_time(served: Served) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        view = Elsewhere(served, silent.getsockname(), asks_once=True).view(COUNTS, timeout_s=1)
        with pytest.raises(StoreUnavailableError, match="nothing came in time"):
            view.get("a")


def test_what_answers_other_things_is_unavailable(served: Served) -> None:
    def answer(listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client:
                client.recv(65536)
                client.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n\xc1\xc1\xc1")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, args=(listener,), daemon=True)
        thread.start()
        elsewhere = Elsewhere(served, listener.getsockname(), asks_once=True)
        with pytest.raises(StoreUnavailableError, match="answers what is no answer"):
            elsewhere.view(COUNTS, timeout_s=20).get("a")
        elsewhere.connections.close()
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def test_kept_connection_that_was_closed_meanwhile_is_replaced(served: Served, elsewhere: Elsewhere) -> None:
    view = elsewhere.view(COUNTS)
    assert view.get("a") == 12
    for idle in elsewhere.connections._idle.values():
        for _, connection in idle:
            connection.shutdown(socket.SHUT_RDWR)
    assert view.get("a") == 12


def test_position_that_is_not_reached_is_waited_for_in_vain(served: Served, elsewhere: Elsewhere) -> None:
    far = Position({("clicks", 0): 1000})
    once = Elsewhere(served, next(iter(elsewhere.places.endpoints)), asks_once=True)
    with pytest.raises(StoreUnavailableError, match="it has not reached offset 1000 of clicks-0 yet"):
        once.view(COUNTS, at_least=far, timeout_s=20).get("a")
    once.connections.close()
    both = Position({("clicks", 0): 36, ("pages", 0): 1000})  # and of another store
    assert elsewhere.view(COUNTS, at_least=both).get("a") == 12
    assert elsewhere.view(COUNTS, at_least=Position({("clicks", 0): 36})).get("a") == 12


def test_position_that_the_store_cannot_tell_is_a_mistake(served: Served) -> None:
    view = served.streams.query(COUNTS, at_least=Position({("pages", 0): 1}))
    with pytest.raises(
        hr.TopologyError, match="of pages: it is made of clicks, shop-counts-changelog; name one"
    ):
        view.get("a")
    assert served.streams.query(COUNTS, at_least=Position()).get("a") == 12


def test_position_of_a_task_that_is_vouched_for_by_nobody_is_unavailable(served: Served) -> None:
    lonely = Elsewhere(served, ("here", 1), asks_once=True)
    is_lost = [True]

    def active(store: str, partition: int, committed: bool) -> StoreRead | None:
        read = served.streams._active(store, partition, committed)
        return replace(read, as_of=lambda: GONE) if is_lost and read is not None else read

    lonely.router.here = replace(lonely.router.here, active=active)
    route = StoreRoute(lonely.router, "counts", Asking())
    with pytest.raises(StoreUnavailableError, match="the task has gone from there"):
        position_of(route, 0)
    is_lost.clear()
    assert dict(position_of(route, 0).items())["clicks", 0] == 36  # type: ignore[index]


def test_store_that_is_read_from_its_topic_still_is_waited_for(served: Served) -> None:
    read = served.streams._active("counts", 0, False)
    answers: list[StoreRead | StoreUnavailableError | None] = [
        read,
        StoreUnavailableError("global store 'counts' is still being read"),
    ]

    def active(store: str, partition: int, committed: bool) -> StoreRead | None:
        answer = answers.pop()
        if isinstance(answer, StoreUnavailableError):
            raise answer
        return answer

    one = Elsewhere(served, ("here", 1))
    one.router.here = replace(one.router.here, active=active)
    assert one.view(COUNTS).get("a") == 12


def test_page_takes_half_of_the_time_that_is_left_at_most(
    served: Served, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, within = served.streams._router.answer, []

    def answer(question: Question) -> Answer:
        within.append(question.within_s)
        return real(question)

    monkeypatch.setattr(served.streams._router, "answer", answer)
    assert len(list(elsewhere.view(NUMBERS, timeout_s=1.2).all())) == 20
    assert within
    assert max(within) <= 0.3


def test_position_of_a_store_is_that_of_its_last_commit(served: Served) -> None:
    found = dict(served.streams.position(COUNTS).items())
    assert found["clicks", 0] == 36  # type: ignore[index]  # equal to a TopicPartition
    assert found["clicks", 1] == 24  # type: ignore[index]
    assert served.streams.query(COUNTS, at_least=served.streams.position(COUNTS)).get("a") == 12


def asked(served: Served, body: bytes, content_type: str = MEDIA_TYPE) -> tuple[int, bytes]:
    parts = urlsplit(served.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    try:
        connection.request("POST", "/query", body, {"content-type": content_type})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\x94\xa1\xff\xa1a\x00\xa3get",
        b"{}",
        msgspec.msgpack.encode(["shop", "counts"]),
        msgspec.msgpack.encode(["shop", "counts", 0, "drop"]),
        msgspec.msgpack.encode(["shop", "counts", 0, "get"]),
        msgspec.msgpack.encode(["shop", "counts", "0", "get", b"a"]),
        msgspec.msgpack.encode(["shop", "minutes", 0, "get", b"a"]),
        msgspec.msgpack.encode(["shop", "counts", 0, "history", b"a"]),
        b"\x91" * 100_000,
    ],
)
def test_what_is_no_question_is_refused(served: Served, body: bytes) -> None:
    status, answer = asked(served, body)
    assert status == 400, answer


def test_question_of_another_media_type_is_refused(served: Served) -> None:
    assert asked(served, b"", "application/x-www-form-urlencoded")[0] == 415


@pytest.mark.parametrize(
    ("question", "said"),
    [
        (Question("other", "counts", 0, "get", b"a"), "here is application 'shop', not 'other'"),
        (Question("shop", "none", 0, "get", b"a"), "the topology here has no store 'none'"),
        (Question("shop", "counts", 9, "get", b"a"), "it is not there"),
        (Question("shop", "counts", 0, "get", b"a", follows=True), "it is not there"),
    ],
)
def test_question_that_cannot_be_answered_here_gets_the_reason(
    served: Served, question: Question, said: str
) -> None:
    status, body = asked(served, msgspec.msgpack.encode(question))
    answer = msgspec.msgpack.decode(body, type=Answer)
    assert status == 200
    assert answer.refusal is not None
    assert said in answer.refusal


def test_local_view_has_no_options_that_are_about_others(served: Served) -> None:
    assert served.streams.query(COUNTS, where="local").get("a") == 12
    assert served.streams.query(COUNTS, where="local", committed=True).get("a") == 12
    with pytest.raises(hr.TopologyError, match='leave it out with where="local"'):
        served.streams.query(COUNTS, where="local", stale="1s")
    with pytest.raises(hr.TopologyError, match="is neither"):
        served.streams.query(COUNTS, where="elsewhere")  # type: ignore[call-overload]


def test_who_is_refused_is_told_what_the_instance_waits_for(served: Served) -> None:
    lonely = Elsewhere(served, ("here", 1), asks_once=True, waits_for="running: waits: broker 0 is away")
    with pytest.raises(StoreUnavailableError, match="; this instance is running: waits: broker 0 is away"):
        lonely.view(COUNTS).get("a")

"""The files of the page at `/`: who may have them, what they may do in a browser, and what is never in them."""

from collections.abc import Iterator
from importlib.resources import files

import pytest

from headrace.server import Server
from tests.server.conftest import Served, application

PAGE = files("headrace.server") / "page"
NAMES = sorted(each.name for each in PAGE.iterdir())


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """An application that needs a token, which does not run."""
    streams = application(tmp_path_factory.mktemp("shop"), **{"server.token": "a-token-of-20-bytes!"})
    with Server(streams) as server:
        yield Served(streams, server.url)


def test_page_is_at_the_root(served: Served) -> None:
    answer = served.ask("/")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.body == (PAGE / "index.html").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_files_hold_no_data_and_need_no_token(guarded: Served, name: str) -> None:
    answer = guarded.ask(f"/page/{name}")
    assert (answer.status, answer.body) == (200, (PAGE / name).read_text())
    assert guarded.ask("/").status == 200
    assert guarded.ask("/overview").status == 401


def test_browser_may_run_and_fetch_nothing_but_this(served: Served) -> None:
    for target in ("/", "/page/main.js"):
        headers = served.ask(target).headers
        policy = dict(each.strip().split(" ", 1) for each in headers["content-security-policy"].split(";"))
        assert policy == {
            "default-src": "'none'",
            "script-src": "'self'",
            "style-src": "'self'",
            "img-src": "'self'",
            "connect-src": "'self'",
            "base-uri": "'none'",
            "form-action": "'none'",
            "frame-ancestors": "'none'",
            "require-trusted-types-for": "'script'",
        }
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


def test_browser_that_has_a_file_is_told_so(served: Served) -> None:
    etag = served.ask("/page/main.js").headers["etag"]
    answer = served.ask("/page/main.js", headers={"if-none-match": etag})
    assert (answer.status, answer.body) == (304, "")
    assert served.ask("/page/main.js", headers={"if-none-match": '"another"'}).status == 200


def test_page_of_another_site_cannot_show_it_as_its_own(served: Served) -> None:
    assert served.ask("/", headers={"host": "evil.example"}).status == 421


def test_there_are_no_other_files(served: Served) -> None:
    assert served.ask("/page/nothing.js").body == {"error": "the page has no such file"}


def test_page_asks_nobody_else_and_makes_no_markup_of_data() -> None:
    for name in NAMES:
        text = (PAGE / name).read_text().replace("http://www.w3.org/2000/svg", "")
        assert [
            word
            for word in ("http:", "https:", "//cdn", "innerHTML", "insertAdjacent", "eval(")
            if word in text
        ] == []


def test_first_visit_fetches_all_modules_at_once() -> None:
    index = (PAGE / "index.html").read_text()
    assert [name for name in NAMES if name != "index.html" and f'"page/{name}"' not in index] == []


def test_files_are_small() -> None:
    sizes = {name: len((PAGE / name).read_bytes()) for name in NAMES}
    assert sum(sizes.values()) < 150_000
    assert [name for name in NAMES if len((PAGE / name).read_text().splitlines()) > 400] == []

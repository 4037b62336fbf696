"""Page clicks: how often a page was clicked in each five minutes, asked for from Python.

Shows: a program that runs the application in the background, and queries its store meanwhile. There is no output topic:
the store is the result.

In: `clicks`, the page as value, with the user as key.
Out: the store `clicks-per-page`, a count for each page and five minutes.

In one terminal, run the program with the page that you want to see, until Ctrl-C. It prints each count that is new:

    $ python examples/page_clicks.py /home
    10:00 to 10:05 UTC: 2
    10:05 to 10:10 UTC: 1

In another one, write clicks:

    $ headrace topics write clicks --app examples/page_clicks.py --embedded page_clicks.db <<'END'
    {"key": "ada", "value": "/home", "timestamp": "2024-05-01T10:00:00Z"}
    {"key": "bob", "value": "/home", "timestamp": "2024-05-01T10:04:59Z"}
    {"key": "bob", "value": "/cart", "timestamp": "2024-05-01T10:06:00Z"}
    {"key": "ada", "value": "/home", "timestamp": "2024-05-01T10:07:00Z"}
    END
    wrote 4 records to clicks

A query sees what has been processed, also what is not committed yet. From a shell, `headrace stores scan
clicks-per-page --app examples/page_clicks.py --embedded page_clicks.db` shows all pages as of the last commit.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

import headrace as hr
from headrace import stores
from headrace.stores import ReadOnlyWindowStore

CLICKS = hr.Topic("clicks", value=str)
PER_PAGE = stores.window("clicks-per-page", key=str, value=int, retention="1d")

builder = hr.StreamsBuilder()
(
    builder.stream(CLICKS)
    .group_by(lambda user, page: page)
    .windowed_by(hr.TimeWindows("5m", grace="1m"))
    .count(store=PER_PAGE)
)
topology = builder.build()


def lines_of(clicks: ReadOnlyWindowStore[str, int], page: str) -> Iterator[str]:
    """Ask the store for the windows of a page, oldest first, and make a line of each."""
    for windowed, count in clicks.range(page):
        start, end = (datetime.fromtimestamp(time_ms / 1000, UTC) for time_ms in windowed.window)
        yield f"{start:%H:%M} to {end:%H:%M} UTC: {count}"


def main(page: str) -> None:
    """Run the application, and print what is new of a page twice a second."""
    with hr.Streams(topology, application_id="page_clicks", embedded_path="page_clicks.db") as streams:
        streams.wait_running()
        clicks = streams.query(PER_PAGE)  # a view, which stays good
        printed: set[str] = set()
        while streams.state == "running":
            for line in lines_of(clicks, page):
                if line not in printed:
                    printed.add(line)
                    print(line, flush=True)
            time.sleep(0.5)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main(sys.argv[1] if len(sys.argv) > 1 else "/home")

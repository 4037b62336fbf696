"""Sessions: the visits of a web site, each with the pages that were looked at, once it is over.

Shows: `SessionWindows`, an aggregate with a merger, and `suppress`, which holds a visit back until it is over.

Views of one visitor belong to one visit as long as no silence between them is longer than 30 minutes. Views need not
come in order: one that lies between two visits makes one visit of them. That is what the merger is for. A visit is over
when stream time, the highest timestamp so far, is 30 minutes and the grace of 5 after its last view. A view that comes
later than that begins another visit, or is dropped.

Without `suppress` each view would write its visit as it is then, and delete the one that it replaces: right for a page
that shows who is there now, and not for a mail that is sent for each visit.

In: `page-views`, the page as value, with the visitor as key.
Out: `visits`, an object with the pages in the order in which they came, with visitor, first and last view as key.

In one terminal, run the application until Ctrl-C:

    $ headrace dev examples/visits.py

In another one, write views and look at the visits (`cut` leaves topic, partition, offset and time out). The visit of
bob is not over: nobody knows yet that he does not come back.

    $ headrace topics write page-views --app examples/visits.py <<'END'
    {"key": "ada", "value": "/", "timestamp": "2024-05-01T10:00:00Z"}
    {"key": "ada", "value": "/buy", "timestamp": "2024-05-01T10:31:00Z"}
    {"key": "ada", "value": "/pens", "timestamp": "2024-05-01T10:15:00Z"}
    {"key": "bob", "value": "/", "timestamp": "2024-05-01T11:30:00Z"}
    END
    wrote 4 records to page-views
    $ headrace topics read visits --app examples/visits.py | cut -d, -f5-10
    "key":{"key":"ada","start":1714557600000,"end":1714559460000},"value":{"pages":["/","/buy","/pens"]}
    $ headrace stores get visits-so-far bob --app examples/visits.py
    {"key":"bob","start":1714563000000,"end":1714563000000,"value":{"pages":["/"]}}
"""

from dataclasses import dataclass

import headrace as hr
from headrace import stores


@dataclass(frozen=True)
class Visit:
    """The pages of a visit, in the order in which their views came."""

    pages: tuple[str, ...] = ()


VIEWS = hr.Topic("page-views", value=str)
VISITS = hr.Topic("visits", key=hr.session_windowed(str), value=Visit)
SO_FAR = stores.session("visits-so-far", key=str, value=Visit)


def with_page(visitor: str, page: str, visit: Visit) -> Visit:
    """Add a view."""
    return Visit((*visit.pages, page))


def merged(visitor: str, one: Visit, other: Visit) -> Visit:
    """Make one visit of two that a view has brought together."""
    return Visit(one.pages + other.pages)


builder = hr.StreamsBuilder()
(
    builder.stream(VIEWS)
    .group_by_key()
    .windowed_by(hr.SessionWindows("30m", grace="5m"))
    .aggregate(Visit, with_page, merged, store=SO_FAR)
    .suppress(hr.until_window_closes())
    .to_stream()
    .to(VISITS)
)
topology = builder.build()

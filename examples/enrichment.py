"""Enrichment: records are joined with what a table knows of their key.

Shows: `builder.table` and `left_join`. The stream asks the table as it is at that moment: a new value of the table
makes no result of itself, and changes none that has gone out.

In: `users`, a name and a country, with the user's id as key (a null value deletes the user); and `views`, the path of
a page, with the id of the user who looked at it as key.
Out: `views-by-country`, page and country, with the user's id as key.

In one terminal, run the application until Ctrl-C:

    $ headrace dev examples/enrichment.py

In another one, write users and then views, and look at the results (`cut` leaves topic, partition, offset and time
out):

    $ headrace topics write users --app examples/enrichment.py <<'END'
    {"key": "u1", "value": {"name": "Ada", "country": "GB"}}
    {"key": "u2", "value": {"name": "Bob", "country": "CH"}}
    END
    wrote 2 records to users
    $ headrace topics write views --app examples/enrichment.py <<'END'
    {"key": "u1", "value": "/home"}
    {"key": "u2", "value": "/home"}
    {"key": "u3", "value": "/help"}
    END
    wrote 3 records to views
    $ headrace topics read views-by-country --app examples/enrichment.py | cut -d, -f5-7
    "key":"u1","value":{"page":"/home","country":"GB"}
    "key":"u2","value":{"page":"/home","country":"CH"}
    "key":"u3","value":{"page":"/help","country":"unknown"}
"""

from dataclasses import dataclass

import headrace as hr
from headrace import stores


@dataclass(frozen=True)
class User:
    """What is known of a user."""

    name: str
    country: str


@dataclass(frozen=True)
class View:
    """A page that was looked at, and where from."""

    page: str
    country: str


# Equal keys of both topics have to lie in partitions of equal number: both need as many of them.
USERS = hr.Topic("users", value=User)
VIEWS = hr.Topic("views", value=str)
VIEWS_BY_COUNTRY = hr.Topic("views-by-country", value=View)
KNOWN = stores.key_value("known-users", key=str, value=User)


def with_country(page: str, user: User | None) -> View:
    """Join a page with the user who looked at it; None is nobody that the table knows."""
    return View(page, "unknown" if user is None else user.country)


builder = hr.StreamsBuilder()
users = builder.table(USERS, store=KNOWN)
(
    builder.stream(VIEWS)
    .left_join(users, with_country)  # join() leaves views of unknown users out
    .to(VIEWS_BY_COUNTRY)
)
topology = builder.build()

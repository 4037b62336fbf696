"""The properties of the application itself; collected with those of the other rooms by `streams.catalogue`."""

import re
from typing import Any

from headrace.base.options import REQUIRED, Option, choice, duration_ms, integer, names, text
from headrace.streams.client_tags import TAGS_MAX

__all__ = [
    "APPLICATION_ID",
    "EMBEDDED_PATH",
    "OPTIONS",
    "PROCESSING_GUARANTEE",
    "STATE_DIR",
]

# It begins the names of topics, and names a directory: what Kafka allows in a topic's name, and no path.
_APPLICATION_ID = re.compile(r"[a-zA-Z0-9_-][a-zA-Z0-9._-]*")


def _application_id(value: str) -> str | None:
    if _APPLICATION_ID.fullmatch(value):
        return None
    return "it begins the names of topics: use letters, digits, '.', '_' and '-', and do not begin with '.'"


def _not_empty(value: str) -> str | None:
    return None if value.strip() else "it is empty"


APPLICATION_ID: Option[str] = Option(
    "application.id",
    text,
    REQUIRED,
    "Name of the application: its consumer group, and what its topics and its state directory begin with.",
    _application_id,
)
STATE_DIR: Option[str] = Option(
    "state.dir",
    text,
    ".headrace",
    "Where local state lives, in a directory named after the application.",
    _not_empty,
)
EMBEDDED_PATH: Option[str | None] = Option(
    "embedded.path",
    text,
    None,
    "File of the embedded log, such as shop.db; made when it does not exist. Not a property of Kafka.",
    lambda value: None if value is None else _not_empty(value),
)
PROCESSING_GUARANTEE: Option[str] = Option(
    "processing.guarantee",
    choice("exactly_once_v2", "at_least_once"),
    "exactly_once_v2",
    "What a crash may repeat; the embedded log is exactly once, whatever is asked for.",
)

WORKER_NUMBER: Option[int | None] = Option(
    "worker.number",
    integer(minimum=1),
    None,
    "Number of this process among several that share state.dir, as `headrace run --workers` sets it. Not a property of "
    "Kafka.",
)

OPTIONS: tuple[Option[Any], ...] = (
    APPLICATION_ID,
    EMBEDDED_PATH,
    STATE_DIR,
    WORKER_NUMBER,
    Option(
        "num.stream.threads",
        integer(minimum=1),
        1,
        "Stream threads of this process: they wait for brokers and disks at the same time, and share one core.",
    ),
    # What is about several instances is of no effect on the embedded log, which has one: an application that moves
    # there keeps its configuration.
    Option(
        "group.protocol",
        choice("classic", "streams", ignore_case=True),
        "classic",
        "Who assigns tasks to the instances: one of them, or the brokers (streams: Kafka 4.2 and later).",
    ),
    Option(
        "group.instance.id",
        text,
        None,
        "Name of this instance, which keeps its tasks for it while it is away, up to session.timeout.ms.",
        lambda value: None if value is None else _not_empty(value),
    ),
    Option(
        "max.poll.interval.ms",
        duration_ms(minimum=1),
        300_000,
        "How long a function may keep an instance busy before others get its tasks (ms).",
    ),
    PROCESSING_GUARANTEE,
    Option(
        "num.standby.replicas",
        integer(minimum=0),
        0,
        "How many other instances keep a copy of the state of each task, and take over at once.",
    ),
    Option(
        "max.warmup.replicas",
        integer(minimum=1),
        2,
        "How many tasks at a time get their state copied to where they are to move (group.protocol=classic).",
    ),
    Option(
        "probing.rebalance.interval.ms",
        duration_ms(minimum=60_000),
        600_000,
        "How often instances look whether tasks that are to move can (ms); a copy that is ready says so itself.",
    ),
    Option(
        "rack.aware.assignment.tags",
        names(),
        (),
        "Keys of client.tag.* that a task and its standbys are to differ in, if they can (group.protocol=classic).",
        lambda tags: None if len(tags) <= TAGS_MAX else f"{TAGS_MAX} are allowed",
    ),
    Option(
        "application.server",
        text,
        "",
        "Host and port where others reach this instance: the group tells them what it has (query_metadata_for_key).",
    ),
)

"""The topics that an application writes its dead letters to, as far as that can be known without it."""

from collections.abc import Sequence
from pathlib import Path

from headrace.engine.letter_topics import remembered_letter_topics
from headrace.streams.config import Config
from headrace.streams.options import APPLICATION_ID, STATE_DIR

__all__ = ["LETTER_TOPIC_PROPERTY", "letter_topics"]

LETTER_TOPIC_PROPERTY = "errors.dead.letter.queue.topic.name"


def letter_topics(config: Config) -> Sequence[str]:
    """Return the topic that is configured, if one is, and behind it those that handlers have named.

    What a function answers nobody can tell before it does: those are known to which an instance has written with the
    state directory that is configured.
    """
    configured: str | None = config.get_or_none(LETTER_TOPIC_PROPERTY)
    application_id = config.get_or_none(APPLICATION_ID.name)
    remembered: Sequence[str] = ()
    if application_id is not None:
        remembered = remembered_letter_topics(Path(config.get(STATE_DIR), application_id))
    first = [] if configured is None else [configured]
    return [*first, *(each for each in remembered if each != configured)]

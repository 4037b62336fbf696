"""Which topics of dead letters `headrace dlq` is about."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from headrace.base.errors import ConfigError, UnknownTopicError
from headrace.cli.opening import Subject
from headrace.log.port import Log, TopicInfo
from headrace.outside.letter_topics import LETTER_TOPIC_PROPERTY, letter_topics

__all__ = ["all_opened", "one_opened"]


@contextmanager
def all_opened(subject: Subject, topic: str | None) -> Iterator[tuple[Log, Sequence[TopicInfo]]]:
    """Open the log, and find the topic that is named, or else all that the application is known to write to.

    Raises:
        ConfigError: none is named, and none is known.
        UnknownTopicError: none of them is there.
    """
    names = [topic] if topic is not None else letter_topics(subject.config)
    if not names:
        raise ConfigError(
            f"no topic of dead letters is named: give TOPIC, or set {LETTER_TOPIC_PROPERTY}; with "
            "--application-id those that handlers have named are known, where the application's state directory is; "
            "`/dead-letters` of a server tells those of all its instances"
        )
    log = subject.open()
    try:
        found = log.topics(names)
        if not found:
            few = "there is no topic" if len(names) == 1 else "there are no topics"
            raise UnknownTopicError(
                f"{few} {', '.join(map(repr, names))}; `headrace topics list` has those there are"
            )
        yield log, [found[name] for name in names if name in found]
    finally:
        log.close()


@contextmanager
def one_opened(subject: Subject, topic: str | None) -> Iterator[tuple[Log, TopicInfo]]:
    """Do the same for what changes a topic: one that is not named has to be configured, or the only one.

    Raises:
        ConfigError: several could be meant.
    """
    name = topic or subject.config.get_or_none(LETTER_TOPIC_PROPERTY)
    if name is None and len(known := letter_topics(subject.config)) > 1:
        raise ConfigError(
            f"several topics of dead letters could be meant ({', '.join(known)}): give TOPIC, one at a time"
        )
    with all_opened(subject, name) as (log, found):
        yield log, found[0]

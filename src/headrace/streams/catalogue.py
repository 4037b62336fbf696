"""All properties there are, as the rooms declare them, and how one is found by its name."""

from collections.abc import Mapping
from typing import Any

from headrace.base.errors import ConfigError
from headrace.base.options import Option, by_name
from headrace.engine import options as engine_options
from headrace.kafka import options as kafka_options
from headrace.serde.registry import options as registry_options
from headrace.streams import options as streams_options
from headrace.streams import server_options
from headrace.streams.client_tags import tag_option
from headrace.streams.foreign_properties import advice

__all__ = ["OPTIONS", "lookup"]

#: Every property that can be set but for tags (`client.tag.*`), in the order in which they are explained.
OPTIONS: Mapping[str, Option[Any]] = by_name(
    [
        *streams_options.OPTIONS,
        *server_options.OPTIONS,
        *engine_options.OPTIONS,
        *kafka_options.OPTIONS,
        *registry_options.OPTIONS,
    ]
)

_FIELDS = {option.field: option for option in OPTIONS.values()}


def lookup(name: str) -> Option[Any]:
    """Return a property by Kafka's name, or by its field (`commit_interval_ms`).

    Raises:
        ConfigError: there is none; says what to write instead, or that it belongs elsewhere. Or a tag has no good key.
    """
    option = OPTIONS.get(name) or _FIELDS.get(name) or tag_option(name)
    if option is not None:
        return option
    raise ConfigError(advice(name, {each: option.text for each, option in OPTIONS.items()}))

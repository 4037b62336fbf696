"""Where an instance runs, in words of the user's own: properties `client.tag.zone=eu-1`, as many as there are tags."""

from collections.abc import Mapping
from typing import Any

from headrace.base.errors import ConfigError
from headrace.base.options import Option, text

__all__ = ["TAGS_MAX", "TAG_PREFIX", "client_tags", "tag_option"]

TAG_PREFIX = "client.tag."
_FIELD_PREFIX = "client_tag_"

# Source: `StreamsConfig` (MAX_RACK_AWARE_ASSIGNMENT_TAG_LIST_SIZE, _KEY_LENGTH, _VALUE_LENGTH).
TAGS_MAX = 5
_KEY_LENGTH_MAX = 20
_VALUE_LENGTH_MAX = 30


def tag_option(name: str) -> Option[Any] | None:
    """Return the property of a tag by Kafka's name or as a field (`client_tag_zone`); None where it is no tag's.

    Raises:
        ConfigError: the tag has no key, or one that is too long.
    """
    prefix = next((each for each in (TAG_PREFIX, _FIELD_PREFIX) if name.startswith(each)), None)
    if prefix is None:
        return None
    key = name.removeprefix(prefix)
    if not 0 < len(key) <= _KEY_LENGTH_MAX:
        raise ConfigError(
            f"{name}: a tag needs a key of 1 to {_KEY_LENGTH_MAX} characters, as {prefix}zone has"
        )
    return Option(
        TAG_PREFIX + key, text, None, "Where this instance runs: see rack.aware.assignment.tags.", _wrong
    )


def _wrong(value: str | None) -> str | None:
    if value is None or 0 < len(value) <= _VALUE_LENGTH_MAX:
        return None
    return f"a tag's value has 1 to {_VALUE_LENGTH_MAX} characters"


def client_tags(values: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the tags among the properties that are set, by their keys.

    Raises:
        ConfigError: there are too many.
    """
    found = {
        name.removeprefix(TAG_PREFIX): value for name, value in values.items() if name.startswith(TAG_PREFIX)
    }
    if len(found) > TAGS_MAX:
        raise ConfigError(
            f"there are {len(found)} tags, {TAG_PREFIX}{{{','.join(sorted(found))}}}: {TAGS_MAX} are allowed"
        )
    return found

"""Read `sasl.jaas.config`, the login in the notation of Java clients, for `security`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from headrace.base.errors import ConfigError

__all__ = ["Jaas", "parse_jaas"]

# One login module with its flag, then options; the semicolon ends it. Values may be quoted, with \" and \\ inside.
_HEAD = re.compile(r"\s*(?P<module>[\w.$]+)\s+(?P<flag>\w+)", re.ASCII)
_OPTION = re.compile(r"\s+(?P<name>[\w.-]+)\s*=\s*(?:\"(?P<quoted>(?:[^\"\\]|\\.)*)\"|(?P<bare>[^\s\";]+))")
_END = re.compile(r"\s*;\s*")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)

_FORM = 'org.apache.kafka.common.security.plain.PlainLoginModule required username="…" password="…";'


@dataclass(frozen=True, slots=True, repr=False)
class Jaas:
    """A login module's own name, without its package, and its options. Has no `repr`: it holds passwords."""

    module: str
    options: Mapping[str, str]


def parse_jaas(text: str) -> Jaas:
    """Read one login entry.

    Raises:
        ConfigError: the text has another form. The message does not repeat the text, which holds a password.
    """
    head = _HEAD.match(text)
    if head is None:
        raise ConfigError(f"sasl.jaas.config names no login module; write {_FORM}")
    options: dict[str, str] = {}
    position = head.end()
    while option := _OPTION.match(text, position):
        quoted = option["quoted"]
        options[option["name"]] = option["bare"] if quoted is None else _ESCAPED.sub(r"\1", quoted)
        position = option.end()
    if not _END.fullmatch(text, position):
        after = f"after option {list(options)[-1]!r}" if options else "after the login module"
        raise ConfigError(f"sasl.jaas.config cannot be read {after}; write {_FORM}")
    return Jaas(head["module"].rpartition(".")[2], options)

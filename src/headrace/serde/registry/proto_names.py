"""Where the messages of a .proto file are: names by their places, and places by their names, without a compiler.

A record says its message by its place, and clients do not count alike. Messages that Protobuf makes of maps stand
between the others in a descriptor; in the text of a file they do not, unless a registry has made it of a descriptor.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

__all__ = ["MessageNames", "message_names"]

_TOKEN: Final = re.compile(
    r"""
    //[^\n]* | /\*.*?\*/ | \s+                              # left out
    | (?P<token>"(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | [\w.]+ | [{};=<>] | .)
    """,
    re.X | re.S,
)

#: Deeper than anybody nests messages.
_DEPTH_MAX: Final = 100

_Kind = Literal["message", "map", "entry"]


@dataclass(slots=True)
class _Scope:
    """A file, or a message. Its kind says whether it is there for a map: hidden in the text, or written there."""

    name: str = ""
    kind: _Kind = "message"
    inner: "list[_Scope]" = field(default_factory=list)


#: What counts, from what the text shows to what a descriptor has.
_COUNTINGS: Final[Sequence[frozenset[_Kind]]] = (
    frozenset({"message", "entry"}),
    frozenset({"message", "entry", "map"}),
    frozenset({"message"}),
)


@dataclass(frozen=True, slots=True)
class MessageNames:
    """The messages of one file."""

    package: str
    _file: _Scope

    def names_at(self, indexes: Sequence[int]) -> set[str]:
        """Return the full names that a message at a place may have, by all ways to count; empty if there is none."""
        found = set()
        for counted in _COUNTINGS:
            names, scope = [], self._file
            for index in indexes:
                inner = [each for each in scope.inner if each.kind in counted]
                if index >= len(inner):
                    break
                scope = inner[index]
                names.append(scope.name)
            else:
                found.add(".".join([self.package, *names] if self.package else names))
        return found

    def indexes_of(self, full_name: str) -> tuple[int, ...] | None:
        """Return the place of a message as the text shows it, which is how Java counts; None if there is none."""
        rest = full_name
        if self.package:
            if not full_name.startswith(f"{self.package}."):
                return None
            rest = full_name[len(self.package) + 1 :]
        indexes, scope = [], self._file
        for name in rest.split("."):
            inner = [each for each in scope.inner if each.kind in _COUNTINGS[0]]
            index = next((number for number, each in enumerate(inner) if each.name == name), None)
            if index is None:
                return None
            indexes.append(index)
            scope = inner[index]
        return tuple(indexes)


def message_names(text: str) -> MessageNames:
    """Return the messages of a file: of its text, or of its descriptor in base64, as some clients register it.

    Raises:
        ValueError: it is neither.
    """
    if "{" not in text and (found := _of_descriptor(text)) is not None:
        return found
    return _Parser(text).file()


def _of_descriptor(text: str) -> MessageNames | None:
    from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
    from google.protobuf.message import DecodeError

    try:
        file = FileDescriptorProto.FromString(base64.b64decode(text, validate=True))
    except (binascii.Error, DecodeError, ValueError):
        return None

    def scope(message: DescriptorProto) -> _Scope:
        kind: _Kind = "entry" if message.options.map_entry else "message"
        return _Scope(message.name, kind, [scope(each) for each in message.nested_type])

    return MessageNames(file.package, _Scope("", "message", [scope(each) for each in file.message_type]))


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0
        self._package = ""

    def file(self) -> MessageNames:
        file = _Scope()
        while self._at < len(self._tokens):
            self._statement(file, 0)
        return MessageNames(self._package, file)

    def _statement(self, scope: _Scope, depth: int) -> None:
        """Read to the end of a statement, with the block that it may have."""
        if depth > _DEPTH_MAX:
            raise ValueError(f"the file has blocks within more than {_DEPTH_MAX} others")
        begin = self._at
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            self._at += 1
            if token == ";":
                break
            if token == "{":
                self._block(self._tokens[begin : self._at - 1], scope, depth)
                if (
                    self._tokens[begin] != "option"
                ):  # whose value was a block, and which ends with a semicolon
                    return
            if token == "}":
                raise ValueError("the file has a closing brace without an opening one")
        else:
            if self._tokens[begin:] != [";"]:
                raise ValueError("the file ends within a statement")
        self._plain(self._tokens[begin : self._at - 1], scope, depth)

    def _plain(self, statement: list[str], scope: _Scope, depth: int) -> None:
        if statement[:1] == ["package"] and depth == 0:
            self._package = "".join(statement[1:])
        elif statement[:2] == ["map", "<"]:
            scope.inner.append(_Scope("", "map"))
        elif statement[:3] == ["option", "map_entry", "="] and statement[3:] == ["true"]:
            scope.kind = "entry"

    def _block(self, head: list[str], scope: _Scope, depth: int) -> None:
        inner = scope
        if head[:1] == ["message"] and len(head) == 2:
            inner = _Scope(head[1])
            scope.inner.append(inner)
        elif "group" in head[:2]:
            inner = _Scope(head[head.index("group") + 1] if len(head) > 1 else "")
            scope.inner.append(inner)
        elif head[:1] not in (["oneof"], ["extend"]):
            inner = _Scope()  # of an enumeration, a service, an option: no messages are in it
        while True:
            if self._at >= len(self._tokens):
                raise ValueError("the file ends within a block")
            if self._tokens[self._at] == "}":
                self._at += 1
                return
            self._statement_of_block(inner, depth + 1)

    def _statement_of_block(self, scope: _Scope, depth: int) -> None:
        # In the value of an option fields stand without semicolons: the brace that closes it ends them.
        begin = self._at
        while self._tokens[self._at] not in {";", "{", "}"}:
            self._at += 1
            if self._at >= len(self._tokens):
                raise ValueError("the file ends within a block")
        if self._tokens[self._at] == "}":
            return
        self._at = begin
        self._statement(scope, depth)


def _tokens(text: str) -> Iterator[str]:
    for match in _TOKEN.finditer(text):
        if match["token"] is not None:
            yield match["token"]

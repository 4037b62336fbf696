"""Write unions of Avro: the branch is chosen by the class of a value, never by what it could be turned into."""

import enum
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, get_origin

from headrace.serde.registry.avro_binding import is_open, leaf_class
from headrace.serde.registry.avro_nodes import Node
from headrace.serde.registry.classes import has_fields, is_typed_dict, literal_texts, members_of, remarks_of
from headrace.serde.serde import kind_of
from headrace.serde.structured import type_name

__all__ = ["branch_types", "compile_union", "is_nobody"]

_Encode: TypeAlias = Callable[[bytearray, Any], None]
#: Bytes that say which branch, and what writes it.
_Option: TypeAlias = tuple[bytes, _Encode]

_LISTS = (list, tuple, set, frozenset)


def compile_union(
    node: Node,
    annotation: Any,
    at: str,
    compile: Callable[[Node, Any, str], _Encode],
    write_long: Callable[[bytearray, int], None],
) -> _Encode:
    """Make what writes a union.

    Raises:
        TypeError: a member of the type has no branch.
    """
    options: dict[type[Any], list[_Option]] = {}
    by_name: dict[str, _Option] = {}
    for index, (branch, inner) in enumerate(branch_types(node, annotation, at)):
        if inner is _NOBODY:
            continue
        buffer = bytearray()
        write_long(buffer, index)
        option = bytes(buffer), compile(branch, inner, at)
        for cls in _classes(branch, inner, at):
            options.setdefault(cls, []).append(option)
        if branch.kind == "record":
            by_name[branch.name] = by_name[branch.name.rpartition(".")[2]] = option
    if int not in options and float in options:
        options[int] = options[float]  # which refuses one that no float is
    return _chooser(options, by_name, at, node.said)


def _chooser(
    options: Mapping[type[Any], list[_Option]], by_name: Mapping[str, _Option], at: str, said: str
) -> _Encode:
    single = {cls: found[0] for cls, found in options.items() if len(found) == 1}

    def encode(buffer: bytearray, value: Any) -> None:
        cls = value.__class__
        option = single.get(cls)
        if option is not None:
            buffer += option[0]
            option[1](buffer, value)
            return
        found = options.get(cls) or next(
            (options[each] for each in cls.__mro__ if each in options and each not in {int, str}), None
        )
        if found is None:
            raise TypeError(f"{kind_of(value)} is none of {said} - at `{at}`")
        if cls is dict and "-type" in value:
            named = by_name.get(value["-type"])
            if named is None:
                raise ValueError(f"the dictionary is said to be a type that is none of {said} - at `{at}`")
            found = [named]
        written = _tried(found, value)
        if len(written) != 1:
            which = "several" if written else "none"
            advice = ': say which with "-type"' if written else ""
            raise ValueError(f"{kind_of(value)} fits {which} of {said}{advice} - at `{at}`")
        buffer += written[0]

    return encode


def _tried(options: list[_Option], value: Any) -> list[bytes]:
    written = []
    for head, write in options:
        buffer = bytearray(head)
        try:
            write(buffer, value)
        except (TypeError, ValueError):
            continue
        written.append(bytes(buffer))
        if not isinstance(value, dict):
            break  # of an int and a long the first one that holds it
    return written


class _Nobody:
    """The type of a branch that no member of the annotation has: it is read, and never written."""


_NOBODY = _Nobody()


def branch_types(node: Node, annotation: Any, at: str) -> list[tuple[Node, Any]]:
    """Return the branches of a union, each with the member of the type that goes with it.

    That is None where nothing is said, and an object of its own where no member goes with a branch.

    Raises:
        TypeError: a member of the type has no branch.
    """
    if is_open(remarks_of(annotation)[0]):
        return [(branch, None) for branch in node.branches]
    members = list(members_of(annotation))
    left = list(members)
    found: list[tuple[Node, Any]] = []
    records = [branch for branch in node.branches if branch.kind == "record"]
    # A dictionary is a map where there is one.
    members_of_records = [
        each
        for each in members
        if not any(branch.kind == "map" for branch in node.branches) or not _is_dictionary(each)
    ]
    if sum(map(_is_dictionary, members)) > 1:
        raise TypeError(
            f"{at}: several members of the type are dictionaries, which cannot be told apart: write dataclasses"
        )
    classes = [each for each in members if has_fields(remarks_of(each)[0])]
    for branch in node.branches:
        chosen: Any = _NOBODY
        for member in members_of_records if branch.kind == "record" else members:
            if _goes_with(branch, member, alone=len(records) == len(classes) == 1):
                chosen = member
                if member in left:
                    left.remove(member)
                break
        found.append((branch, chosen))
    if left:
        raise TypeError(
            f"{at}: the schema has {node.said}, and nothing for {type_name(remarks_of(left[0])[0])}"
        )
    return found


def is_nobody(member: object) -> bool:
    """Whether no member goes with a branch."""
    return member is _NOBODY


def _goes_with(branch: Node, member: Any, *, alone: bool) -> bool:
    plain, _ = remarks_of(member)
    origin = get_origin(plain) or plain
    match branch.kind:
        case "record":
            named = has_fields(plain) and plain.__name__ == branch.name.rpartition(".")[2]
            return named or (alone and has_fields(plain)) or origin is dict
        case "enum":
            return isinstance(plain, type) and issubclass(plain, enum.Enum)
        case "array":
            return (
                isinstance(origin, type)
                and hasattr(origin, "__iter__")
                and not _is_leaf(origin)
                and origin is not dict
            )
        case "map":
            return origin is dict
        case _:
            try:
                leaf_class(branch, member, "")
            except TypeError:
                return False
            return literal_texts(plain) is None or branch.kind == "string"


def _is_dictionary(member: Any) -> bool:
    plain, _ = remarks_of(member)
    return (get_origin(plain) or plain) is dict or is_typed_dict(plain)


def _is_leaf(cls: Any) -> bool:
    return issubclass(cls, str | bytes | enum.Enum) or has_fields(cls)


def _classes(branch: Node, member: Any, at: str) -> tuple[type[Any], ...]:
    plain, _ = remarks_of(member)
    match branch.kind:
        case "record":
            return (plain,) if has_fields(plain) and not is_typed_dict(plain) else (dict,)
        case "enum":
            return (plain,) if isinstance(plain, type) and issubclass(plain, enum.Enum) else (str,)
        case "array":
            return _LISTS
        case "map":
            return (dict,)
        case _:
            return (leaf_class(branch, member, at),)

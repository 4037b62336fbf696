"""Compile the quick half of writing: the test that a value is exactly what its type says, field by field.

An encoder writes whatever it is given, for the reader to fail on. A test in plain calls would cost more than the
encoding, so it is one expression of Python, made once for each serde, as `dataclasses` makes its methods. For a struct
of five fields it takes 0.04 µs more than to look at the value's own class. Where it says no, `checking` decides.
"""

import datetime
import keyword
from collections.abc import Callable
from math import isfinite
from typing import Any, Final, Literal, TypeAlias

import msgspec.inspect as mi

from headrace.serde.shapes import CLASSES, Fields, bare, class_of, options_of

__all__ = ["INT_IN_FLOAT_MAX", "PLAIN_KEYS", "Encoding", "compiled", "guarded"]

Encoding: TypeAlias = Literal["json", "msgpack"]

#: Up to here every int is a float too: an int in a float's place comes back as an equal value.
INT_IN_FLOAT_MAX = 2**53

#: Classes of keys that are read as they were written where the type of the keys says nothing.
PLAIN_KEYS: Final[dict[Encoding, tuple[type[Any], ...]]] = {
    "json": (str,),
    "msgpack": (str, bytes, int, float, bool, type(None)),
}


def compiled(shape: mi.Type, encoding: Encoding) -> Callable[[Any], bool]:
    """Return the test of a shape. It may say no to a value that is good, never yes to one that is not.

    What it raises (a field that was deleted, a list within itself) is a no as well.
    """
    return _Compiler(encoding).test(shape)


def guarded(
    shape: mi.Type,
    encoding: Encoding,
    write: Callable[[Any], bytes],
    otherwise: Callable[[Any], bytes],
) -> Callable[[Any], bytes]:
    """Return the function that writes what passes the test, and hands to `otherwise` what does not."""
    return _Compiler(encoding).guarded(shape, write, otherwise)


class _Compiler:
    """Collects the functions of a test, one for each class with fields, and the constants that they name."""

    def __init__(self, encoding: Encoding) -> None:
        self._is_json = encoding == "json"
        self._names: dict[str, Any] = {
            "isfinite": isfinite,
            "utc": datetime.UTC,
            "datetime": datetime.datetime,
        }
        self._names["plain"] = _plain_in_json if self._is_json else _plain_in_msgpack
        self._functions: list[str] = []
        self._by_shape: dict[int, str] = {}
        self._locals = 0

    def test(self, shape: mi.Type) -> Callable[[Any], bool]:
        test: Callable[[Any], bool] = self._made(self._function(bare(shape)))
        return test

    def guarded(
        self, shape: mi.Type, write: Callable[[Any], bytes], otherwise: Callable[[Any], bytes]
    ) -> Callable[[Any], bytes]:
        # The test stands in the function itself: one call less.
        test = self._test(shape, "value", inline=True)
        self._names |= {"write": write, "otherwise": otherwise}
        self._functions.append(f"def encode(value): return write(value) if {test} else otherwise(value)")
        encode: Callable[[Any], bytes] = self._made("encode")
        return encode

    def _made(self, name: str) -> Any:
        # Our own text: of the users' there are only names of fields in it.
        exec("\n".join(self._functions), self._names)
        return self._names[name]

    def _function(self, shape: mi.Type) -> str:
        """Return the name of the function that tests a shape, made if it is not there."""
        name = self._by_shape.get(id(shape))
        if name is None:
            name = self._by_shape[id(shape)] = f"is_{len(self._by_shape)}"
            # Named before it is made: a class within itself calls it.
            self._functions.append(f"def {name}(value): return {self._test(shape, 'value', inline=True)}")
        return name

    def _constant(self, value: object) -> str:
        name = f"c{len(self._names)}"
        self._names[name] = value
        return name

    def _local(self) -> str:
        self._locals += 1
        return f"x{self._locals}"

    def _test(self, shape: mi.Type, source: str, *, inline: bool = False) -> str:
        """Return the expression that tests what the expression `source` gives, which it evaluates once.

        `inline`: a class with fields is tested in place, not by a call.
        """
        options = options_of(shape)
        classes, others = self._classes(options), [each for each in options if not self._says_all(each)]
        if not others:
            return self._is_one_of(source, classes)
        if len(options) == 1 and isinstance(options[0], Fields) and not inline:
            return f"{self._function(options[0])}({source})"
        local = source if source.isidentifier() else self._local()
        tests = [self._is_one_of(local, classes)] if classes else []
        tests += [
            self._one(each, local)
            if inline or not isinstance(each, Fields)
            else f"{self._function(each)}({local})"
            for each in others
        ]
        text = f"({' or '.join(tests)})"
        # What stands first is evaluated first: there the name is bound.
        return text if local == source else text.replace(local, f"({local} := {source})", 1)

    def _says_all(self, shape: mi.Type) -> bool:
        """Whether the class of a value says all."""
        return type(shape) in CLASSES or isinstance(shape, mi.EnumType)

    def _classes(self, options: list[mi.Type]) -> list[type[Any]]:
        return [
            shape.cls if isinstance(shape, mi.EnumType) else CLASSES[type(shape)]
            for shape in options
            if self._says_all(shape)
        ]

    def _is_one_of(self, source: str, classes: list[type[Any]]) -> str:
        if len(classes) == 1:
            return f"type({source}) is {self._constant(classes[0])}"
        return f"type({source}) in {self._constant(frozenset(classes))}"

    def _one(self, shape: mi.Type, x: str) -> str:
        """Return the test of one shape that is no union, of a local variable."""
        if isinstance(shape, mi.AnyType):
            return f"plain({x})"
        if isinstance(shape, mi.FloatType):
            # Not-a-number and infinity are no zero less themselves.
            number = f"type({x}) is float and {x} - {x} == 0.0" if self._is_json else f"type({x}) is float"
            return f"({number} or type({x}) is int and -{INT_IN_FLOAT_MAX} <= {x} <= {INT_IN_FLOAT_MAX})"
        if isinstance(shape, mi.DateTimeType):
            return f"type({x}) is datetime and ({x}.tzinfo is None or {x}.tzinfo is utc)"
        if isinstance(shape, mi.LiteralType):
            classes = self._constant(frozenset(map(type, shape.values)))
            return f"type({x}) in {classes} and {x} in {self._constant(frozenset(shape.values))}"
        if isinstance(shape, mi.ListType):
            return f"type({x}) is list and {self._items(shape.item_type, x)}"
        if isinstance(shape, mi.VarTupleType):
            return f"type({x}) is tuple and {self._items(shape.item_type, x)}"
        if isinstance(shape, mi.SetType):
            return f"type({x}) is set and {self._items(shape.item_type, x)}"
        if isinstance(shape, mi.FrozenSetType):
            return f"type({x}) is frozenset and {self._items(shape.item_type, x)}"
        if isinstance(shape, mi.DictType):
            if self._is_json and _is_document(shape):
                return f"type({x}) is dict and plain({x})"
            names, values = self._keys(shape.key_type, x), self._items(shape.value_type, f"{x}.values()")
            return f"type({x}) is dict and {names} and {values}"
        if isinstance(shape, mi.TupleType):
            items = [self._test(item, f"{x}[{at}]") for at, item in enumerate(shape.item_types)]
            return " and ".join([f"type({x}) is tuple and len({x}) == {len(items)}", *items])
        if isinstance(shape, Fields):
            return self._fields(shape, x)
        return "False"

    def _keys(self, key: mi.Type, keys: str) -> str:
        if not isinstance(bare(key), mi.AnyType):
            return self._items(key, keys)
        classes = PLAIN_KEYS["json" if self._is_json else "msgpack"]
        return f"{self._constant(frozenset(classes))}.issuperset(map(type, {keys}))"

    def _items(self, item: mi.Type, items: str) -> str:
        """Return the test of all items of a collection, in C where their classes say all."""
        options = options_of(item)
        if isinstance(options[0], mi.AnyType):
            return f"all(map(plain, {items}))"
        if all(map(self._says_all, options)):
            return f"{self._constant(frozenset(self._classes(options)))}.issuperset(map(type, {items}))"
        if not isinstance(bare(item), mi.FloatType):
            return f"all(map({self._function(bare(item))}, {items}))"
        # The sum is finite if all are, unless it overflows, which the second test then finds harmless.
        one_by_one = f"all(map({self._function(bare(item))}, {items}))"
        floats = f"{self._constant(frozenset({float}))}.issuperset(map(type, {items}))"
        return (
            f"({floats} and isfinite(sum({items})) or {one_by_one})"
            if self._is_json
            else f"({floats} or {one_by_one})"
        )

    def _fields(self, shape: Fields, x: str) -> str:
        fields = shape.fields
        tests = [f"type({x}) is {self._constant(class_of(shape))}"]
        if isinstance(shape, mi.TypedDictType):
            tests.append(f"{x}.keys() <= {self._constant(frozenset(field.name for field in fields))}")
            for field in fields:
                name = repr(field.name)
                test = self._test(field.type, f"{x}[{name}]")
                tests.append(
                    f"{name} in {x} and {test}" if field.required else f"({name} not in {x} or {test})"
                )
        elif isinstance(shape, mi.NamedTupleType):
            tests += [self._test(field.type, f"{x}[{at}]") for at, field in enumerate(fields)]
        else:
            tests += [self._test(field.type, _attribute(x, field.name)) for field in fields]
        return " and ".join(tests)


def _attribute(x: str, name: str) -> str:
    if name.isidentifier() and not keyword.iskeyword(name):
        return f"{x}.{name}"
    return f"getattr({x}, {name!r})"


def _is_document(shape: mi.DictType) -> bool:
    return isinstance(bare(shape.key_type), mi.AnyType | mi.StrType) and isinstance(
        bare(shape.value_type), mi.AnyType
    )


def _plain_in_json(value: Any) -> bool:
    """Whether a value comes back from JSON that is read without a type."""
    kind = type(value)
    if kind is dict:
        # Without a call for what is there most often: 0.05 µs an item.
        for name, item in value.items():
            if type(name) is not str:
                return False
            inner = type(item)
            if inner is str or inner is int or item is None:
                continue
            if inner is float:
                if item - item != 0.0:
                    return False
            elif not _plain_in_json(item):
                return False
        return True
    if kind is list:
        return all(map(_plain_in_json, value))
    if kind is float:
        return bool(value - value == 0.0)
    return kind is str or kind is int or kind is bool or value is None


_MSGPACK_LEAVES = frozenset(PLAIN_KEYS["msgpack"])


def _plain_in_msgpack(value: Any) -> bool:
    """Whether a value comes back from MessagePack that is read without a type."""
    kind = type(value)
    if kind is dict:
        items = value.values()
        return _MSGPACK_LEAVES.issuperset(map(type, value)) and (
            _MSGPACK_LEAVES.issuperset(map(type, items)) or all(map(_plain_in_msgpack, items))
        )
    if kind is list:
        return all(map(_plain_in_msgpack, value))
    return kind in _MSGPACK_LEAVES

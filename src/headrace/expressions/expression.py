"""What users write: `col("amount") > 100`. Each operator makes a larger expression, and computes nothing."""

from collections.abc import Iterable, Mapping, Set
from typing import TYPE_CHECKING, Any, Final, Generic, NoReturn, final

from typing_extensions import TypeVar

from headrace.base.advice import no_attribute
from headrace.expressions.text import text_of
from headrace.expressions.tree import (
    Binary,
    Call,
    Constant,
    Document,
    Element,
    IsIn,
    IsNull,
    Member,
    Method,
    Node,
    Part,
    Unary,
)

__all__ = ["Expression", "col", "document", "key", "value"]

T_co = TypeVar("T_co", covariant=True)

_NO_TRUTH: Final = (
    "an expression has no truth before there is a record: write & for `and`, | for `or`, ~ for `not`, each side in "
    "parentheses, and (low < x) & (x < high) for `low < x < high`"
)

_INSTEAD: Final = {
    "isin": "write is_in(...)",
    "isnull": "write is_null()",
    "is_none": "write is_null()",
    "len": "write length()",
    "str": "methods of texts are the expression's own: lower(), startswith(...)",
}


@final
class Expression(Generic[T_co]):
    """What is to be computed of a record: a field, a constant, or what operators make of expressions.

    It stands where a function of key and value, or of the value, could, and gives what that would:
    `filter(col("amount") > 100)` is `filter(lambda key, value: value["amount"] > 100)`. It computes what Python does,
    and raises what Python raises. Made by `col`, `key` and `value`; it never changes.

    `&`, `|` and `~` are `and`, `or` and `not`: the right side is not looked at where the left one decides. They bind
    more tightly than comparisons, which need parentheses therefore. As `==` makes an expression, expressions have no
    hash, and can be no keys of a dictionary.
    """

    __slots__ = ("_node",)

    def __init__(self, node: Node) -> None:
        self._node = node

    def __repr__(self) -> str:
        return text_of(self._node)

    # ── parts ────────────────────────────────────────────────────────────────────────────────────────────────────

    def __getitem__(self, name: str | int) -> "Expression[Any]":
        """Take a field by its name, `col("user")["city"]`, or an element by its place."""
        if type(name) is str:
            return Expression(Member(self._node, name))
        if type(name) is int:
            return Expression(Element(self._node, name))
        raise TypeError(
            f"{self!r}[...] takes the name of a field, or the place of an element; found {name!r}"
        )

    # ── comparisons ──────────────────────────────────────────────────────────────────────────────────────────────

    def __eq__(self, other: object) -> "Expression[bool]":  # type: ignore[override]  # what is wanted is no truth
        return self._with("==", other)

    def __ne__(self, other: object) -> "Expression[bool]":  # type: ignore[override]  # as above
        return self._with("!=", other)

    def __lt__(self, other: object) -> "Expression[bool]":
        return self._with("<", other)

    def __le__(self, other: object) -> "Expression[bool]":
        return self._with("<=", other)

    def __gt__(self, other: object) -> "Expression[bool]":
        return self._with(">", other)

    def __ge__(self, other: object) -> "Expression[bool]":
        return self._with(">=", other)

    __hash__ = None  # type: ignore[assignment]  # as Python has it of classes whose == says nothing of equality

    def is_in(self, values: Iterable[object]) -> "Expression[bool]":
        """Say whether it is one of these, which are taken as they are now: `x in values`.

        A set, or the keys of a dictionary, is looked up by hash; anything else is gone through.

        Raises:
            TypeError: `values` is a text, or has expressions in it.
        """
        if isinstance(values, str | bytes | Expression) or not isinstance(values, Iterable):
            raise TypeError(
                f"is_in() takes a collection of values, found {values!r}; parts of a text: contains()"
            )
        kept = frozenset(values) if isinstance(values, Set | Mapping) else tuple(values)
        if any(isinstance(each, Expression) for each in kept):
            raise TypeError("is_in() takes values: compare with expressions by ==, and put | between")
        return Expression(IsIn(self._node, kept))

    def is_null(self) -> "Expression[bool]":
        """Say whether it is None: a null key, a null value, a field whose value is null."""
        return Expression(IsNull(self._node))

    # ── truth ────────────────────────────────────────────────────────────────────────────────────────────────────

    def __and__(self, other: "Expression[Any]") -> "Expression[Any]":
        return self._joined("and", self, other)

    def __rand__(self, other: object) -> "Expression[Any]":
        return self._joined("and", other, self)

    def __or__(self, other: "Expression[Any]") -> "Expression[Any]":
        return self._joined("or", self, other)

    def __ror__(self, other: object) -> "Expression[Any]":
        return self._joined("or", other, self)

    def __invert__(self) -> "Expression[bool]":
        return Expression(Unary("not", self._node))

    def __bool__(self) -> NoReturn:
        raise TypeError(_NO_TRUTH)

    def __contains__(self, value: object) -> NoReturn:
        raise TypeError(
            "`in` gives a truth, which an expression has not: write is_in([...]) or contains(...)"
        )

    # Without it, Python would ask for element after element, of which there is no end.
    __iter__ = None

    # ── arithmetic ───────────────────────────────────────────────────────────────────────────────────────────────

    def __add__(self, other: object) -> "Expression[Any]":
        return self._with("+", other)

    def __radd__(self, other: object) -> "Expression[Any]":
        return self._after("+", other)

    def __sub__(self, other: object) -> "Expression[Any]":
        return self._with("-", other)

    def __rsub__(self, other: object) -> "Expression[Any]":
        return self._after("-", other)

    def __mul__(self, other: object) -> "Expression[Any]":
        return self._with("*", other)

    def __rmul__(self, other: object) -> "Expression[Any]":
        return self._after("*", other)

    def __truediv__(self, other: object) -> "Expression[Any]":
        return self._with("/", other)

    def __rtruediv__(self, other: object) -> "Expression[Any]":
        return self._after("/", other)

    def __floordiv__(self, other: object) -> "Expression[Any]":
        return self._with("//", other)

    def __rfloordiv__(self, other: object) -> "Expression[Any]":
        return self._after("//", other)

    def __mod__(self, other: object) -> "Expression[Any]":
        return self._with("%", other)

    def __rmod__(self, other: object) -> "Expression[Any]":
        return self._after("%", other)

    def __neg__(self) -> "Expression[Any]":
        return Expression(Unary("-", self._node))

    def __pos__(self) -> "Expression[Any]":
        return Expression(Unary("+", self._node))

    def __abs__(self) -> "Expression[Any]":
        return Expression(Unary("abs", self._node))

    # ── texts ────────────────────────────────────────────────────────────────────────────────────────────────────

    def lower(self) -> "Expression[str]":
        """Return the text in small letters."""
        return self._call("lower")

    def upper(self) -> "Expression[str]":
        """Return the text in capital letters."""
        return self._call("upper")

    def strip(self) -> "Expression[str]":
        """Return the text without white space at its ends."""
        return self._call("strip")

    def startswith(self, prefix: "str | Expression[Any]") -> "Expression[bool]":
        """Say whether the text begins with another."""
        return self._call("startswith", prefix)

    def endswith(self, suffix: "str | Expression[Any]") -> "Expression[bool]":
        """Say whether the text ends with another."""
        return self._call("endswith", suffix)

    def contains(self, part: object) -> "Expression[bool]":
        """Say whether the text has another in it, a list an element, or a document a field: `part in x`."""
        return self._call("contains", part)

    def length(self) -> "Expression[int]":
        """Return how long the text or the list is: `len(x)`."""
        return self._call("length")

    # ── making ───────────────────────────────────────────────────────────────────────────────────────────────────

    if not TYPE_CHECKING:  # which says so itself

        def __getattr__(self, name: str) -> NoReturn:
            error = no_attribute("an expression", name, dir(type(self)), _INSTEAD)
            if not name.startswith("_") and not error.args[0].count(":") and "did you mean" not in str(error):
                error = AttributeError(f"{error}; a field of a field is {self!r}[{name!r}]")
            raise error

    def _with(self, operator: str, other: object) -> "Expression[Any]":
        return Expression(Binary(operator, self._node, node_of(other)))

    def _after(self, operator: str, other: object) -> "Expression[Any]":
        return Expression(Binary(operator, node_of(other), self._node))

    def _call(self, method: Method, *arguments: object) -> "Expression[Any]":
        return Expression(Call(method, self._node, tuple(map(node_of, arguments))))

    def _joined(self, operator: str, left: object, right: object) -> "Expression[Any]":
        for each in (left, right):
            if not isinstance(each, Expression):
                sign = "&" if operator == "and" else "|"
                raise TypeError(
                    f"{sign} is `{operator}` between two expressions, found {each!r}: put comparisons in parentheses, "
                    f"(x > 1) {sign} (y > 2); bits want a function"
                )
        return Expression(Binary(operator, node_of(left), node_of(right)))


def col(name: str) -> Expression[Any]:
    """Take a field of the value by its name: an item of a dictionary, an attribute of anything else.

    Which of both is decided by the value's type where that is known, else record by record. A field that a known type
    does not have is an error when the topology is built; one that a record lacks raises what Python raises, and goes to
    the processing handler.

    >>> (col("price") * col("n") > 100) & ~col("country").is_in(["SE", "NO"])
    ((col('price') * col('n')) > 100) & ~col('country').is_in(('SE', 'NO'))
    >>> col("user")["city"].lower()
    col('user')['city'].lower()

    Raises:
        TypeError: the name is no text.
    """
    if type(name) is not str:
        raise TypeError(f"col() takes the name of a field, found {name!r}; the whole value is value()")
    return value()[name]


def key() -> Expression[Any]:
    """Take the record's key."""
    return Expression(Part("key"))


def value() -> Expression[Any]:
    """Take the whole value: `value().startswith("{")` of texts, `value() > 10` of numbers."""
    return Expression(Part("value"))


def document(fields: Mapping[str, Any]) -> Expression[dict[str, Any]]:
    """Make a dictionary of expressions, constants and dictionaries of such.

    Raises:
        TypeError: a name is no text, or a constant may be changed by whoever is handed it.
    """
    return Expression(_document(fields))


def _document(fields: Mapping[str, Any]) -> Document:
    made: list[tuple[str, Node]] = []
    for name, each in fields.items():
        if type(name) is not str:
            raise TypeError(f"the names of a document's fields are texts, found {name!r}")
        node = node_of(each) if not isinstance(each, Mapping) else _document(each)
        if isinstance(node, Constant) and type(node.value).__hash__ is None:
            raise TypeError(
                f"{name!r} would be one and the same {type(node.value).__name__} in all documents"
            )
        made.append((name, node))
    return Document(tuple(made))


def node_of(operand: object) -> Node:
    """Return the tree of an expression; anything else stands for itself."""
    return operand._node if isinstance(operand, Expression) else Constant(operand)

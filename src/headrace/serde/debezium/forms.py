"""The forms of a connector's records, as its converters are set: JSON, or the Avro of a registry."""

from collections.abc import Callable, Mapping
from typing import Literal, Protocol, TypeAlias

from typing_extensions import TypeVar

from headrace.base.records import Headers
from headrace.serde.debezium.columns import Converters
from headrace.serde.debezium.json_form import JsonForm
from headrace.serde.debezium.semantics import Semantics

__all__ = ["Form", "FormName", "form_of", "is_avro"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

FormName: TypeAlias = Literal["json", "avro"]


class Form(Protocol[T_co]):
    """How records are written: JSON, or the Avro of a registry.

    Attributes:
        said: its name, for people.
        reads_headers: whether headers may say something of the bytes.
    """

    @property
    def said(self) -> str: ...
    @property
    def reads_headers(self) -> bool: ...

    def configure(self, properties: Mapping[str, object]) -> None:
        """Take the properties of the application."""
        ...

    def read(self, topic: str, data: bytes, headers: Headers) -> tuple[T_co, Converters]:
        """Return what bytes have, and what converts its columns, as their schema says."""
        ...

    def written(self, topic: str, columns: bytes) -> bytes:
        """Return the bytes of a key whose columns stand there in JSON."""
        ...


def is_avro(form: FormName) -> bool:
    """Whether records are in Avro, and not in JSON.

    Raises:
        TypeError: there is no such form.
    """
    if form not in {"json", "avro"}:
        raise TypeError(f"format={form!r}: 'json' or 'avro' is wanted")
    return form == "avro"


def form_of(
    form: FormName,
    name: str,
    shape: type[T],
    converters: Callable[[Mapping[str, Semantics]], Converters],
    *,
    keys_of: str | None = None,
) -> Form[T]:
    """Return a form of what is of a shape; `converters` makes those of a schema's columns. `name` is for errors.

    `keys_of` is the topic of a table, with whose schema keys are written in Avro.

    Raises:
        TypeError: there is no such form.
    """
    if not is_avro(form):
        return JsonForm(shape, converters)
    # Whoever has no registry does not load its serdes.
    from headrace.serde.debezium.avro_form import AvroForm

    return AvroForm(name, shape, converters, keys_of=keys_of)

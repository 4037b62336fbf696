"""What a query of a store hands out, told to type checkers."""

from typing import Generic

from typing_extensions import TypeVar

__all__ = ["Queried"]

R_co = TypeVar("R_co", covariant=True)


class Queried(Generic[R_co]):
    """A store that processors write; a query of it hands out an R, which only reads. A declared extension point."""

    __slots__ = ()

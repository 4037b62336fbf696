"""What a store has in common with others over which there is no cache."""

from collections.abc import Callable

from headrace.base.errors import StateError
from headrace.state.in_place import InPlace
from headrace.state.port import FlushRefused, OpenKey
from headrace.state.spec import StoreSpec

__all__ = ["Uncached"]


class Uncached:
    """A store whose updates do not wait. A declared extension point."""

    __slots__ = ("spec",)

    caching = False

    def __init__(self, spec: StoreSpec) -> None:
        self.spec = spec

    def in_place(self) -> InPlace | None:
        """There is no cache: None."""
        return None

    def on_flush(
        self,
        listener: Callable[..., None],
        *,
        send_old: bool,
        refused: FlushRefused | None = None,
        open_key: OpenKey = bytes,
    ) -> None:
        """There is no cache to listen to.

        Raises:
            StateError: always. Ask `caching` first.
        """
        raise StateError(f"store {self.spec.name!r} has no cache: forward each update yourself")

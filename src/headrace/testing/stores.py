"""A store of several partitions as one, for tests to read."""

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from headrace.base.errors import TopologyError
from headrace.query.local import KeyValueView, SessionView, VersionedView, WindowView
from headrace.state.declaration import unreadable
from headrace.state.spec import StoreSpec

__all__ = ["all_partitions"]


def all_partitions(spec: StoreSpec, partitions: Callable[[], Mapping[int, Any]]) -> Any:
    """Make the view of a store's kind over all partitions; what would write says that one has to be named."""

    def refuse(*arguments: object, **named: object) -> NoReturn:
        raise TopologyError(
            f"store '{spec.name}' has {len(partitions())} partitions, and a write goes to one of them: ask for it with "
            "driver.store(..., partition=0)"
        )

    match spec.kind:
        case "key_value":
            return _KeyValues(partitions, refuse)
        case "window":
            return _Windows(partitions, refuse)
        case "session":
            return _Sessions(partitions, refuse)
        case "suppress":
            raise unreadable(spec)
        case "custom":
            refuse()
        case "versioned":
            return _Versions(partitions, refuse)


class _KeyValues(KeyValueView[Any, Any]):
    def __init__(self, partitions: Callable[[], Mapping[int, Any]], refuse: Callable[..., NoReturn]) -> None:
        super().__init__(partitions)
        self.put = self.put_if_absent = self.delete = refuse


class _Windows(WindowView[Any, Any]):
    def __init__(self, partitions: Callable[[], Mapping[int, Any]], refuse: Callable[..., NoReturn]) -> None:
        super().__init__(partitions)
        self.put = refuse


class _Sessions(SessionView[Any, Any]):
    def __init__(self, partitions: Callable[[], Mapping[int, Any]], refuse: Callable[..., NoReturn]) -> None:
        super().__init__(partitions)
        self.put = refuse


class _Versions(VersionedView[Any, Any]):
    def __init__(self, partitions: Callable[[], Mapping[int, Any]], refuse: Callable[..., NoReturn]) -> None:
        super().__init__(partitions)
        self.put = self.delete = refuse

"""Stores as user code sees them, by their kind. Processors get the writable ones, queries those that only read."""

from typing import Any, cast

from headrace.processor.context import TaskContext
from headrace.state.buffer.custom import CustomBuffer
from headrace.state.buffer.suppress import SuppressBuffer
from headrace.state.declaration import unreadable
from headrace.state.port import (
    KeyValueReads,
    KeyValueState,
    SegmentedReads,
    SegmentedState,
    VersionedReads,
    VersionedState,
)
from headrace.state.shown import has_rows, shown
from headrace.state.typed_key_value import KeyValueReadings, KeyValueStore, ReadOnlyKeyValueStore
from headrace.state.typed_keys import TypedKeys
from headrace.state.typed_session import ReadOnlySessionStore, SessionReadings, SessionStore
from headrace.state.typed_versioned import ReadOnlyVersionedStore, VersionedReadings, VersionedStore
from headrace.state.typed_window import ReadOnlyWindowStore, WindowReadings, WindowStore

__all__ = ["read_only", "typed"]


def typed(
    state: KeyValueState | SegmentedState | VersionedState | SuppressBuffer | CustomBuffer,
    context: TaskContext,
    application_id: str | None = None,
) -> Any:
    """Make the user's view of a state: a `KeyValueStore`, a `WindowStore`, a `SessionStore` by its kind.

    One that shows other values than it keeps can only be read.

    Keys are serialised for the changelog topic of `application_id`, the task's own if it is left out.
    """
    if has_rows(state.spec):
        # Of a result nobody could make the row again.
        return read_only(
            cast("KeyValueReads | SegmentedReads", state), application_id or context.application_id
        )
    keys = TypedKeys[Any](state.spec, application_id or context.application_id)
    match state.spec.kind:
        case "key_value":
            return KeyValueStore[Any, Any](cast("KeyValueState", state), keys, context)  # by its kind
        case "window":
            return WindowStore[Any, Any](cast("SegmentedState", state), keys, context)  # by its kind
        case "session":
            return SessionStore[Any, Any](cast("SegmentedState", state), keys, context)  # by its kind
        case "suppress":
            raise unreadable(state.spec)
        case "versioned":
            return VersionedStore[Any, Any](cast("VersionedState", state), keys, context)  # by its kind
        case "custom":
            return cast("CustomBuffer", state).hand_out()  # by its kind


def read_only(
    state: KeyValueReads | SegmentedReads | VersionedReads, application_id: str
) -> (
    ReadOnlyKeyValueStore[Any, Any]
    | ReadOnlyWindowStore[Any, Any]
    | ReadOnlySessionStore[Any, Any]
    | ReadOnlyVersionedStore[Any, Any]
):
    """Make the user's view of a state that is only read: a query's, or a processor's of another task's store."""
    state = shown(state)
    keys = TypedKeys[Any](state.spec, application_id)
    match state.spec.kind:
        case "key_value":
            return KeyValueReadings[Any, Any](cast("KeyValueReads", state), keys)  # by its kind
        case "window":
            return WindowReadings[Any, Any](cast("SegmentedReads", state), keys)  # by its kind
        case "session":
            return SessionReadings[Any, Any](cast("SegmentedReads", state), keys)  # by its kind
        case "suppress" | "custom":
            raise unreadable(state.spec)
        case "versioned":
            return VersionedReadings[Any, Any](cast("VersionedReads", state), keys)  # by its kind

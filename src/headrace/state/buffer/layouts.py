"""Which layout a store's cells have, where its rows expire."""

from headrace.base.errors import StateError
from headrace.state.buffer.segment_layout import SegmentLayout
from headrace.state.buffer.session_layout import SESSIONS
from headrace.state.buffer.window_layout import DUPLICATES, WINDOWS
from headrace.state.spec import StoreSpec

__all__ = ["layout_of"]


def layout_of(spec: StoreSpec) -> SegmentLayout:
    """Return the layout of a segmented store.

    Raises:
        StateError: the store is none.
    """
    match spec.kind:
        case "window":
            return DUPLICATES if spec.retain_duplicates else WINDOWS
        case "session":
            return SESSIONS
        case "key_value" | "suppress" | "versioned" | "custom":
            raise StateError(f"the rows of {spec.kind} store {spec.name!r} do not expire")

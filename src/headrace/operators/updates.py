"""How a table's node passes an update on: at once, or when its cached store is flushed."""

from collections.abc import Callable
from typing import Any

from headrace.base.records import NO_HEADERS, Headers, Window, Windowed
from headrace.state.buffer.session_layout import session_of
from headrace.topology.wiring import Wiring

__all__ = [
    "changelog_topic",
    "forward_flushed",
    "forward_flushed_sessions",
    "forward_flushed_windows",
    "key_deserializer",
    "key_serializer",
]


def changelog_topic(wiring: Wiring, state: Any) -> str:
    """Full name of a store's changelog: the topic that serdes are told of."""
    return f"{wiring.context.application_id}-{state.spec.changelog_topic}"


def key_serializer(wiring: Wiring, state: Any) -> Callable[[Any], bytes]:
    """Return what makes the bytes of a store's keys."""
    serializer: Callable[[Any], bytes] = state.spec.key.serializer(changelog_topic(wiring, state))
    return serializer


def key_deserializer(wiring: Wiring, state: Any) -> Callable[[bytes], Any]:
    """Return what makes the keys of a store of their bytes."""
    deserializer: Callable[[bytes], Any] = state.spec.key.deserializer(changelog_topic(wiring, state))
    return deserializer


def forward_flushed(wiring: Wiring, state: Any, *, send_old: bool) -> None:
    """Forward what a key-value store lets go of: the last value of each key, if it is cached, and what expires."""
    if not state.caching and state.spec.ttl_ms is None:
        return
    forward = wiring.forward

    def flushed(key: Any, new: Any, old: Any, timestamp: int, headers: Headers) -> None:
        forward(key, (new, old if send_old else None, True), timestamp, headers)

    _listen(wiring, state, flushed, send_old=send_old)


def forward_flushed_windows(wiring: Wiring, state: Any, size_ms: int, *, send_old: bool) -> None:
    """Forward the last value of each window when a cached window store lets go of it."""
    forward = wiring.forward
    # Most of a flush is in one window, and making one takes as long as reading the key.
    window = Window(-1, -1)

    def flushed(key: Any, start: int, new: Any, old: Any, timestamp: int, headers: Headers) -> None:
        nonlocal window
        if window.start != start:
            window = Window(start, start + size_ms)
        forward(Windowed(key, window), (new, old if send_old else None, True), timestamp, headers)

    _listen(wiring, state, flushed, send_old=send_old)


def forward_flushed_sessions(wiring: Wiring, state: Any, *, send_old: bool) -> None:
    """Forward the last value of each session when a cached session store lets go of it, at the session's end.

    In the format with headers it has those that the store keeps, which are none. Source:
    `SessionCacheFlushListenerWithHeader`.
    """
    forward, in_format_with_headers = wiring.forward, state.spec.logged_headers != "none"

    def flushed(key: Any, slot: int, new: Any, old: Any, timestamp: int, headers: Headers) -> None:
        start, end = session_of(slot)
        if in_format_with_headers:
            headers = NO_HEADERS
        forward(Windowed(key, Window(start, end)), (new, old if send_old else None, True), end, headers)

    _listen(wiring, state, flushed, send_old=send_old)


def _listen(wiring: Wiring, state: Any, flushed: Callable[..., None], *, send_old: bool) -> None:
    open_key = key_deserializer(wiring, state)
    state.on_flush(flushed, send_old=send_old, refused=wiring.failed, open_key=open_key)

"""How a table's node passes an update on: at once, or when its cached store is flushed."""

from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any

from headrace.base.columns import Stretch
from headrace.base.records import NO_HEADERS, Headers, Window, Windowed
from headrace.processor.kept import KeptTogether
from headrace.state.buffer.session_layout import session_of
from headrace.state.number_cache import Flushed, NumbersCache, Released
from headrace.topology.wiring import ForwardStretch, Wiring

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

    _listen(wiring, state, flushed, send_old=send_old, keys_of=lambda keys, slots: keys)


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

    def keys_of(keys: Sequence[Any], starts: Sequence[int]) -> Sequence[Any]:
        windows = {start: Window(start, start + size_ms) for start in set(starts)}
        return [Windowed(key, windows[start]) for key, start in zip(keys, starts)]

    _listen(wiring, state, flushed, send_old=send_old, keys_of=keys_of)


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


def _listen(
    wiring: Wiring,
    state: Any,
    flushed: Callable[..., None],
    *,
    send_old: bool,
    keys_of: Callable[[Sequence[Any], Sequence[int]], Sequence[Any]] | None = None,
) -> None:
    """Make `flushed` hear of each update; what follows gets many at once where both sides can.

    `keys_of` makes the keys that are forwarded of those of the store and their slots.
    """
    told: dict[str, Any] = {}
    onward = wiring.onward_together() if keys_of is not None and isinstance(state, NumbersCache) else None
    if onward is not None and keys_of is not None:
        told["together"] = _together(wiring, onward, keys_of)
    open_key = key_deserializer(wiring, state)
    state.on_flush(flushed, send_old=send_old, refused=wiring.failed, open_key=open_key, **told)


def _together(
    wiring: Wiring,
    onward: ForwardStretch,
    keys_of: Callable[[Sequence[Any], Sequence[int]], Sequence[Any]],
) -> Flushed:
    context = wiring.context

    def flushed(keys: Sequence[Any], released: Released) -> None:
        changes = list(zip(released.values, released.before, repeat(True)))
        stretch = Stretch(
            keys_of(keys, released.slots), changes, released.timestamps, released.headers, released.offsets
        )
        context.kept = KeptTogether(context, stretch)
        onward(stretch)

    return flushed

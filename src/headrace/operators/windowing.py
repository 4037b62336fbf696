"""What all windowings do whose windows close: their stream time, how updates leave or final results, and silence."""

from collections.abc import Callable
from typing import Any

from headrace.base.records import Window, Windowed
from headrace.operators.fold import Fold
from headrace.operators.idle import closing_when_idle
from headrace.operators.stream_time import StreamTime
from headrace.operators.window_close import Closing, WindowCloser
from headrace.processor.window_clock import WindowClock
from headrace.topology.wiring import Forward, Wiring

__all__ = ["folded"]


def _in_no_store() -> None:
    return None


def folded(
    fold: Fold,
    program: str,
    wiring: Wiring,
    state: Any,
    closing: Closing,
    forward_flushed: Callable[..., None],
    *,
    send_old: bool,
    together: Callable[[Forward, StreamTime], None] | None = None,
    **known: Any,
) -> Forward:
    """Make the closure of a program that folds records into the windows of a store.

    `forward_flushed` lets the updates go that a cache has held back, where results do not wait for windows to close.
    `together` may offer to take stretches, given the closure. `known` are the names that the program finds, besides
    those of all of them, and what else the fold is told.
    """
    emit = WindowCloser(wiring, state, closing) if closing.emits_final else None
    if emit is None and state.caching:
        forward_flushed(wiring, state, send_old=send_old)
    stream_time = StreamTime()
    wiring.context.window_clocks[wiring.name] = WindowClock(
        lambda: stream_time.ms,
        closing.grace_ms,
        closing.ends_included,
        closing.emits_final,
        None if closing.idle is None else closing.idle.idle_ms,
        held_in=_in_no_store if emit is None else emit.held_in,
    )
    run = fold.compile(
        program,
        wiring,
        state,
        send_old=send_old,
        emit=emit,
        stream_time=stream_time,
        Window=Window,
        Windowed=Windowed,
        **known,
    )
    if together is not None and emit is None:
        together(run, stream_time)
    return closing_when_idle(wiring, run, state, closing, stream_time, emit)

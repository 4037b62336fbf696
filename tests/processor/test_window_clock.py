"""By what windows close."""

from headrace.processor.window_clock import WindowClock


def _clock(stream_time: int, *, ends_included: bool) -> WindowClock:
    return WindowClock(lambda: stream_time, 10, ends_included, emits_final=True, idle_ms=None)


def test_windows_have_closed_up_to_stream_time_less_grace() -> None:
    assert _clock(100, ends_included=False).closed_until == 90
    assert _clock(100, ends_included=True).closed_until == 89


def test_nothing_has_closed_before_the_first_record() -> None:
    assert _clock(-1, ends_included=False).closed_until is None

"""The idle time of what waits for later records: how long a silence of the input lets time go on."""

from typing import cast

from headrace.base.durations import Duration, milliseconds
from headrace.base.errors import TopologyError
from headrace.base.ids import Location

__all__ = ["idle_time_ms"]


def idle_time_ms(idle: object, where: Location) -> int | None:
    """Return it in ms; None where time waits for records.

    Raises:
        TopologyError: it is no time.
        TypeError: it is a bare number.
    """
    if idle is None:
        return None
    idle_ms = milliseconds(cast("Duration", idle), name="idle")  # which looks
    if idle_ms == 0:
        raise TopologyError(
            f"{where}: idle={idle!r} is no time that the input could be silent: more than 0 is wanted"
        )
    return idle_ms

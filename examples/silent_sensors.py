"""Silent sensors: the last value of each sensor is remembered, and a sensor that falls silent is told of.

Shows: a processor of your own, with a persistent store and a *punctuator*, a function that is called again and again
as time goes on. Silence is no record, so no operator could answer to it.

In: `readings`, a number, with the sensor's name as key.
Out: `alerts`, text, with the sensor's name as key: once when a sensor has been silent for two seconds, and once when it
is back.

In one terminal, run the application until Ctrl-C:

    $ headrace dev examples/silent_sensors.py

In another one, write a reading of each sensor, wait for two seconds or more, and look at the alerts (`cut` leaves
topic, partition, offset and time out):

    $ headrace topics write readings --app examples/silent_sensors.py <<'END'
    {"key": "cellar", "value": 12.5}
    {"key": "roof", "value": 21.0}
    END
    wrote 2 records to readings
    $ headrace topics read alerts --app examples/silent_sensors.py | cut -d, -f5,6
    "key":"cellar","value":"silent since it said 12.5"
    "key":"roof","value":"silent since it said 21.0"

Stop the application and start it again: it still knows the sensors, and sends no second alert. Each that speaks again
is reported as back.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import headrace as hr
from headrace import stores

SILENT_AFTER_MS = 2_000


@dataclass(frozen=True)
class LastReading:
    """The last that a sensor said, when (epoch ms), and whether an alert has gone out since."""

    value: float
    time_ms: int
    is_alerted: bool = False


READINGS = hr.Topic("readings", value=float)
ALERTS = hr.Topic("alerts", value=str)
LAST = stores.key_value("last-readings", key=str, value=LastReading)


class Watch(hr.Processor[str, float, str, str]):
    """Remembers readings and sends alerts. There is one for each partition, with the sensors of that partition."""

    stores = (LAST,)

    def init(self) -> None:
        """Get the store, which has what it had before the last stop, and ask to be called twice a second."""
        self.last = self.context.store(LAST)
        # By the clock on the wall: stream time stands still while all sensors are silent.
        self.context.schedule("500ms", self.look, on="wall")

    def process(self, record: hr.Record[str, float]) -> Iterator[hr.Record[str, str]]:
        """Remember a reading."""
        known = self.last.get(record.key)
        if known is not None and known.is_alerted:
            yield record.with_value(f"back with {record.value}")
        self.last.put(record.key, LastReading(record.value, record.timestamp))

    def look(self, now_ms: int) -> None:
        """Send an alert for each sensor that has been silent for too long, once."""
        for sensor, reading in self.last.all():
            if not reading.is_alerted and now_ms - reading.time_ms >= SILENT_AFTER_MS:
                self.context.forward(hr.Record(sensor, f"silent since it said {reading.value}", now_ms))
                self.last.put(sensor, replace(reading, is_alerted=True))


builder = hr.StreamsBuilder()
builder.stream(READINGS).process(Watch).to(ALERTS)
topology = builder.build()

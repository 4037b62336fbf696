"""Running statistics: count, mean, lowest and highest value of each sensor.

Shows: `aggregate`, which folds records into a value of your own, here a dataclass.

In: `measurements`, a number, with the sensor's name as key.
Out: `statistics`, a `Statistics` as JSON, with the sensor's name as key.

In one terminal, run the application until Ctrl-C:

    $ headrace dev examples/running_statistics.py

In another one, write numbers and look at the results (`cut` leaves topic, partition, offset and time out):

    $ headrace topics write measurements --app examples/running_statistics.py <<'END'
    {"key": "roof", "value": 20.0}
    {"key": "cellar", "value": 12.5}
    {"key": "roof", "value": 23.0}
    {"key": "roof", "value": 17.0}
    END
    wrote 4 records to measurements
    $ headrace topics read statistics --app examples/running_statistics.py | cut -d, -f5-9
    "key":"cellar","value":{"count":1,"mean":12.5,"lowest":12.5,"highest":12.5}
    "key":"roof","value":{"count":3,"mean":20.0,"lowest":17.0,"highest":23.0}
"""

import math
from dataclasses import dataclass

import headrace as hr
from headrace import stores


@dataclass(frozen=True)
class Statistics:
    """What is known of a sensor's values. Its defaults are where a new sensor begins."""

    count: int = 0
    mean: float = 0.0
    lowest: float = math.inf
    highest: float = -math.inf


MEASUREMENTS = hr.Topic("measurements", value=float)
STATISTICS = hr.Topic("statistics", value=Statistics)
BY_SENSOR = stores.key_value("statistics-by-sensor", key=str, value=Statistics)


def add(sensor: str, value: float, so_far: Statistics) -> Statistics:
    """Return the statistics with one value more. A new object: what is in the store is not to be changed in place."""
    count = so_far.count + 1
    return Statistics(
        count=count,
        mean=so_far.mean + (value - so_far.mean) / count,
        lowest=min(so_far.lowest, value),
        highest=max(so_far.highest, value),
    )


builder = hr.StreamsBuilder()
(
    builder.stream(MEASUREMENTS)
    .group_by_key()
    .aggregate(Statistics, add, store=BY_SENSOR)  # Statistics() is the first aggregate of each key
    .to_stream()
    .to(STATISTICS)
)
topology = builder.build()

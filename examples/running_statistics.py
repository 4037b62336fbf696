"""Running statistics: count, mean, lowest and highest value of each sensor.

Shows: ready-made aggregations, several of which make one value of your own, here a dataclass.

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

from dataclasses import dataclass

import headrace as hr
from headrace import agg, stores


@dataclass(frozen=True)
class Statistics:
    """What is known of a sensor's values."""

    count: int
    mean: float
    lowest: float
    highest: float


MEASUREMENTS = hr.Topic("measurements", value=float)
STATISTICS = hr.Topic("statistics", value=Statistics)
BY_SENSOR = stores.key_value("statistics-by-sensor", key=str, value=Statistics)

builder = hr.StreamsBuilder()
(
    builder.stream(MEASUREMENTS)
    .group_by_key()
    .aggregate(
        # Each part is given the value; `float` makes a number of it, which it is already.
        agg.into(
            Statistics, count=agg.count(), mean=agg.mean(float), lowest=agg.min(float), highest=agg.max(float)
        ),
        store=BY_SENSOR,
    )
    .to_stream()
    .to(STATISTICS)
)
topology = builder.build()

"""Late records: counts departures by the hour in the test driver, and says how many came too late for a grace period.

`python -m headrace.demo.late 6h` prints one JSON line. One partition, so that the order is that of the year.
"""

import json
import sys

import headrace as hr
from headrace import testing
from headrace.demo.data import data_directory, read_flights
from headrace.demo.declarations import FLIGHTS

__all__ = ["count_by_hour"]

_YEAR = hr.Topic("flights", value=FLIGHTS.value, partitions=1)
_COUNTS = hr.Topic("departures-by-hour", key=hr.time_windowed(str, "1h"), value=int, partitions=1)


def _build(grace: str) -> hr.Topology:
    builder = hr.StreamsBuilder()
    (
        builder.stream(_YEAR)
        .select_key(lambda tailnum, flight: flight.origin, key=str)
        .group_by_key()
        .windowed_by(hr.TimeWindows("1h", grace=grace))
        .count()
        .to_stream()
        .to(_COUNTS)
    )
    return builder.build()


def count_by_hour(grace: str) -> dict[str, int]:
    """Return how many flights were counted, how many dropped as late, and how many windows there are.

    The driver commits each record, so every record that is counted is one update of its window.
    """
    with testing.TopologyTestDriver(_build(grace), statestore_cache_max_bytes=0) as driver:
        flights = driver.input(_YEAR)
        for tailnum, flight, scheduled in read_flights(data_directory()):
            if tailnum is not None:
                flights.pipe(tailnum, flight, scheduled)
        updates = driver.output(_COUNTS).read_all()
        windows = {(record.key.key, record.key.window.start) for record in updates}
        return {"counted": len(updates), "dropped": driver.dropped, "windows": len(windows)}


if __name__ == "__main__":
    print(json.dumps(count_by_hour(sys.argv[1])))

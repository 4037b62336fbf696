"""One instance of the application of `instances.py`: counts by key, and writes who has counted.

`python -m benchmarks.member NAME INPUT OUTPUT property=value...` runs until SIGTERM, which lets it commit and leave.
`Member.java` is the same in Kafka Streams.
"""

import sys

import headrace as hr
from headrace import stores
from headrace.streams.config import Config


def main() -> None:
    """Run it."""
    name, source, target, *properties = sys.argv[1:]
    builder = hr.StreamsBuilder()
    counts = (
        builder.stream(hr.Topic(source, value=str))
        .group_by_key()
        .count(store=stores.key_value("counts", key=str, value=int, caching=False))
    )
    counts.to_stream().map_values(lambda count: name, value=str).to(hr.Topic(target, value=str))
    config = Config(properties=dict(each.split("=", 1) for each in properties))
    hr.Streams(builder.build(), config).run()


if __name__ == "__main__":
    main()

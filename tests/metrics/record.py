"""Records what metrics Kafka Streams has: `python -m tests.metrics.record` writes kafka_streams.txt (JDK 17, Maven)."""

import subprocess
from pathlib import Path

from headrace.testing import LocalKafka

HERE = Path(__file__).parent


def main() -> None:
    lines: set[str] = set()
    with LocalKafka() as kafka:
        for topic in ("orders", "users", "shops", "prices", "clicks", "results"):
            kafka.create_topic(topic)
        for protocol in ("classic", "streams"):
            listed = subprocess.run(
                [HERE / "run", kafka.bootstrap_servers, protocol],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            )
            lines |= set(listed.stdout.splitlines())
    (HERE / "kafka_streams.txt").write_text("\n".join(sorted(lines)) + "\n")


if __name__ == "__main__":
    main()

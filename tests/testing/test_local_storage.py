"""The storage of local brokers, where a template of it is there: no Java is started."""

from pathlib import Path

from headrace.testing.local_kafka.node import Node
from headrace.testing.local_kafka.storage import format_storage

_META = "version=1\nnode.id=0\ndirectory.id=AAAA\ncluster.id=BBBB\n"


def _formatted(folder: Path, template: Path) -> list[dict[str, str]]:
    """Format two brokers; returns what each knows of itself."""
    nodes = [Node(number, folder / f"broker-{number}", ports=(1, 2, 3)) for number in (0, 1)]
    format_storage(["/no/such/java"], nodes, [], template)
    assert [(node.data / "bootstrap.checkpoint").read_text() for node in nodes] == ["records"] * 2
    lines = [(node.data / "meta.properties").read_text().splitlines() for node in nodes]
    return [dict(line.split("=") for line in each) for each in lines]


def test_brokers_of_a_template_are_one_cluster_and_another_one_each_time(tmp_path: Path) -> None:
    template = tmp_path / "storage"
    template.mkdir()
    (template / "meta.properties").write_text(_META)
    (template / "bootstrap.checkpoint").write_text("records")
    first, second = _formatted(tmp_path / "one", template)
    (other, _) = _formatted(tmp_path / "two", template)
    assert [first["node.id"], second["node.id"]] == ["0", "1"]
    assert first["cluster.id"] == second["cluster.id"]
    identities = [each[name] for each in (first, other) for name in ("cluster.id", "directory.id")]
    assert len({*identities, second["directory.id"], "AAAA", "BBBB"}) == 7
    assert (template / "meta.properties").read_text() == _META

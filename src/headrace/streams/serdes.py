"""Tell the serdes of a topology the properties of the application, before anything is serialised."""

from collections.abc import Mapping

from headrace.topology.nodes import ProcessorNode
from headrace.topology.topology import Topology

__all__ = ["configure_serdes"]


def configure_serdes(topology: Topology, properties: Mapping[str, object]) -> None:
    """Configure all serdes of sources, sinks and stores; operators have no others.

    Raises:
        ConfigError: a serde needs a property that nobody has set.
    """
    nodes = [node for node in topology.nodes.values() if not isinstance(node, ProcessorNode)]
    for each in (*nodes, *topology.stores.values()):
        each.key.configure(properties)
        each.value.configure(properties)

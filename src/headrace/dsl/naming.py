"""The counter behind generated names. Equal programs get Kafka Streams' own names, or state could not be taken over.

A name that the user gives uses up an index nearly everywhere, as in Java: naming a node must not rename its successors.
"""

from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.topology.names import check_name

__all__ = ["Names"]


class Names:
    """Gives names.

    Attributes:
        generated_stores, generated_topics: names of stores and repartition topics that no user chose, in order.
    """

    def __init__(self) -> None:
        self._index = 0
        self.generated_stores: list[str] = []
        self.generated_topics: list[str] = []

    @property
    def next_index(self) -> int:
        """The index that the next name gets."""
        return self._index

    def generate(self, prefix: str) -> str:
        """Return a prefix and the next index."""
        name = f"{prefix}{self._index:010d}"
        self._index += 1
        return name

    def node(self, given: str | None, prefix: str, where: Location) -> str:
        """Return the given name, or a generated one; both use up an index."""
        generated = self.generate(prefix)
        return generated if given is None else check_name(given, "node", where)

    def suffixed(self, given: str | None, suffix: str, prefix: str, where: Location) -> str:
        """Return the given name with a suffix, or a generated one; both use up an index."""
        return self.node(None if given is None else given + suffix, prefix, where)

    def free_node(self, given: str | None, prefix: str, where: Location) -> str:
        """Return the given name without using an index up, or a generated one."""
        return self.generate(prefix) if given is None else check_name(given, "node", where)

    def store(self, prefix: str) -> str:
        """Return a generated name of a store."""
        name = self.generate(f"{prefix}STATE-STORE-")
        self.generated_stores.append(name)
        return name

    def check_all_given(self, stores: set[str], topics: set[str]) -> None:
        """Refuse generated names among these stores and repartition topics.

        Raises:
            TopologyError: it lists them.
        """
        generated = [name for name in self.generated_stores if name in stores]
        held_back = [name for name in generated if name.startswith("KTABLE-SUPPRESS-")]
        unnamed_stores = [name for name in generated if name not in held_back]
        unnamed_topics = [name for name in dict.fromkeys(self.generated_topics) if name in topics]
        if generated or unnamed_topics:
            lines = ["explicit_names=True, but these internal resources have generated names:"]
            if unnamed_stores:
                lines.append(
                    f"  stores and their changelogs: {', '.join(unnamed_stores)} (name them with store=)"
                )
            if held_back:
                lines.append(
                    f"  what suppress() holds back, and its changelogs: {', '.join(held_back)} (name them with name= "
                    "of until_window_closes() or until_time_limit())"
                )
            if unnamed_topics:
                lines.append(
                    f"  repartition topics: {', '.join(unnamed_topics)} (name them with name= or store=)"
                )
            raise TopologyError("\n".join(lines))

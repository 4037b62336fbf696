"""Where user code finds topics: the handles live beside the topology, which needs them too."""

from headrace.topology.topics import Pattern, Topic, Writable

__all__ = ["Pattern", "Topic", "Writable"]

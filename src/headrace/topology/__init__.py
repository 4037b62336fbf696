"""Nodes, edges and sub-topologies: what the DSL builds and the engine runs."""

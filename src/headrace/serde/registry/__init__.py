"""Serdes whose schemas are kept by a schema registry, in Confluent's format. `headrace.registry` is what users see."""

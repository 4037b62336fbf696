"""The facade: a topology, a configuration, and the life of an application around one worker."""

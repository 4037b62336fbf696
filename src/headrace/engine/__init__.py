"""The engine: runs tasks over a log, commits them, restores them. Knows no operator and no Kafka client."""

"""Real Apache Kafka behind the log port: the only room that knows a Kafka client."""

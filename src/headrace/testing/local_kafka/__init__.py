"""A real Apache Kafka beside a test, started and stopped by it."""

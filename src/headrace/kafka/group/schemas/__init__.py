"""Messages of streams groups (KIP-1071) as kafka-python reads schemas. Facts from those of Kafka 4.4."""

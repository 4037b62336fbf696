"""The benchmarks: Kafka Streams' own workloads on the embedded log, each measured in a process of its own."""

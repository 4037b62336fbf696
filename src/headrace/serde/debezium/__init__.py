"""Changes of databases as Debezium writes them: envelopes and keys, in JSON with and without schemas."""

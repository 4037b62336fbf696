"""Logins and TLS, from Kafka's security properties."""

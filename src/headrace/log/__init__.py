"""The log: topics as the engine sees them. `port` says what a log is; `memory` and `embedded` are two of them."""

"""What every room may use: ids, records, columns, durations, errors, option declarations."""

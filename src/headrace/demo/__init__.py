"""A year of flights: the demonstration that `headrace demo` runs. Start reading at `flights`."""

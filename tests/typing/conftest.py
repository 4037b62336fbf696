"""The programs here are read by type checkers and never imported: one of them is meant to be wrong."""

collect_ignore = ["app.py", "bad.py", "flights.py", "shop.py"]

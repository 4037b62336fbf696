"""Runs the command line as `python -m headrace.cli`."""

from headrace.cli.entry import main

if __name__ == "__main__":
    main()

"""Read-only views of stores: over the tasks of a running application, and over changelog topics."""

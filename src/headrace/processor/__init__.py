"""What user code implements or is handed: processors, contexts, failure handlers."""

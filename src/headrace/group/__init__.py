"""Who runs which task: decisions about a group of instances, without IO."""

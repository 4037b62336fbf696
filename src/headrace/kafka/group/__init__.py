"""Members of groups on a cluster: what is said to coordinators, and the threads that say it."""

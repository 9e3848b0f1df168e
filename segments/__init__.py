"""What is true now: the state folded from the log, rows in memory, segment files, indexes, search."""

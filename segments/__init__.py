"""What is true now: the folded state, rows in memory, segment files, indexes, search."""

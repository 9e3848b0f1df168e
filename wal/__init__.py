"""What happened: the log, its entries, its events, and the errors of every layer."""

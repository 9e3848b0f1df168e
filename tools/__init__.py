"""Looking and breaking: the command line, the demo, the benchmark."""

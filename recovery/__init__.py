"""From a folder to a store: open, replay, verify, rebuild."""

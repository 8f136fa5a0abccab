"""Delete what is older than its account keeps it."""

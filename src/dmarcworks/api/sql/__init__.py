"""The SQL API: strangers' SQL checked and rewritten, run within bounds and logged."""

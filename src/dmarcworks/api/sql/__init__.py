"""The SQL API: users' SQL is checked and rewritten, run within bounds and logged."""

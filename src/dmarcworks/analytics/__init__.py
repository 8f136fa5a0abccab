"""The store of report rows, and the queries that the product runs on it."""

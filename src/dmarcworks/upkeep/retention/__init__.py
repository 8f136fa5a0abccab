"""Delete data past its account's retention period."""

"""The queries that the product runs over its report rows, one method each."""

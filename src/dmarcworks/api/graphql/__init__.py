"""GraphQL over the account's reports, in the shape of the original's analytics API. `router.py` is the entry point."""

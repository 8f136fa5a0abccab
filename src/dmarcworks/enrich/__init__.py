"""What a report does not say itself: who stands behind an address, and whether the report mail is genuine."""

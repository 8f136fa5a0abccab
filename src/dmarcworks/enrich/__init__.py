"""What a report does not state itself: who owns an address, and whether the report mail is genuine."""

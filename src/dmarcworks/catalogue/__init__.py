"""What the system knows besides the figures: accounts, domains and tokens; what arrived; what could not be read."""

"""The outside world behind five contracts: one file per technology."""

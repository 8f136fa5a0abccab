"""Upkeep of the stored data: verify and repair, replay, backup and restore, retention. See docs/operating.md."""

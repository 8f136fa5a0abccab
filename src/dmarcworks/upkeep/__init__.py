"""Keeping it whole: verify and repair, replay, backup and restore, retention. See docs/operating.md."""

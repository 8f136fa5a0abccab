"""Rebuild analytics from the archived reports, and the catalogue from the objects."""

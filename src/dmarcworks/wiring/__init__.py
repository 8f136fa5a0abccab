"""Composition root: the only package that knows all others and puts them together."""

"""Tests of the sender catalogue, of identification and of classification."""

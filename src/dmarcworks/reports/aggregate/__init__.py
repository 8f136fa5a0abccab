"""Aggregate reports (RFC 7489 Appendix C, RFC 9990): XML to values, by a fast path or the general reader."""

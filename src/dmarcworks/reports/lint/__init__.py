"""Each deviation of a report from RFC 7489, RFC 9990 or RFC 8460."""

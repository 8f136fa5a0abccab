"""Each way in which a report departs from RFC 7489, RFC 9990 or RFC 8460."""

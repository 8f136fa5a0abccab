"""DNS records about mail: look up, parse, check, explain. The parsers are pure; the resolver is an argument."""

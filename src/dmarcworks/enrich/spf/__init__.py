"""SPF (RFC 7208): records parsed, macros expanded, `check_host()` evaluated. Pure: the caller runs the queries."""

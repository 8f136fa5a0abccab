"""The values of settings as they are shown: no key and no password reaches a screen or a log."""

from __future__ import annotations

from urllib.parse import urlsplit

__all__ = ["SECRET", "shown_value"]

# The address of an IP data file may contain a token.
SECRET = ("dkim_key", "ip_data_url")


def shown_value(name: str, value: str) -> str:
    """A key and a URL's password never reach a screen or a log."""
    if name in SECRET and value:
        return "***"
    if name.endswith("_url"):
        try:
            parts = urlsplit(value)
            hidden = parts.password
        except ValueError:  # not a URL: whatever it is, it may hold a password
            return "***" if "@" in value else value
        if hidden:
            return value.replace(f":{hidden}@", ":***@")
        if "@" in value and parts.netloc and not parts.username:  # a password with a / in it ends the host's part early
            return "***"
    return value

"""What is checked for an SMTP session: the address, and the domain of MAIL FROM or HELO. Pure."""

from __future__ import annotations

import re

from dmarcworks.enrich.senders.names import ip_address
from dmarcworks.enrich.spf.model import SpfClient
from dmarcworks.reports.a_labels import a_labels

__all__ = ["is_query_name", "spf_client"]

_LOCAL, _NAME = 256, 255
_DOMAIN = re.compile(r"[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})+")
# A resolver would read a backslash as the start of an escape, so a name with one is not queried.
_QUERY_NAME = re.compile(r"[ -\[\]-~]+")


def spf_client(ip: str, mail_from: str, helo: str, receiver: str = "unknown", unix_time: int = 0) -> SpfClient | None:
    """Who sends, from what an SMTP session states; None for text that is no IP address.

    The domain is that of MAIL FROM, of HELO for the null sender, and "" for what is no domain name with two labels.
    """
    address = ip_address(ip)
    if address is None:
        return None
    local, at, domain = mail_from.strip().removeprefix("<").removesuffix(">").rpartition("@")
    domain = domain or ("" if at else helo)
    return SpfClient(
        address, _domain(domain), local[:_LOCAL] or "postmaster", helo[:_NAME], receiver[:_NAME] or "unknown", unix_time
    )


def _domain(text: str) -> str:
    name = (a_labels(text[: _NAME * 4]) or "").removesuffix(".")
    return name if len(name) < 254 and _DOMAIN.fullmatch(name) else ""


def is_query_name(name: str) -> bool:
    """Whether DNS can have the name: labels of 1 to 63 characters, 253 in all."""
    if len(name) > 253 or not _QUERY_NAME.fullmatch(name):
        return False
    return all(0 < len(label) < 64 for label in name.split("."))

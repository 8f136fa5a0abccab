"""Addresses within the dashboard. Pure."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

__all__ = ["inside", "sender_path", "url"]


def url(path: str, **query: Any) -> str:
    """A path with a query; empty values are left out."""
    kept = {name: value for name, value in query.items() if value not in (None, "")}
    return path + (f"?{urlencode(kept)}" if kept else "")


def inside(target: str) -> str:
    """The target when it is a path of this site, else the front page: a login never leads elsewhere."""
    plain = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if plain else "/"


def sender_path(domain: str, sender_id: str) -> str:
    """The address of a sender's page."""
    return f"/domains/{domain}/senders/{quote(sender_id, safe=':~')}"

"""What a module of pages says of its routes: path, methods, the page, and whether it is open to all."""

from __future__ import annotations

from collections.abc import Sequence

from dmarcworks.dashboard.web import Handler

Route = tuple[str, Sequence[str], Handler, bool]
GET: Sequence[str] = ("GET",)
POST: Sequence[str] = ("POST",)

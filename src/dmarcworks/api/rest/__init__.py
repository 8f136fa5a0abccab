"""REST under /api/v1: one module per subject; what is common is in `deps`, `route`, `errors`, `paging` and `tags`.

`api` makes the application that is mounted at /api/v1; `health` has the routes for monitoring, which are not below it.
"""

from __future__ import annotations

from dmarcworks.api.rest.openapi import PREFIX, api

__all__ = ["PREFIX", "api"]

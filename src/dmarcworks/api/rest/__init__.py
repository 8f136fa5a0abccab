"""REST under /api/v1: one module per subject; what is common stands in `deps`, `route`, `errors`, `paging` and `tags`.

`router` is the small surface for machines that watch; `api` makes the application that is mounted at /api/v1.
"""

from __future__ import annotations

from dmarcworks.api.rest.deps import RestDeps
from dmarcworks.api.rest.health import Check, router
from dmarcworks.api.rest.openapi import PREFIX, api

__all__ = ["PREFIX", "Check", "RestDeps", "api", "router"]

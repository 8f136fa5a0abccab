"""Pages of a list under /client/v4: `page` and `per_page` in, `result_info` out, as the original's lists have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import Depends, Query
from fastapi.responses import JSONResponse

from dmarcworks.api.compat.envelope import succeeded

__all__ = ["Direction", "Flag", "PageRequest", "Paging", "flag"]

# The original's default; its maximum is 50 for most lists, ours is higher, and no client depends on it.
PER_PAGE = 20
LARGEST = 1000

Flag = Literal["true", "false"]
Direction = Literal["asc", "desc"]


@dataclass(frozen=True, slots=True)
class PageRequest:
    """The page that a client requests, from 1."""

    page: int
    per_page: int

    def answer(self, items: Sequence[Any]) -> JSONResponse:
        """This page of all the items; a page after the last is empty."""
        start = (self.page - 1) * self.per_page
        part = list(items[start : start + self.per_page])
        info = {
            "count": len(part),
            "page": self.page,
            "per_page": self.per_page,
            "total_count": len(items),
            "total_pages": -(-len(items) // self.per_page),
        }
        return succeeded(part, info=info)


def _page_request(
    page: Annotated[int, Query(ge=1, le=1_000_000_000)] = 1,
    per_page: Annotated[int, Query(ge=1, le=LARGEST)] = PER_PAGE,
) -> PageRequest:
    return PageRequest(page, per_page)


Paging = Annotated[PageRequest, Depends(_page_request)]


def flag(text: Flag | None) -> bool | None:
    """The value of a filter that is true or false; None when it is not given."""
    return None if text is None else text == "true"

"""A page as PDF by WeasyPrint, which the extra `dmarcworks[pdf]` installs; it needs the system library Pango.

The page is ours and needs nothing else: every address in it is refused, so that no text can make a request.
"""

from __future__ import annotations

import asyncio
import importlib.util
from typing import Any

from dmarcworks.errors import DmarcworksError

__all__ = ["PdfUnavailableError", "is_installed", "pdf_of"]

_INSTALL = (
    "PDF needs WeasyPrint and the system library Pango: install the Python package weasyprint (the extra"
    " dmarcworks[pdf]), and Pango with the system's package manager (Debian and Ubuntu: libpango-1.0-0"
    " libpangoft2-1.0-0 libharfbuzz-subset0); or choose HTML"
)
# One at a time: a long document takes seconds of a processor and much memory.
_ONE = asyncio.Semaphore(1)


class PdfUnavailableError(DmarcworksError):
    """What makes PDF is not installed; the text names what to install."""


def is_installed() -> bool:
    """Whether the Python package is there; the system library is found missing only when it is used."""
    return importlib.util.find_spec("weasyprint") is not None


async def pdf_of(html: str) -> bytes:
    """The page as PDF; `PdfUnavailableError` when something is not installed."""
    async with _ONE:
        return await asyncio.to_thread(_pdf, html)


def _pdf(html: str) -> bytes:
    try:
        # OSError: the package is there, Pango is not.
        from weasyprint import HTML
    except (ImportError, OSError) as error:
        raise PdfUnavailableError(_INSTALL) from error
    made: bytes = HTML(string=html, url_fetcher=_refused).write_pdf()
    return made


def _refused(url: str, *args: Any, **named: Any) -> Any:
    raise ValueError(f"a document loads nothing: {url[:100]}")

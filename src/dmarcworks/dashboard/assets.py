"""Static files: our own few and the npm packages' copies, each under an address that changes with its content.

A file is known by its place in the folder listing, never by joining a request's path, so no path leads outside.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from dmarcworks.dashboard.compression import accepts_gzip

FOLDER = Path(__file__).parent / "static"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file's bytes, also compressed, with its type and a version from its content."""

    body: bytes
    packed: bytes
    type: str
    version: str


class Assets:
    """The static folder, read once."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._assets = {
            path.relative_to(folder).as_posix(): _read(path)
            for path in sorted(folder.rglob("*"))
            if path.suffix in _TYPES and path.is_file()
        }

    def url(self, name: str) -> str:
        """The file's address with its version; without one when the file is not there."""
        asset = self._assets.get(name)
        return f"/static/{name}" + (f"?v={asset.version}" if asset else "")

    def response(self, request: Request, name: str) -> Response:
        """The file: cacheable for ever under its version, briefly without."""
        asset = self._assets.get(name)
        if asset is None:
            return Response("there is no such file\n", 404, media_type="text/plain")
        current = request.query_params.get("v") == asset.version
        headers = {
            "Cache-Control": "public, max-age=31536000, immutable" if current else "no-cache",
            "ETag": f'"{asset.version}"',
            "X-Content-Type-Options": "nosniff",
            "Vary": "Accept-Encoding",
        }
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        if accepts_gzip(request.headers.get("accept-encoding", "")):
            headers["Content-Encoding"] = "gzip"
            return Response(asset.packed, headers=headers, media_type=asset.type)
        return Response(asset.body, headers=headers, media_type=asset.type)


def _read(path: Path) -> Asset:
    body = path.read_bytes()
    version = hashlib.sha256(body).hexdigest()[:12]
    return Asset(body, gzip.compress(body, 6, mtime=0), _TYPES[path.suffix], version)

"""A client of the dashboard that chooses its own address on loopback, its `Host`, and any header."""

from __future__ import annotations

import http.client
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True)
class Answer:
    """Status, headers (names in lower case) and text."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def cookie(self) -> str:
        """The session cookie that it sets, as a `Cookie` header has it."""
        return self.headers["set-cookie"].partition(";")[0]


def call(
    url: str,
    method: str,
    path: str,
    body: bytes | str | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    source: str = "127.0.0.1",
) -> Answer:
    """One request from a loopback address of its own."""
    parts = urlsplit(url)
    assert parts.hostname
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=600, source_address=(source, 0))
    try:
        connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        named = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, named, answer.read().decode())
    finally:
        connection.close()


def log_in(
    url: str, name: str, password: str, *, source: str = "127.0.0.1", headers: Mapping[str, str] | None = None
) -> Answer:
    """A try with a password."""
    form = urlencode({"email": name, "password": password})
    return call(url, "POST", "/login", form, {**FORM, **(headers or {})}, source=source)


def set_password(url: str, link: str, password: str, *, source: str = "127.0.0.1") -> str:
    """Redeem a one-time link and choose a password; the cookie of the session that begins."""
    path = urlsplit(link).path
    cookie = call(url, "POST", path, "", FORM, source=source).cookie
    form = urlencode({"csrf": csrf(url, cookie, source), "password": password, "again": password})
    return call(url, "POST", "/password", form, {**FORM, "Cookie": cookie}, source=source).cookie


def csrf(url: str, cookie: str, source: str = "127.0.0.1") -> str:
    """The token that the session's forms carry."""
    page = call(url, "GET", "/password", None, {"Cookie": cookie}, source=source).text
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', page)
    assert found, page
    return found[1]

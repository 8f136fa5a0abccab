"""Pages are compressed for who accepts it, and a compressed page gives no secret away by its length."""

from __future__ import annotations

import re

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmarcworks.dashboard.compression import accepts_gzip
from dmarcworks.dashboard.form_token import form_token, is_form_token


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", False),
        ("gzip", True),
        ("GZip, deflate, br", True),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000, *", False),
        ("gzip; q = 0.5", True),
        ("*", True),
        ("*;q=0", False),
        ("identity", False),
        ("gzip;q=much", False),
        ("gzip;q=nan", False),
        ("notgzip", False),
        ("x-gzip", True),
    ],
)
def test_which_clients_accept_gzip(header: str, expected: bool) -> None:
    """RFC 9110 §12.5.3."""
    assert accepts_gzip(header) is expected


@given(st.text(max_size=400))
def test_no_header_breaks_the_choice(header: str) -> None:
    assert accepts_gzip(header) in (True, False)


def test_a_form_token_differs_each_time_and_belongs_to_its_session() -> None:
    tokens = {form_token("one") for _ in range(50)}
    assert len(tokens) == 50
    # No part of it stays the same, so nothing can be learnt from how well it compresses.
    assert len({token[:64] for token in tokens}) == len({token[64:] for token in tokens}) == 50
    assert all(is_form_token(token, "one") for token in tokens)
    assert not any(is_form_token(token, "two") for token in tokens)
    assert form_token("") == ""


@given(st.text(max_size=140))
def test_nothing_else_is_a_form_token(text: str) -> None:
    assert not is_form_token(text, "one")


@pytest.mark.asyncio(loop_scope="package")
async def test_a_page_is_compressed_for_who_accepts_it(client: httpx.AsyncClient) -> None:
    """The same page, smaller; caches are told that there are two of it."""
    plain = await client.get("/domains/example.com/setup", headers={"Accept-Encoding": "identity"})
    packed = await client.get("/domains/example.com/setup", headers={"Accept-Encoding": "gzip, br"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert plain.headers["vary"] == packed.headers["vary"] == "Accept-Encoding"
    assert plain.headers["content-type"] == packed.headers["content-type"] == "text/html; charset=utf-8"
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    hidden = re.compile(r'name="csrf" value="[0-9a-f]+"')
    assert hidden.sub("", packed.text) == hidden.sub("", plain.text)


@pytest.mark.asyncio(loop_scope="package")
async def test_errors_are_compressed_and_short_answers_are_not(client: httpx.AsyncClient) -> None:
    missing = await client.get("/nowhere", headers={"Accept-Encoding": "gzip"})
    assert (missing.status_code, missing.headers["content-encoding"]) == (404, "gzip")
    assert "There is no such page" in missing.text
    redirect = await client.get("/domains/example.com/", headers={"Accept-Encoding": "gzip"})
    assert (redirect.status_code, "content-encoding" in redirect.headers) == (307, False)
    head = await client.head("/problems", headers={"Accept-Encoding": "gzip"})
    assert (head.status_code, head.headers["content-encoding"]) == (200, "gzip")

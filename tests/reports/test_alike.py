"""The hash without what transport may change: stored with each report, so it must never become another one."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from dmarcworks.reports.alike import alike


@given(st.lists(st.sampled_from([b">", b" ", b"\t", b"\r", b"\n", b"a"]), max_size=12).map(b"".join))
def test_the_hash_is_of_the_plainest_form(data: bytes) -> None:
    """Whatever white space the document has, and wherever."""
    if b"\r" not in data and b" \n" not in data and b"\t\n" not in data:
        usual = data.endswith(b">\n") and not data[0:1].isspace()
        plain = data if usual else data.strip() + b"\n"
    else:
        plain = b"\n".join([line.rstrip() for line in data.strip().splitlines()]) + b"\n"
    assert alike(data, hashlib.sha256(data).hexdigest()) == hashlib.sha256(plain).hexdigest()

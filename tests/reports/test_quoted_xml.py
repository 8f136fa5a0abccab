"""XML that is still quoted-printable after its transfer encoding was undone."""

from __future__ import annotations

import pytest

from dmarcworks.reports.transfer import unquoted


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"<a=\n", b"<a"),
        (b"<=\r\n", b"<"),
        (b"<feed=\nback>", b"<feedback>"),
        (b"<feedback>\n</feedback>", b"<feedback>\n</feedback>"),
        (b"no xml=\n", b"no xml=\n"),
        (b"<", b"<"),
        (b"", b""),
    ],
)
def test_soft_line_breaks_are_joined_only_in_xml(data: bytes, expected: bytes) -> None:
    """A single line that ends with a soft break is a beginning of lines like any other."""
    assert unquoted(data) == expected

"""A certificate's end is known: it is told in time, in the log and as a figure, and again when the files change."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from dmarcworks.errors import SettingsError
from dmarcworks.routing.smtp import Certificate
from tests.support.certificates import Files

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
AUTHORITY = trustme.CA()


class Clock:
    """A clock that stands until it is set."""

    now = NOW

    def __call__(self) -> float:
        return self.now.timestamp()


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture
def said() -> Iterator[list[Any]]:
    """What is logged."""
    with capture_logs() as lines:
        yield lines


def warnings(said: list[Any]) -> list[tuple[str, str, float]]:
    return [(line["event"], line["until"], line["days"]) for line in said if line["log_level"] == "warning"]


@pytest.mark.parametrize(
    ("left", "state"),
    [
        (22 * DAY, "ok"),
        (21 * DAY, "ok"),
        (21 * DAY - timedelta(seconds=1), "ends soon"),
        (timedelta(seconds=1), "ends soon"),
        (timedelta(0), "expired"),
        (-3 * DAY, "expired"),
    ],
)
def test_the_end_is_told_when_it_is_loaded(files: Files, said: list[Any], left: timedelta, state: str) -> None:
    """With three weeks or more nothing is said; with less, and after the end, a line that names file and time."""
    files.renew(NOW + left)
    shown = Certificate(files.certificate, files.key, Clock())
    days = round(left / DAY, 1)
    ends = (NOW + left).isoformat()
    assert warnings(said) == ([] if state == "ok" else [(f"certificate {state}", ends, days)])
    assert all(line["file"] == str(files.certificate) for line in said)
    assert shown.left == left.total_seconds()
    assert shown.status() == {"state": state, "until": ends, "days": days}


def test_an_end_that_comes_near_is_told_once_a_day(files: Files, said: list[Any]) -> None:
    """A server that runs for months says it too, and not at every handshake; a renewed file ends it."""
    clock = Clock()
    files.renew(NOW + 22 * DAY)
    shown = Certificate(files.certificate, files.key, clock)
    for hours in (0, 25, 26, 27, 50):
        clock.now = NOW + timedelta(hours=hours)
        assert shown.context is shown.context
    ends = (NOW + 22 * DAY).isoformat()
    assert warnings(said) == [("certificate ends soon", ends, 21.0), ("certificate ends soon", ends, 19.9)]
    said.clear()
    files.renew(NOW + 90 * DAY)
    assert shown.left == (NOW + 90 * DAY - clock.now).total_seconds()
    assert [(line["event"], line["until"]) for line in said] == [
        ("certificate loaded", (NOW + 90 * DAY).isoformat()),
    ]
    files.renew(NOW + 10 * DAY)
    assert shown.status()["state"] == "ends soon"
    assert [name for name, _, _ in warnings(said)] == ["certificate ends soon"]


def test_the_first_certificate_of_a_file_counts(files: Files) -> None:
    """Key and chain may stand in the same file: what is told is the end of the certificate that is shown."""
    files.renew(NOW + 40 * DAY)
    chain = files.certificate.read_bytes() + AUTHORITY.cert_pem.bytes()
    files.certificate.write_bytes(files.key.read_bytes() + chain)
    shown = Certificate(files.certificate, files.key, Clock())
    assert shown.status() == {"state": "ok", "until": (NOW + 40 * DAY).isoformat(), "days": 40.0}


@given(st.binary(max_size=300) | st.integers(0, 1000))
def test_what_is_no_certificate_is_refused(content: bytes | int) -> None:
    """Any bytes in the place of one, and one that is cut off, are an error that names setting and file."""
    if isinstance(content, int):
        whole = base64.b64decode(b"".join(AUTHORITY.cert_pem.bytes().splitlines()[1:-1]))
        content = whole[: content % len(whole)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cert.pem"
        for end in (b"-----END CERTIFICATE-----\n", b""):
            path.write_bytes(b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(content) + end)
            with pytest.raises(SettingsError) as refused:
                Certificate(path, path)
            assert str(refused.value) == f"DMARCWORKS_SMTP_TLS_CERT={path}: there is no certificate in PEM form"

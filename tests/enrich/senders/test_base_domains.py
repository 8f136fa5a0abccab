"""The operator's CSV of base PTR domains: its forms, its bounds, and what strangers may have put into it."""

# ruff: noqa: E501 - a case is one line
from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmarcworks.enrich.senders import base_domains as module
from dmarcworks.enrich.senders.base_domains import NO_BASE_DOMAINS, base_domains, load_base_domains
from dmarcworks.errors import SettingsError


def test_a_shared_table_is_read() -> None:
    """A heading, quotes, comments, a byte order mark, Windows line ends, capitals, and a row without a type."""
    table = base_domains(
        b"\xef\xbb\xbfbase_reverse_dns,name,type\r\n"
        b"# a comment\r\n\r\n"
        b"Mail.Example.COM.,Example Mail,Email Provider\r\n"
        b'isp.example.net,"Example, Inc. ""ISP""",ISP\r\n'
        b"b\xc3\xbccher.example.org,B\xc3\xbccher,Beauty\r\n"
        b"tools.example.org,Tools,mailing_list\r\n"
        b"plain.example.org,Plain\r\n"
    )
    assert (table.rows, table.skipped, table.reasons) == (5, 0, ())
    assert {host: table.find(host) for host in ("a.mail.example.com", "x.y.isp.example.net", "example.org")} == {
        "a.mail.example.com": ("Example Mail", "mailbox_provider"),
        "x.y.isp.example.net": ('Example, Inc. "ISP"', "isp"),
        "example.org": None,
    }
    assert table.find("xn--bcher-kva.example.org") == ("Bücher", "other")
    assert table.find("tools.example.org") == ("Tools", "mailing_list")
    assert table.find("notplain.example.org") is None
    assert NO_BASE_DOMAINS.find("mail.example.com") is None


def test_rows_that_cannot_be_used_are_left_out_with_a_reason() -> None:
    table = base_domains(
        "\n".join(
            (
                "good.example.com,Good,SaaS",
                "com,Everything,ISP",
                "co.uk,Everything,ISP",
                "a b.example.com,Blank,ISP",
                "-,Dash,ISP",
                "x.example.com,,ISP",
                f"x.example.com,{'n' * 101},ISP",
                "x.example.com,\x1b[31mRed,ISP",
                "x.example.com,\u202egnirts,ISP",
                'x.example.com,"open,ISP',
                "x.example.com,a,b,c",
                "x.example.com",
                f"x.example.com,{'n' * 1000},ISP",
                "good.example.com,Other,SaaS",
                "good.example.com,Good,SaaS",
                "good.example.org,Late,SaaS",
            )
        ).encode()
    )
    assert (table.rows, table.skipped) == (2, 13)
    assert table.reasons == (
        "line 2: its first column is not a domain name",
        "line 3: co.uk is a public suffix, under which anybody can have a name",
        "line 4: its first column is not a domain name",
        "line 5: its first column is not a domain name",
        "line 6: its name is empty, longer than 100 characters, or not printable",
        "line 7: its name is empty, longer than 100 characters, or not printable",
        "line 8: its name is empty, longer than 100 characters, or not printable",
        "line 9: its name is empty, longer than 100 characters, or not printable",
        "line 10: its quotes are not balanced",
        "line 11: it has 4 columns instead of 3",
        "line 12: it has 1 columns instead of 3",
        "line 13: it is longer than 1,000 characters",
        "line 14: good.example.com has another name in an earlier row",
    )


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "has no usable row; each row is base domain,name,type"),
        (b"name,type\n\n#x", "has no usable row (line 1: its first column is not a domain name); each row is base domain,name,type"),
        (b"\xff\xfea\x00", "is not UTF-8; save it as CSV in UTF-8"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_table_is_an_error(tmp_path: Path, data: bytes, sentence: str) -> None:
    """The error names the file and what to do."""
    path = tmp_path / "senders.csv"
    path.write_bytes(data)
    with pytest.raises(SettingsError) as refused:
        load_base_domains(path)
    assert str(refused.value) == f"the sender file {path} {sentence}"


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        load_base_domains(tmp_path / "absent.csv")
    assert str(refused.value) == f"the sender file {tmp_path}/absent.csv cannot be read: No such file or directory"


def test_the_size_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes and rows; the bounds themselves are accepted."""
    monkeypatch.setattr(module, "FILE_BYTES", 40)
    assert base_domains(b"a.example.com,A,ISP\n".ljust(40)).rows == 1
    with pytest.raises(ValueError, match="is larger than 40 bytes; remove rows that are not needed"):
        base_domains(b"a.example.com,A,ISP\n".ljust(41))
    monkeypatch.setattr(module, "FILE_BYTES", 10_000)
    monkeypatch.setattr(module, "ROWS", 3)
    assert base_domains(b"a.example.com,A,ISP\n" * 3).rows == 1
    with pytest.raises(ValueError, match="has more than 3 rows; remove rows that are not needed"):
        base_domains(b"a.example.com,A,ISP\n" * 4)


@given(st.one_of(st.binary(max_size=500), st.text(max_size=500).map(lambda text: f"a.example.com,A,ISP\n{text}".encode("utf-8", "replace"))))  # fmt: skip
def test_any_content_is_read_or_refused(data: bytes) -> None:
    """Only ValueError is raised, and every line is a row, left out, a comment or a heading."""
    try:
        table = base_domains(data)
    except ValueError:
        return
    assert table.rows >= 1
    assert all(reason.startswith("line ") for reason in table.reasons)

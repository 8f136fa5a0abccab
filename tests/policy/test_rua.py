"""Our address in other people's records: every byte outside the rua list stays, and what was added can be removed."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmarcworks.errors import UsageError
from dmarcworks.policy.dns_records.dmarc_record import dmarc_record
from dmarcworks.policy.rua import append_rua, has_rua, remove_rua

OURS = "0123456789abcdef0123456789abcdef@reports.example.net"
U = f"mailto:{OURS}"
# Spellings as they are published, and the same record with our address.
SPELLINGS = [
    ("v=DMARC1; p=none", f"v=DMARC1; p=none; rua={U}"),
    ("v=DMARC1; p=none;", f"v=DMARC1; p=none; rua={U};"),
    ("v=DMARC1; p=none; ", f"v=DMARC1; p=none; rua={U}; "),
    ("v=DMARC1;p=none", f"v=DMARC1;p=none; rua={U}"),
    ("v=DMARC1;p=none;", f"v=DMARC1;p=none; rua={U};"),
    ("v=DMARC1", f"v=DMARC1; rua={U}"),
    ("v=DMARC1;", f"v=DMARC1; rua={U};"),
    ("v=DMARC1 ; p=none ;", f"v=DMARC1 ; p=none ; rua={U};"),
    ("v=DMARC1; p=none ", f"v=DMARC1; p=none; rua={U} "),
    ("v=DMARC1;; p=none;;", f"v=DMARC1;; p=none;; rua={U};"),
    ("V=DMARC1; P=NONE", f"V=DMARC1; P=NONE; rua={U}"),
    ("v = DMARC1; p = reject", f"v = DMARC1; p = reject; rua={U}"),
    ("v=DMARC1; p=reject; sp=none; adkim=s; aspf=s", f"v=DMARC1; p=reject; sp=none; adkim=s; aspf=s; rua={U}"),
    ("v=DMARC1; p=reject; pct=100; fo=1", f"v=DMARC1; p=reject; pct=100; fo=1; rua={U}"),
    ("v=DMARC1; p=reject; ruf=mailto:f@a.example", f"v=DMARC1; p=reject; ruf=mailto:f@a.example; rua={U}"),
    ("v=DMARC1; p=none; rua=", f"v=DMARC1; p=none; rua= {U}"),
    ("v=DMARC1; p=none; rua=;", f"v=DMARC1; p=none; rua= {U};"),
    ("v=DMARC1; rua=; p=none", f"v=DMARC1; rua= {U}; p=none"),
    ("v=DMARC1; rua= ; p=none", f"v=DMARC1; rua=  {U}; p=none"),
    ("v=DMARC1; RUA=; p=none", f"v=DMARC1; RUA= {U}; p=none"),
    ("v=DMARC1; p=none; rua=mailto:a@b.example", f"v=DMARC1; p=none; rua=mailto:a@b.example,{U}"),
    ("v=DMARC1; p=none; rua=mailto:a@b.example;", f"v=DMARC1; p=none; rua=mailto:a@b.example,{U};"),
    ("v=DMARC1;p=none;rua=mailto:a@b.example", f"v=DMARC1;p=none;rua=mailto:a@b.example,{U}"),
    ("v=DMARC1;p=none;rua=mailto:a@b.example;fo=1", f"v=DMARC1;p=none;rua=mailto:a@b.example,{U};fo=1"),
    ("v=DMARC1; rua=mailto:a@b.example; p=none", f"v=DMARC1; rua=mailto:a@b.example,{U}; p=none"),
    ("v=DMARC1; rua = mailto:a@b.example ; p=none", f"v=DMARC1; rua = mailto:a@b.example,{U} ; p=none"),
    ("v=DMARC1; RUA=MAILTO:A@B.EXAMPLE; p=none", f"v=DMARC1; RUA=MAILTO:A@B.EXAMPLE,{U}; p=none"),
    ("v=DMARC1; rua=mailto:a@b.example!10m; p=none", f"v=DMARC1; rua=mailto:a@b.example!10m,{U}; p=none"),
    ("v=DMARC1; rua=mailto:a@b.example!50M", f"v=DMARC1; rua=mailto:a@b.example!50M,{U}"),
    (
        "v=DMARC1; p=none; rua=mailto:a@b.example,mailto:c@d.example",
        f"v=DMARC1; p=none; rua=mailto:a@b.example,mailto:c@d.example,{U}",
    ),
    (
        "v=DMARC1; p=none; rua=mailto:a@b.example, mailto:c@d.example; pct=50",
        f"v=DMARC1; p=none; rua=mailto:a@b.example, mailto:c@d.example,{U}; pct=50",
    ),
    (
        "v=DMARC1; p=none; rua=mailto:a@b.example , mailto:c@d.example",
        f"v=DMARC1; p=none; rua=mailto:a@b.example , mailto:c@d.example,{U}",
    ),
    (
        "v=DMARC1; p=none; rua=mailto:a@b.example!5m,mailto:c@d.example!1g;",
        f"v=DMARC1; p=none; rua=mailto:a@b.example!5m,mailto:c@d.example!1g,{U};",
    ),
    ("v=DMARC1; rua=mailto:a@b.example,", f"v=DMARC1; rua=mailto:a@b.example,,{U}"),
    ("v=DMARC1; rua=mailto:a@b.example,; p=none", f"v=DMARC1; rua=mailto:a@b.example,,{U}; p=none"),
    ("v=DMARC1; rua=,mailto:a@b.example", f"v=DMARC1; rua=,mailto:a@b.example,{U}"),
    ("v=DMARC1; rua=a@b.example; p=none", f"v=DMARC1; rua=a@b.example,{U}; p=none"),
    ("v=DMARC1; rua=https://b.example/r; p=none", f"v=DMARC1; rua=https://b.example/r,{U}; p=none"),
    ("v=DMARC1; rua=mailto:a%2Bb@c.example", f"v=DMARC1; rua=mailto:a%2Bb@c.example,{U}"),
    (
        "v=DMARC1; rua=mailto:a@b.example; p=none; rua=mailto:c@d.example",
        f"v=DMARC1; rua=mailto:a@b.example,{U}; p=none; rua=mailto:c@d.example",
    ),
    ("v=DMARC1; p=none; ruf=mailto:a@b.example; rua=mailto:c@d.example; fo=1:d:s",
     f"v=DMARC1; p=none; ruf=mailto:a@b.example; rua=mailto:c@d.example,{U}; fo=1:d:s"),
    ("v=DMARC1; p=none; x-rua=mailto:a@b.example", f"v=DMARC1; p=none; x-rua=mailto:a@b.example; rua={U}"),
    ("v=DMARC1; p=none; note=rua", f"v=DMARC1; p=none; note=rua; rua={U}"),
    ("v=DMARC1; p=none; hello", f"v=DMARC1; p=none; hello; rua={U}"),
    ("v=DMARC1; p=quarentine", f"v=DMARC1; p=quarentine; rua={U}"),
    ("v=DMARC1; p=reject; np=reject; psd=n; t=y", f"v=DMARC1; p=reject; np=reject; psd=n; t=y; rua={U}"),
    ("v=DMARC1;\tp=none;\trua=mailto:a@b.example", f"v=DMARC1;\tp=none;\trua=mailto:a@b.example,{U}"),
    ("v=DMARC1; rua=\tmailto:a@b.example\t; p=none", f"v=DMARC1; rua=\tmailto:a@b.example,{U}\t; p=none"),
    ("v=DMARC1; rua=\t; p=none", f"v=DMARC1; rua=\t {U}; p=none"),
    ("v=DMARC1; p=none\t", f"v=DMARC1; p=none; rua={U}\t"),
    ("v=DMARC1; p=none; rua=mailto:a@reports.example.net", f"v=DMARC1; p=none; rua=mailto:a@reports.example.net,{U}"),
    ("v=DMARC1; p=none; rua=mailto:x@b.example?subject=r", f"v=DMARC1; p=none; rua=mailto:x@b.example?subject=r,{U}"),
    ("v=DMARC1; p=none; rua=mailto:ä@b.example", f"v=DMARC1; p=none; rua=mailto:ä@b.example,{U}"),
    ("v=DMARC1; p=none; rua=mailto:", f"v=DMARC1; p=none; rua=mailto:,{U}"),
    ("v=DMARC1; p=none; rua=,", f"v=DMARC1; p=none; rua=,,{U}"),
    ("v=DMARC1; p=none;rua=", f"v=DMARC1; p=none;rua= {U}"),
    ("v=DMARC1; p=none;  rua=", f"v=DMARC1; p=none;  rua= {U}"),
    ("v=DMARC1; p=none; rua =", f"v=DMARC1; p=none; rua = {U}"),
    ("v=DMARC1; rf=afrf; ri=3600; p=none", f"v=DMARC1; rf=afrf; ri=3600; p=none; rua={U}"),
    ("v=DMARC1;p=reject;rua=mailto:a@b.example,mailto:c@d.example,mailto:e@f.example;ruf=mailto:g@h.example",
     f"v=DMARC1;p=reject;rua=mailto:a@b.example,mailto:c@d.example,mailto:e@f.example,{U};ruf=mailto:g@h.example"),
    ("v=DMARC1; p=none; Rua=mailto:a@b.example", f"v=DMARC1; p=none; Rua=mailto:a@b.example,{U}"),
    ("v=DMARC1; p=none; rua=mailto:a@b.example\\; fo=1", f"v=DMARC1; p=none; rua=mailto:a@b.example\\,{U}; fo=1"),
]  # fmt: skip


def test_there_are_enough_spellings() -> None:
    """Each one once."""
    assert len({record for record, _ in SPELLINGS}) == len(SPELLINGS) >= 60


@pytest.mark.parametrize(("record", "expected"), SPELLINGS)
def test_appending_changes_the_rua_list_only(record: str, expected: str) -> None:
    """The exact record; removing gives back every byte; a second time nothing happens."""
    assert not has_rua(record, OURS)
    assert remove_rua(record, OURS) == record
    appended = append_rua(record, OURS)
    assert appended == expected
    assert append_rua(appended, OURS) == appended
    assert remove_rua(appended, OURS) == record
    parsed = dmarc_record(appended)
    assert parsed is not None
    assert OURS in [uri.address for uri in parsed.rua]


@pytest.mark.parametrize(
    ("record", "without"),
    [
        (f"v=DMARC1; p=none; rua={U}", "v=DMARC1; p=none"),
        (f"v=DMARC1; p=none; rua={U};", "v=DMARC1; p=none;"),
        (f"v=DMARC1; rua={U}; p=none", "v=DMARC1; p=none"),
        (f"v=DMARC1; rua={U},mailto:a@b.example; p=none", "v=DMARC1; rua=mailto:a@b.example; p=none"),
        (f"v=DMARC1; rua={U}, mailto:a@b.example; p=none", "v=DMARC1; rua=mailto:a@b.example; p=none"),
        (f"v=DMARC1; rua=mailto:a@b.example, {U}; p=none", "v=DMARC1; rua=mailto:a@b.example; p=none"),
        (f"v=DMARC1; rua=mailto:a@b.example,{U}!10m; p=none", "v=DMARC1; rua=mailto:a@b.example; p=none"),
        (f"v=DMARC1; rua={U},mailto:a@b.example,{U}", "v=DMARC1; rua=mailto:a@b.example"),
        (f"v=DMARC1; rua={U.replace('net', 'NET')}; p=none", "v=DMARC1; p=none"),
    ],
)
def test_removing_what_others_wrote(record: str, without: str) -> None:
    """Our address in any place, with a size, in capitals, more than once: then append has nothing to do."""
    assert append_rua(record, OURS) == record
    assert remove_rua(record, OURS) == without


@pytest.mark.parametrize("record", ["", "v=dmarc1; p=none", "p=none", " v=DMARC1; p=none", "v=DMARC1 p=none"])
def test_what_is_no_record_is_refused(record: str) -> None:
    """It has to be corrected first."""
    for change in (append_rua, remove_rua):
        with pytest.raises(UsageError, match="is not a DMARC record"):
            change(record, OURS)


def test_an_address_is_escaped() -> None:
    """What separates in a record cannot be in a URI."""
    appended = append_rua("v=DMARC1; p=none", "a!b,c;d%e@b.example")
    assert appended == "v=DMARC1; p=none; rua=mailto:a%21b%2Cc%3Bd%25e@b.example"
    assert remove_rua(appended, "a!b,c;d%e@b.example") == "v=DMARC1; p=none"


PIECES = [
    "; ",
    ";",
    " ",
    "\t",
    ",",
    "p=none",
    "rua=",
    "RUA = ",
    "mailto:a@b.example",
    "!10m",
    "x",
    "=",
    "ruf=mailto:c@d.example",
]


@given(
    st.lists(st.sampled_from(PIECES), max_size=14), st.sampled_from(["v=DMARC1;", "v = DMARC1 ;", "V=DMARC1; p=none;"])
)
def test_what_is_appended_can_be_removed(pieces: list[str], start: str) -> None:
    """For any text after the version; and nothing but one insertion happens."""
    record = start + "".join(pieces)
    appended = append_rua(record, OURS)
    assert remove_rua(appended, OURS) == record
    assert re.sub(re.escape(U), "", appended, count=1) != appended
    inserted = len(appended) - len(record)
    assert any(
        appended[:place] == record[:place] and appended[place + inserted :] == record[place:]
        for place in range(len(record) + 1)
    )

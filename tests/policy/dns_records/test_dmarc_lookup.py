"""Policy discovery by the tree walk: the examples of draft-ietf-dmarc-dmarcbis-41, our text of RFC 9989, and edges."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmarcworks.enrich.resolver import DnsRecords, NoAnswerError
from dmarcworks.policy.dns_records.dmarc_lookup import EffectivePolicy, discover, organization_of
from dmarcworks.policy.dns_records.lookup import RecordLookup


class Zone:
    """A resolver over a dictionary of DMARC records by domain; `existing` names exist, `silent` ones do not answer."""

    def __init__(self, records: dict[str, Any], existing: tuple[str, ...] = (), silent: tuple[str, ...] = ()) -> None:
        self.records = records
        self.existing = existing
        self.silent = silent
        self.queries: list[str] = []

    async def __call__(self, name: str, kind: str, deadline: float) -> list[Any]:
        return (await self.lookup(name, kind, deadline)).records

    async def lookup(self, name: str, kind: str, deadline: float) -> DnsRecords:
        self.queries.append(name)
        domain = name.removeprefix("_dmarc.")
        if domain in self.silent:
            raise NoAnswerError(name)
        if kind != "TXT":
            return DnsRecords([], exists=domain in self.existing)
        texts = self.records.get(domain, [])
        return DnsRecords([text.encode() for text in ([texts] if isinstance(texts, str) else texts)])


def effective(domain: str, zone: Zone) -> EffectivePolicy:
    return asyncio.run(discover(RecordLookup(zone, time.monotonic() + 5), domain)).effective


def short(policy: EffectivePolicy) -> tuple[str | None, ...]:
    return policy.record_domain, policy.organizational_domain, policy.policy, policy.tag


R = "v=DMARC1; p=reject"
# Appendix B.4 of the draft: each domain with its organizational domain and where its policy comes from.
SIMPLE = {"example.com": R, "signing.example.com": R}
BANK = {"bank.example": "v=DMARC1; p=reject; psd=y", "giant.bank.example": R}
DEEP = "a.b.c.d.e.f.g.h.i.j.k.example.com"


@pytest.mark.parametrize(
    ("records", "domain", "record_domain", "organizational"),
    [
        (SIMPLE, "example.com", "example.com", "example.com"),
        (SIMPLE, "signing.example.com", "signing.example.com", "example.com"),
        (SIMPLE, DEEP, "example.com", "example.com"),
        (BANK, "giant.bank.example", "giant.bank.example", "giant.bank.example"),
        (BANK, "mail.giant.bank.example", "giant.bank.example", "giant.bank.example"),
        (BANK, "mail.mega.bank.example", "bank.example", "mega.bank.example"),
        # Section 4.10.2.
        ({"mail.example.com": R, "example.com": R}, "a.mail.example.com", "example.com", "example.com"),
        (
            {"mail.example.com": R + "; psd=n", "example.com": R},
            "a.mail.example.com",
            "mail.example.com",
            "mail.example.com",
        ),
        ({"com": R + "; psd=y"}, "a.mail.example.com", "com", "example.com"),
    ],
)
def test_the_examples_of_the_draft(
    records: dict[str, str], domain: str, record_domain: str, organizational: str
) -> None:
    """Where the record is found, and which domain is the organizational one."""
    found = effective(domain, Zone(records, existing=(domain,)))
    assert (found.record_domain, found.organizational_domain) == (record_domain, organizational)


@pytest.mark.parametrize(
    ("domain", "names"),
    [
        # Section 4.10.
        (
            "a.b.c.d.e.f.g.h.i.j.mail.example.com",
            "g.h.i.j.mail.example.com h.i.j.mail.example.com i.j.mail.example.com j.mail.example.com "
            "mail.example.com example.com com",
        ),
        # Section 5.1.8.
        (
            "mail.a.b.c.d.e.f.g.example.com",
            "c.d.e.f.g.example.com d.e.f.g.example.com e.f.g.example.com f.g.example.com g.example.com example.com com",
        ),
        (
            DEEP,
            "g.h.i.j.k.example.com h.i.j.k.example.com i.j.k.example.com j.k.example.com k.example.com example.com com",
        ),
    ],
)
def test_the_queries_of_the_draft(domain: str, names: str) -> None:
    """Eight at most; labels of long names are skipped."""
    zone = Zone({})
    assert effective(domain, zone) == EffectivePolicy()
    assert sorted(zone.queries) == sorted(f"_dmarc.{name}" for name in [domain, *names.split()])


@pytest.mark.parametrize(
    ("record", "exists", "policy", "tag"),
    [
        ("v=DMARC1; p=reject; sp=quarantine; np=none", True, "quarantine", "sp"),
        ("v=DMARC1; p=reject; sp=quarantine; np=none", False, "none", "np"),
        ("v=DMARC1; p=reject; sp=quarantine", False, "quarantine", "sp"),
        ("v=DMARC1; p=reject; np=none", True, "reject", "p"),
        ("v=DMARC1; p=reject; np=none", False, "none", "np"),
        ("v=DMARC1; p=reject", False, "reject", "p"),
        ("v=DMARC1; p=reject; sp=bad; rua=mailto:a@example.com", True, "none", "p"),
        ("v=DMARC1; p=reject; sp=bad", True, None, None),
        ("v=DMARC1; sp=reject; rua=mailto:a@example.com", True, "none", "p"),
        ("v=DMARC1; sp=reject", True, None, None),
    ],
)
def test_what_applies_to_subdomains(record: str, exists: bool, policy: str | None, tag: str | None) -> None:
    """sp for names that exist, np for those that do not (NXDOMAIN), p without them (section 4.10.1)."""
    existing = ("a.example.com",) if exists else ()
    found = effective("a.example.com", Zone({"example.com": record}, existing))
    place = "example.com" if policy else None
    assert short(found) == (place, place, policy, tag)


@pytest.mark.parametrize(
    ("records", "domain", "expected"),
    [
        # Several records at a name are discarded, and the walk goes on.
        ({"a.example.com": [R, R], "example.com": "v=DMARC1; p=none"}, "a.example.com", ("example.com", "none")),
        # A public suffix's own record, and none above it counts.
        ({"bank.example": R + "; psd=y", "example": R}, "bank.example", ("bank.example", "reject")),
        # An organizational domain with a record hides the public suffix's.
        ({"com": R + "; psd=y", "example.com": "v=DMARC1; p=none"}, "a.example.com", ("example.com", "none")),
        # A name between the domain and the organizational domain does not count.
        ({"b.example.com": R, "example.com": "v=DMARC1; p=none"}, "a.b.example.com", ("example.com", "none")),
        # psd=y seven labels up: the organizational domain has one label more, and no record.
        ({"3.4.5.6.7.a.com": R + "; psd=y"}, "0.1.2.3.4.5.6.7.a.com", ("3.4.5.6.7.a.com", "reject")),
        ({"example.com": "v=dmarc1; p=reject"}, "example.com", (None, None)),
        ({"example.com": "v=DMARC1 ; p = reject "}, "example.com", ("example.com", "reject")),
    ],
)
def test_the_edges_of_discovery(records: dict[str, Any], domain: str, expected: tuple[str | None, str | None]) -> None:
    """The record's domain and the policy."""
    found = effective(domain, Zone(records, existing=(domain,)))
    assert (found.record_domain, found.policy) == expected


def test_organizational_domains_below_a_skipped_suffix() -> None:
    """The label below psd=y, although its name is never queried."""
    zone = Zone({"3.4.5.6.7.a.com": R + "; psd=y"})
    lookup = RecordLookup(zone, time.monotonic() + 5)
    assert asyncio.run(organization_of(lookup, "0.1.2.3.4.5.6.7.a.com")) == "2.3.4.5.6.7.a.com"


def test_silence_above_a_record_does_not_hide_it() -> None:
    """The domain's own policy is known; without one the silence decides, and is no verdict."""
    zone = Zone({"a.example.com": R}, silent=("example.com",))
    found = asyncio.run(discover(RecordLookup(zone, time.monotonic() + 5), "a.example.com"))
    assert short(found.effective) == ("a.example.com", "a.example.com", "reject", "p")
    assert found.unanswered == ("example.com",)
    with pytest.raises(NoAnswerError):
        effective("b.example.com", Zone({}, silent=("example.com",)))


def test_alignment_testing_and_psd_values() -> None:
    """What is not valid counts as its default."""
    found = effective("example.com", Zone({"example.com": "v=DMARC1; p=reject; adkim=S; aspf=x; t=Y"}))
    assert (found.adkim, found.aspf, found.testing, found.policy) == ("s", "r", True, "reject")


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=12), st.data())
def test_a_walk_is_bounded_and_stays_on_the_path(labels: list[str], data: st.DataObject) -> None:
    """At most eight queries of records; the record and the organizational domain are the domain or above it."""
    domain = ".".join(labels)
    names = [".".join(labels[start:]) for start in range(len(labels))]
    texts = st.sampled_from(["", R, R + "; psd=y", R + "; psd=n", "v=DMARC1", "junk"])
    zone = Zone({name: data.draw(texts) for name in names})
    found = effective(domain, zone)
    assert sum(name.startswith("_dmarc.") for name in zone.queries) <= 8
    if found.record_domain is not None:
        assert found.organizational_domain in names
        assert found.record_domain in names

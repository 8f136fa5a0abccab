"""Evidence from a record of an aggregate report: what has no result did not pass; the envelope comes before HELO."""

from __future__ import annotations

from dmarcworks.enrich.senders.evidence import evidence_of_record
from dmarcworks.enrich.senders.identify import SenderIdentifier
from dmarcworks.enrich.senders.model import Evidence, Signature
from dmarcworks.reports.aggregate.records import DkimResult, Record, SpfResult


def record(dkim: tuple[DkimResult, ...] = (), spf: tuple[SpfResult, ...] = ()) -> Record:
    return Record("192.0.2.1", 3, "none", "pass", "fail", (), "example.com", None, None, dkim, spf)


def test_a_record_gives_its_signatures_and_its_envelope() -> None:
    dkim = (
        DkimResult("sendgrid.net", "s1", "pass", None),
        DkimResult("example.com", None, None, None),
        DkimResult(None, "s2", "fail", "bad"),
    )
    spf = (SpfResult("u1.sendgrid.net", "mfrom", "pass", None),)
    assert evidence_of_record(record(dkim, spf), "o1.sendgrid.net", True, 11377) == Evidence(
        ip="192.0.2.1",
        ptr="o1.sendgrid.net",
        ptr_confirmed=True,
        dkim=(
            Signature("sendgrid.net", "s1", "pass"),
            Signature("example.com", None, ""),
            Signature("", "s2", "fail"),
        ),
        spf_domain="u1.sendgrid.net",
        spf_result="pass",
        header_from="example.com",
        asn=11377,
    )


def test_text_of_strangers_is_cut_and_still_names_nobody() -> None:
    """What is remembered for a record is bounded; a cut name is not a service's."""
    name = f"{'a.' * 500}sendgrid.net"
    late = DkimResult("sendgrid.net", None, "pass", None)
    dkim = (DkimResult(name, "s" * 300, "pass" * 300, None), DkimResult(name, None, "pass", None)) * 25
    evidence = evidence_of_record(record((*dkim, late), (SpfResult(name, None, "pass", None),)))
    assert evidence.dkim == (Signature(name[:255], "s" * 255, ("pass" * 300)[:255]), Signature(name[:255])) * 25
    assert evidence.spf_domain == name[:255]
    assert SenderIdentifier().identify(evidence).sender is None


def test_of_several_spf_results_one_that_passed_counts() -> None:
    helo = SpfResult("helo.example", "helo", "pass", None)
    mfrom = SpfResult("mfrom.example", "mfrom", "pass", None)
    failed = SpfResult("failed.example", "mfrom", "fail", None)
    bare = SpfResult("bare.example", None, None, None)
    chosen = [
        (evidence_of_record(record(spf=spf)).spf_domain, evidence_of_record(record(spf=spf)).spf_result)
        for spf in ((helo, mfrom), (failed, helo), (failed, mfrom), (failed, bare), (bare,), ())
    ]
    assert chosen == [
        ("mfrom.example", "pass"),
        ("helo.example", "pass"),
        ("mfrom.example", "pass"),
        ("failed.example", "fail"),
        ("bare.example", ""),
        (None, ""),
    ]

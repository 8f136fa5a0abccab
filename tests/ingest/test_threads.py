"""QUIRKS §10 in the figures: T2 (one report in two transports), T5 (no mail seen), T10 (policies of others), T12 (other
mail), from a mail's 250 to Analytics and the catalogue.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.failures import arf, tls, tls_mail
from tests.support.harness import Harness
from tests.support.mails import document, mail, report_mail

pytestmark = pytest.mark.asyncio(loop_scope="package")
CASES = Path(__file__).parents[3] / "shared" / "cases"
LF = document("r-1")
assert b"\r" not in LF


def plain(data: bytes, name: str = "r.xml") -> bytes:
    """A mail with the document as text, as it is."""
    return (
        b"From: a@b.example\r\nMIME-Version: 1.0\r\nContent-Type: text/xml; name=" + name.encode() + b"\r\n\r\n" + data
    )


async def tls_rows(harness: Harness) -> list[tuple[str, int]]:
    what = (
        "SELECT policy_domain, toInt64(successful_sessions) AS n FROM tls_reports WHERE domain_id = {domain_id:String}"
    )
    answer = await harness.env.analytics.query(f"{what} ORDER BY record_index", {"domain_id": harness.domain.id})
    return [(row["policy_domain"], int(row["n"])) for row in map(json.loads, answer.splitlines())]


@pytest.mark.parametrize(
    "second",
    [
        plain(LF.replace(b"\n", b"\r\n")),
        plain(LF + b"\n\n"),
        plain(LF.replace(b"\n", b" \t\n")),
        plain(LF.replace(b"\n", b"\r\n")).replace(b"\r\n", b"\n"),
        mail(("report.xml", LF.replace(b"\n", b"\r\n"))),
        report_mail("r-1"),
    ],
    ids=["CRLF", "blank lines behind", "white space at line ends", "a Maildir's", "gzip with CRLF", "gzip"],
)
@pytest.mark.parametrize("turned", [False, True])
async def test_T2_one_report_in_two_transports_is_counted_once(harness: Harness, second: bytes, turned: bool) -> None:
    both = [plain(LF), second]
    for raw in reversed(both) if turned else both:
        await harness.mail(raw)
        await harness.settle()
    assert await harness.total() == (1, 2, 5)
    (row,) = await harness.env.arrivals.reports(harness.domain.account_id)
    stored = await harness.env.arrivals.report(harness.domain.account_id, row.key)
    assert stored is not None
    assert stored.duplicates == 1
    assert not [warning for warning in row.warnings if warning["code"] == "same_identity_other_content"]


async def test_T2_as_text_and_compressed_in_one_mail(harness: Harness) -> None:
    await harness.mail(mail(("r.xml", LF.replace(b"\n", b"\r\n")), ("report.xml.gz", LF)))
    await harness.settle()
    assert await harness.total() == (1, 2, 5)


async def test_T2_other_content_is_another_report(harness: Harness) -> None:
    await harness.mail(plain(LF))
    await harness.mail(plain(LF.replace(b"<count>", b"<count>1", 1)))
    await harness.settle()
    assert (await harness.total())[0] == 2


async def test_T2_tls_and_failure_reports_too(harness: Harness) -> None:
    document_ = json.dumps(json.loads(tls()), indent=1).encode()
    await harness.mail(mail(("t.json", document_)))
    await harness.mail(mail(("t.json", document_.replace(b"\n", b"\r\n"))))
    await harness.mail(arf(1))
    await harness.mail(arf(1).replace(b"\r\n", b"\n"))
    await harness.settle()
    kinds = sorted(row.kind for row in await harness.env.arrivals.reports(harness.domain.account_id))
    assert kinds == ["failure", "tls"]


async def test_T2_the_cases(harness: Harness) -> None:
    if not CASES.exists():
        pytest.skip(f"the shared cases are not at {CASES}")
    for name in ("dup-a-smtp-crlf.eml", "dup-b-maildir-lf.eml"):
        await harness.mail((CASES / name).read_bytes())
        await harness.settle()
    assert await harness.total() == (1, 1, 40)


async def test_T5_a_null_report_has_no_row(harness: Harness) -> None:
    text = document("r-9")
    begin, end = text.index(b"<record>"), text.rindex(b"</record>")
    null = (
        b"<record><row><source_ip></source_ip><count>0</count><policy_evaluated><disposition></disposition>"
        b"</policy_evaluated></row><identifiers><header_from></header_from></identifiers><auth_results/>"
    )
    await harness.mail(plain(text[:begin] + null + text[end:]))
    await harness.settle()
    assert await harness.total() == (0, 0, 0)
    (row,) = await harness.env.arrivals.reports(harness.domain.account_id)
    assert (row.records, row.messages, row.state) == (0, 0, "counted")
    assert [warning["code"] for warning in row.warnings if warning["code"] == "no_mail_seen"] == ["no_mail_seen"]


async def test_T10_policies_of_another_domain_are_listed_and_not_counted(harness: Harness) -> None:
    await harness.mail(tls_mail(domains=("example.com", "other.example", "mail.example.com")))
    await harness.settle()
    assert await tls_rows(harness) == [("example.com", 5), ("mail.example.com", 5)]
    (row,) = await harness.env.arrivals.reports(harness.domain.account_id)
    assert (row.state, row.policy_domain, row.records, row.messages) == ("counted", "example.com", 2, 14)
    (problem,) = await harness.env.problems.list(harness.domain.account_id)
    assert problem.reason == "other_policies"
    assert "other.example" in problem.detail


async def test_T10_the_order_of_the_policies_does_not_matter(harness: Harness) -> None:
    await harness.mail(tls_mail(domains=("other.example", "example.com")))
    await harness.settle()
    assert await tls_rows(harness) == [("example.com", 5)]
    assert await harness.problem_reasons() == ["other_policies"]


async def test_T10_a_report_about_others_only_is_foreign(harness: Harness) -> None:
    await harness.mail(tls_mail(domains=("other.example", "another.example")))
    await harness.settle()
    assert await tls_rows(harness) == []
    assert await harness.problem_reasons() == ["other_domain"]


async def test_T12_other_mail_is_no_open_problem(harness: Harness) -> None:
    head = b"From: a@b.example\r\nMIME-Version: 1.0\r\n"
    await harness.mail(head + b"Subject: Cheap\r\n\r\nBuy now.\r\n")
    await harness.mail(head + b"Auto-Submitted: auto-replied\r\nSubject: Away\r\n\r\nI am away.\r\n")
    await harness.mail(head + b"\r\nReport-Domain: example.com\r\nReport-ID: 7\r\nReport-Size: 33554432\r\n")
    await harness.mail(report_mail("r-1").replace(b"H4sI", b"H4sJ", 1))
    await harness.settle()
    problems, account = harness.env.problems, harness.domain.account_id
    assert [row.reason for row in await problems.list(account)] == ["gzip_corrupt"]
    assert await problems.count(account) == 1
    other = await problems.list(account, state="other")
    assert sorted(row.reason for row in other) == ["auto_reply", "no_report", "report_too_large"]
    assert await problems.discard_other(account, "somebody", "no_report") == 1
    assert await problems.discard_other("f" * 32, "somebody") == 0
    assert await problems.discard_other(account, "somebody") == 2
    assert await problems.list(account, state="other") == []
    assert len(await problems.list(account, state="discarded")) == 3
    assert await problems.count(account) == 1

"""A report with every field, and ways to query with and without projections."""

from __future__ import annotations

from dmarcworks.analytics.questions.execute import OWN
from dmarcworks.bindings.contracts import QueryBounds
from dmarcworks.reports.model import AggregateReport, DkimResult, Policy, Reason, Record, SpfResult

POLICY = Policy(
    domain="mail.example.com", adkim="s", aspf="r", p="reject", sp="quarantine", np=None, fo="1", pct=50,
    testing=None, discovery_method=None,
)  # fmt: skip
RECORD = Record(
    source_ip="192.0.2.7", count=12, disposition="quarantine", dkim_aligned="pass", spf_aligned="fail",
    reasons=(Reason("mailing_list", "a list"), Reason("other", None)), header_from="example.com",
    envelope_from="bounce.example.com", envelope_to="example.net",
    dkim=(DkimResult("example.com", "s1", "pass", None), DkimResult("example.org", None, "fail", "bad sig")),
    spf=(SpfResult("bounce.example.com", "mfrom", "softfail", None),),
)  # fmt: skip
BARE = Record(
    source_ip="not an address", count=3, disposition=None, dkim_aligned=None, spf_aligned=None, reasons=(),
    header_from=None, envelope_from=None, envelope_to="", dkim=(), spf=(),
)  # fmt: skip
REPORT = AggregateReport(
    org_name="Größe & Söhne", email="dmarc@example.net", extra_contact_info=None, report_id="a-b-c/é 1",
    begin=1_772_582_400, end=1_772_668_799, version="1.0", generator=None, errors=('no "key"',), policy=POLICY,
    records=(RECORD, BARE), warnings=(),
)  # fmt: skip

FORCED = QueryBounds(OWN.seconds, OWN.rows, OWN.memory, {**OWN.extra, "force_optimize_projection": 1})
NEVER = QueryBounds(OWN.seconds, OWN.rows, OWN.memory, {**OWN.extra, "optimize_use_projections": 0})

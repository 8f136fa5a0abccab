"""A mail or a report file → each way in which its reports depart from RFC 7489, RFC 9990 or RFC 8460. Pure.

Judged are the document (`lint_aggregate.py`, `lint_tls.py`) and the form that it was sent in: file name, media type,
compression, Subject. `letter` is the text to send to the reporter. What holds no report gives nothing; a damaged
archive is a finding. Failure reports are not judged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from dmarcworks.reports import archive, headers, mail, sniff, tlsrpt, unpack
from dmarcworks.reports.aggregate import reader
from dmarcworks.reports.bounds import Bounds
from dmarcworks.reports.lint import aggregate, tls
from dmarcworks.reports.lint.aggregate import Outline
from dmarcworks.reports.lint.finding import Finding, Findings, shown
from dmarcworks.reports.notes import Refused, Work

# A tree is built of the whole document, so a document may not be as large as one that is only read.
LARGEST = 16 * 1024 * 1024
_HOST = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252}[A-Za-z0-9])?\.?"
_NAME = re.compile(
    rf"(?P<receiver>{_HOST})!(?P<domain>{_HOST})!(?P<begin>\d{{1,20}})!(?P<end>\d{{1,20}})"
    r"(?:!(?P<unique>[^!.]{1,100}))?\.(?P<extension>[a-z.]{1,20})"
)
_SUBJECT = re.compile(
    rf"Report\s{{1,100}}Domain:\s{{1,100}}{_HOST}\s{{1,100}}Submitter:\s{{1,100}}{_HOST}"
    r"(?P<id>\s{1,100}Report-ID:\s{1,100}\S{1,760})?\s{0,100}"
)
_ADDRESS = re.compile(r"(?:mailto:)?([A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,253})")


@dataclass(frozen=True, slots=True)
class Linted:
    """One report's judgement: kind ("aggregate", "tls", "unknown" for what is damaged), its place, findings."""

    kind: str
    where: str
    outline: Outline
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class _Sent:
    """How a report was sent: the mail's Subject, field names and report-type, and the part's media type."""

    subject: str
    type: str
    fields: frozenset[str]
    report_type: str


def lint_mail(raw: bytes, bounds: Bounds = Bounds()) -> tuple[Linted, ...]:  # noqa: B008 - frozen
    """Judge every report in a mail. Never raises for what it is given."""
    work = Work(bounds)
    return (*_mail(raw, "", work, 0), *_damaged(work))


def lint_bytes(data: bytes, name: str = "", bounds: Bounds = Bounds()) -> tuple[Linted, ...]:  # noqa: B008 - frozen
    """Judge every report in a file; its name is judged where it looks like one of the standards'."""
    work = Work(bounds)
    linted: list[Linted] = []
    where = unpack.label(name) if name else "file"
    try:
        linted.extend(_part(data, name, where, work, None))
    except Refused as refused:
        work.problem(refused.reason, where, refused.detail)
    return (*linted, *_damaged(work))


def _mail(raw: bytes, above: str, work: Work, depth: int) -> Iterator[Linted]:
    try:
        work.nest(depth)
        if len(raw) > work.bounds.mail_bytes:
            raise Refused("mail_bytes", f"The mail is larger than the bound {work.bounds.named('mail_bytes')}.")
        head = _head(raw, work.bounds)
        parts = list(mail.leaves(mail.parts(raw, work.bounds)))
        # The message that a failure report is about is evidence; nothing in it was sent as a report.
        failure = any(part.type == "message/feedback-report" for part in parts)
        for part in parts:
            work.member()
            if failure and (part.message or part.type.startswith("text/rfc822")):
                continue
            where = f"{above}part {part.number}"
            try:
                content = part.read()
            except Refused as refused:
                work.problem(refused.reason, where, refused.detail)
                continue
            if part.message:
                yield from _mail(content, f"{where} > ", work, depth + 1)
            else:
                yield from _part(content, part.name, where, work, replace(head, type=part.type))
    except Refused as refused:
        work.problem(refused.reason, above or "mail", refused.detail)


def _head(raw: bytes, bounds: Bounds) -> _Sent:
    block = headers.block(mail.without_from(raw), 0, bounds)
    subject = " ".join(headers.unfolded(block.first(b"subject") or b"").split())
    given = headers.parameters(headers.unfolded(block.first(b"content-type") or b""), bounds)
    names = frozenset(name.decode("ascii").lower() for name, _ in block.fields)
    return _Sent(subject, "", names, given.named.get("report-type", ""))


def _part(data: bytes, name: str, where: str, work: Work, sent: _Sent | None) -> Iterator[Linted]:
    form = "gzip" if archive.is_gzip(data) else "zip" if archive.is_zip(data) else "plain"
    leaves = list(unpack.leaves(data, name, where, work))
    for leaf in leaves:
        head = sniff.look(leaf.head)
        judge: Callable[[bytes, Findings], Outline]
        if head.kind == "xml" and b"<" in leaf.head and _is_feedback(leaf.head, head.root):
            kind, judge = "aggregate", aggregate.lint
        elif head.kind == "json" and tlsrpt.is_tls(leaf.head[: sniff.LOOKED_AT]):
            kind, judge = "tls", tls.lint
        else:
            continue
        findings = Findings()
        content = leaf.head if leaf.whole else b"".join(leaf.open())
        if len(content) > LARGEST:
            work.problem("inflated_bytes", leaf.where, f"The report is larger than {LARGEST} bytes and was not judged.")
            continue
        outline = judge(content, findings)
        if kind == "aggregate":
            outline = _as_read(outline, leaf, head, work)
        if len(leaves) == 1:
            _sent_as(kind, name, form, outline, sent, findings)
        else:
            findings.add(_clause(outline), "the attachment", f"{len(leaves)} files in one archive", "one report each")
        yield Linted(kind, leaf.where, outline, findings.all())


def _as_read(outline: Outline, leaf: unpack.Leaf, head: sniff.Head, work: Work) -> Outline:
    """The outline with the texts as the reader has them: recovery of broken XML drops characters such as `&`."""
    try:
        reports = reader.read(leaf, head, Work(work.bounds))
    except Refused:
        return outline
    if len(reports) != 1:
        return outline
    report = reports[0][0]
    return replace(
        outline,
        reporter=(report.org_name or outline.reporter) if outline.reporter else "",
        contact=(report.email or outline.contact) if outline.contact else "",
        report_id=report.report_id if outline.report_id else "",
    )


def _is_feedback(head: bytes, root: str) -> bool:
    return root.lower() == "feedback" or b"<feedback" in head[: sniff.LOOKED_AT].replace(b"\0", b"").lower()


def _damaged(work: Work) -> Iterator[Linted]:
    """A container that cannot be unpacked is a deviation too."""
    nothing = Outline("RFC 1952", "", "", "", "", "", "")
    for problem in work.problems:
        finding = Finding("RFC 1952", problem.where, None, problem.detail, "a whole archive", "error")
        yield Linted("unknown", problem.where, nothing, (finding,))


def _clause(outline: Outline) -> str:
    """The clause of the standard that defines how a report is mailed."""
    return {"RFC 7489": "RFC 7489 §7.2.1.1", "RFC 9990": "RFC 9990, section “Email”"}.get(
        outline.standard, "RFC 8460 §5.3"
    )


def _sent_as(kind: str, name: str, form: str, outline: Outline, sent: _Sent | None, findings: Findings) -> None:
    """The attachment's name, type and compression, and the mail's Subject."""
    clause = _clause(outline)
    bare = ("xml", "xml.gz") if kind == "aggregate" else ("json", "json.gz")
    if name and (sent is not None or "!" in name):
        _named("RFC 8460 §5.1" if kind == "tls" else clause, name, form, bare, outline, findings)
    if form == "zip":
        findings.add(clause, "the attachment", "a zip archive", "gzip", "warning")
    if sent is None:
        return
    if not name:
        findings.add(clause, "Content-Disposition", "an attachment without a name", "a file name", "warning")
    if form == "plain":
        findings.add(clause, "the attachment", "no compression", "gzip", "warning")
    types = {
        "aggregate": ("text/xml", "application/gzip"),
        "tls": ("application/tlsrpt+json", "application/tlsrpt+gzip"),
    }
    expected = types[kind][form != "plain"]
    if sent.type != expected:
        what = f"the media type {shown(sent.type)}" if sent.type else "no media type"
        findings.add(clause, "Content-Type", what, expected, "warning")
    subject = _SUBJECT.fullmatch(sent.subject)
    if subject is None or (subject.group("id") is None and outline.standard != "RFC 9990"):
        should = "Report Domain: <policy domain> Submitter: <receiver> Report-ID: <id>"
        findings.add(clause, "Subject", f"the Subject {shown(sent.subject)}", should, "warning")
    if kind == "tls":
        for field in ("TLS-Report-Domain", "TLS-Report-Submitter"):
            if field.lower() not in sent.fields:
                findings.add(clause, field, f"no header field {field}", f"{field} is required", "warning")
        if sent.report_type.lower() != "tlsrpt":
            findings.add(clause, "Content-Type", "no report-type", 'multipart/report; report-type="tlsrpt"', "warning")


def _named(clause: str, name: str, form: str, bare: tuple[str, str], outline: Outline, findings: Findings) -> None:
    should = f"receiver!policy-domain!begin!end[!unique-id].{bare[0]} or .{bare[1]}"
    match = _NAME.fullmatch(name)
    if match is None:
        findings.add(clause, "the file name", f"the name {shown(name)}", should, "warning")
        return
    extension = bare[form != "plain"]
    if form != "zip" and match.group("extension") != extension:
        findings.add(clause, "the file name", f"the extension .{match.group('extension')}", f".{extension}", "warning")
    stated = {"domain": outline.domain.lower().rstrip("."), "begin": outline.begin, "end": outline.end}
    for part, value in stated.items():
        # A TLS report states its time as a date, its name in seconds.
        if value and match.group(part).lower().rstrip(".") != value and (part == "domain" or value.isdigit()):
            findings.add(
                clause, "the file name", f"the {part} {match.group(part)}", f"the report's own {value}", "warning"
            )


def contact(linted: Linted) -> str | None:
    """The reporter's mail address, None where the report states none that can be written to."""
    match = _ADDRESS.fullmatch(linted.outline.contact)
    return match.group(1) if match else None


def letter(linted: Linted) -> str:
    """A mail to the reporter: To, Subject, and a text that names the report and each deviation."""
    outline = linted.outline
    kind = {"aggregate": "DMARC aggregate report", "tls": "SMTP TLS report"}.get(linted.kind, "report")
    report_id = _line(outline.report_id) or "(it has no report id)"
    number = len(linted.findings)
    lines = [
        f"To: {contact(linted) or '(the report states no mail address)'}",
        f"Subject: Your {kind} {report_id}: {number} deviation{'s' if number > 1 else ''} from {outline.standard}",
        "",
        "Hello,",
        "",
        f"thank you for sending reports. We received this {kind} from you:",
        "",
        f"  Report id:     {report_id}",
        f"  Reporter:      {_line(outline.reporter) or '-'}",
        f"  Policy domain: {_line(outline.domain) or '-'}",
        f"  Period:        {_line(outline.begin) or '-'} to {_line(outline.end) or '-'}",
        "",
        "It deviates from the standard as follows:",
        "",
    ]
    for place, finding in enumerate(linted.findings, start=1):
        often = f" ({finding.times} times)" if finding.times > 1 else ""
        at = f", line {finding.line}" if finding.line and not finding.where.startswith("line ") else ""
        lines += [
            f"{place}. {finding.clause}, {finding.severity}",
            f"   at:     {finding.where}{at}{often}",
            f"   found:  {finding.found}",
            f"   should: {finding.should}",
            "",
        ]
    return "\n".join([*lines, "Could you look into it?", "", "Kind regards"]) + "\n"


def _line(text: str) -> str:
    """A stranger's text on one line of a mail."""
    return "".join(c if c.isprintable() else " " for c in text[:200]).strip()

"""The demo's reports as mails, each as its reporter writes, packs and sends it; and a few mails with no report."""

from __future__ import annotations

import gzip
import io
import zipfile
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from xml.sax.saxutils import escape

from dmarcworks.cli.demo_data import SEED, DemoReport, Row, reports
from dmarcworks.ingest.own_mail import Address, EmailMessage, new_mail


def xml(report: DemoReport) -> bytes:
    """The report as its reporter writes it (RFC 7489 Appendix C, or RFC 9990 for the modern ones)."""
    reporter = report.reporter
    lines = ['<?xml version="1.0" encoding="UTF-8" ?>' if reporter.encoding else '<?xml version="1.0"?>']
    attribute = "" if not reporter.namespace else f' xmlns{"" if reporter.modern else ":xsd"}="{reporter.namespace}"'
    lines.append(f"<feedback{attribute}>")
    if reporter.version is not None:
        lines.append(f"  <version>{reporter.version}</version>")
    contact = f"<extra_contact_info>{reporter.extra}</extra_contact_info>" if reporter.extra else ""
    generator = "<generator>mail-report 3.1</generator>" if reporter.modern else ""
    lines.append(
        f"  <report_metadata><org_name>{escape(reporter.org_name)}</org_name><email>{reporter.email}</email>{contact}"
        f"<report_id>{report.report_id}</report_id><date_range><begin>{report.begin}</begin><end>{report.end}</end>"
        f"</date_range>{generator}</report_metadata>"
    )
    lines.append(f"  <policy_published><domain>{report.domain}</domain>{_policy(report)}</policy_published>")
    lines += [_record(report, row) for row in report.rows]
    return ("\n".join([*lines, "</feedback>"]) + "\n").encode()


def _policy(report: DemoReport) -> str:
    p = report.policy
    if report.reporter.modern:
        discovery = "<discovery_method>treewalk</discovery_method>"
        return f"<p>{p}</p><sp>{p}</sp><np>{p}</np><fo>1</fo><testing>n</testing>{discovery}"
    return f"<adkim>r</adkim><aspf>r</aspf><p>{p}</p><sp>{p}</sp><pct>100</pct>"


def _record(report: DemoReport, row: Row) -> str:
    words = ("fail", "pass")
    aligned = f"bounce.{report.domain}"
    # A service's own return path passes SPF without alignment; what a forwarder or a stranger sends fails it.
    mail_from = aligned if row.spf else row.envelope or _other_path(report, row)
    spf = words[row.spf or mail_from != report.domain]
    reason = f"<reason><type>{row.reason}</type><comment></comment></reason>" if row.reason else ""
    identifiers = f"<header_from>{report.domain}</header_from>"
    if report.reporter.envelope:
        identifiers = f"<envelope_from>{mail_from}</envelope_from>{identifiers}"
    if report.reporter.envelope == "both":
        identifiers = f"<envelope_to>{report.reporter.host}</envelope_to>{identifiers}"
    signers = [(report.domain, row.selector)] if row.dkim else []
    signers += [(row.signer, "s1")] if row.signer else []
    signatures = "".join(
        f"<dkim><domain>{domain}</domain><selector>{selector}</selector><result>pass</result></dkim>"
        for domain, selector in signers
    )
    return (
        f"  <record><row><source_ip>{row.source_ip}</source_ip><count>{row.count}</count><policy_evaluated>"
        f"<disposition>{row.disposition}</disposition><dkim>{words[row.dkim]}</dkim><spf>{words[row.spf]}</spf>"
        f"{reason}</policy_evaluated></row><identifiers>{identifiers}</identifiers>"
        f"<auth_results>{signatures}<spf><domain>{mail_from}</domain><scope>mfrom</scope><result>{spf}</result></spf>"
        "</auth_results></record>"
    )


def _other_path(report: DemoReport, row: Row) -> str:
    """The return path of a row that SPF does not align: the domain itself, as forwarded or forged, or a service's."""
    return report.domain if row.service in ("unknown", "university-forwarder") else f"{row.service}.example"


def attachment(report: DemoReport) -> tuple[str, bytes]:
    """File name (RFC 9990 "filename") and bytes, packed as the reporter does."""
    stem = f"{report.reporter.host}!{report.domain}!{report.begin}!{report.end}"
    document = xml(report)
    if report.reporter.container == "zip":
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo(f"{stem}.xml"), document, zipfile.ZIP_DEFLATED)
        return f"{stem}.zip", packed.getvalue()
    if report.reporter.container == "xml":
        return f"{stem}.xml", document
    trailer = b"\r\n" if report.reporter.container == "gz+crlf" else b""
    return f"{stem}.xml.gz", gzip.compress(document, 6, mtime=0) + trailer


def mail(report: DemoReport, to: str) -> bytes:
    """The whole mail, laid out as the reporter does it."""
    reporter = report.reporter
    name, content = attachment(report)
    subject = f"Report Domain: {report.domain} Submitter: {reporter.host} Report-ID: {report.report_id}"
    made = _mail(reporter.email, to, subject, report.day + timedelta(days=1), f"{report.report_id}@{reporter.host}")
    disposition = "inline" if reporter.layout == "inline" else "attachment"
    maintype, _, subtype = reporter.mime.partition("/")
    # Many reporters give the name twice; RFC 2183 wants it in the disposition only.
    named: dict[str, Any] = {"disposition": disposition, "filename": name, "params": {"name": name}}
    if reporter.layout == "single":
        made.set_content(content, maintype, subtype, **named)
        return made.as_bytes()
    if reporter.layout == "html":
        made.set_content("<html><body><p>This is a DMARC aggregate report.</p></body></html>\n", subtype="html")
    else:
        made.set_content(f"This is an aggregate report about {report.domain} from {reporter.org_name}.\n")
    attach = made.add_related if reporter.layout == "related" else made.add_attachment
    attach(content, maintype, subtype, **named)
    made.set_boundary(f"=_{report.report_id}")
    return made.as_bytes()


def _mail(sender: str, to: str, subject: str, day: date, ident: str) -> EmailMessage:
    local, _, host = sender.partition("@")
    made = new_mail(Address("", local, host), to, subject, datetime.combine(day, time(4, 17), UTC))
    made["Message-ID"] = f"<{ident}>"
    return made


def broken(domain: str, last: date, to: str, seed: int = SEED) -> list[tuple[str, bytes]]:
    """A few mails that hold no countable report, each as (sender, mail): cut, empty, hostile, foreign, not a report."""
    sample = next(reports(domain, last, 1, seed))
    foreign = DemoReport(sample.reporter, "example.org", sample.day, sample.report_id + "1", sample.policy, sample.rows)
    document = xml(sample)
    doctype = document.replace(b"<feedback", b'<!DOCTYPE feedback [<!ENTITY x "y">]>\n<feedback', 1)
    parts = [
        ("dmarc@mail.example", "cut.xml.gz", gzip.compress(document, mtime=0)[:200]),
        ("postmaster@old.example", "unused.xml.gz", gzip.compress(b"unused", mtime=0)),
        ("reports@hostile.example", "doctype.xml", doctype),
        ("reports@empty.example", "empty.zip", b"PK\x05\x06" + bytes(18)),
    ]
    mails = [(foreign.reporter.email, mail(foreign, to))]
    for sender, name, content in parts:
        made = _mail(sender, to, f"Report domain: {domain}", last, f"{name}@mail.example")
        made.set_content("A DMARC report is attached.\n")
        made.add_attachment(content, "application", "octet-stream", filename=name, params={"name": name})
        made.set_boundary(f"=_{name}")
        mails.append((sender, made.as_bytes()))
    chat = _mail("someone@example.net", to, "Is this the right address?", last, "chat@example.net")
    chat.set_content("Hello, I found this address in your DNS. Who reads it?\n")
    return [*mails, ("someone@example.net", chat.as_bytes())]

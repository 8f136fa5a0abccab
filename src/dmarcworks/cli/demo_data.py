"""The demo's reports: days of plausible traffic of one domain, as values and as mails. Pure, the same for a seed.

In: domain, last day, number of days, seed. Out: reports with their records, and each as the mail in which its reporter
would send it, so that what was sent can be added up without the system under show.
"""

from __future__ import annotations

import gzip
import io
import random
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from xml.sax.saxutils import escape

from dmarcworks.cli.demo_reporters import REPORTERS, SERVICES, Reporter, Service
from dmarcworks.ingest.own_mail import Address, EmailMessage, new_mail

SEED = 7489


@dataclass(frozen=True, slots=True)
class Row:
    """A record: who sent how many, and with which disposition; `dkim` and `spf` are whether it aligned."""

    source_ip: str
    count: int
    dkim: bool
    spf: bool
    disposition: str
    service: str
    selector: str
    reason: str = ""

    @property
    def passed(self) -> bool:
        """DMARC passes when either aligns (RFC 7489 §3.1.1)."""
        return self.dkim or self.spf


@dataclass(frozen=True, slots=True)
class DemoReport:
    """One reporter's report about one UTC day."""

    reporter: Reporter
    domain: str
    day: date
    report_id: str
    policy: str
    rows: tuple[Row, ...]

    @property
    def messages(self) -> int:
        """The sum of the counts."""
        return sum(row.count for row in self.rows)

    @property
    def begin(self) -> int:
        """The day's first second."""
        return int(datetime.combine(self.day, time(), UTC).timestamp())

    @property
    def end(self) -> int:
        """The day's last second."""
        return self.begin + 86_399


def reports(domain: str, last: date, days: int = 90, seed: int = SEED) -> Iterator[DemoReport]:
    """Every report of the `days` up to and including `last`, oldest first."""
    chance = random.Random(f"{seed}:{domain}")  # noqa: S311 - a story, no secret
    for back in range(days - 1, -1, -1):
        day = last - timedelta(days=back)
        age = (days - back) / days
        policy = "none" if age <= 0.5 else "quarantine"
        for reporter in REPORTERS:
            if chance.random() < 0.03:  # now and then a reporter has a bad day
                continue
            rows = tuple(_rows(reporter, day, age, policy, chance))
            if rows:
                report_id = f"{chance.getrandbits(64):020d}"
                yield DemoReport(reporter, domain, day, report_id, policy, rows)


def _rows(reporter: Reporter, day: date, age: float, policy: str, chance: random.Random) -> Iterator[Row]:
    for place, service in enumerate(SERVICES):
        wanted = _volume(service, day, age) * reporter.share * chance.uniform(0.7, 1.3)
        for index, part in enumerate(_split(wanted, service.addresses, chance)):
            flawed = sum(chance.random() < service.flaw for _ in range(min(part, 400)))
            address = _address(place, index, service.v6 and index % 2 == 1)
            # A team fixed the CRM's signatures after the first third.
            dkim = service.dkim or (service.name == "crm" and age > 0.35)
            if part > flawed:
                yield _row(reporter, address, part - flawed, dkim, service.spf, policy, service)
            if flawed:
                yield _row(reporter, address, flawed, False, False, policy, service)
    yield from _forwarded(reporter, policy, chance)
    yield from _spoofed(reporter, age, policy, chance)


def _volume(service: Service, day: date, age: float) -> float:
    wanted = service.daily * (service.weekend if day.weekday() >= 5 else 1.0) * (0.9 + 0.2 * age)
    if service.burst_weekday is not None:
        wanted *= 2.5 if day.weekday() == service.burst_weekday else 0.4
    return wanted


def _split(wanted: float, addresses: int, chance: random.Random) -> list[int]:
    whole = int(wanted) + (chance.random() < wanted % 1)
    parts = [0] * addresses
    if whole < addresses * 4:
        parts[chance.randrange(addresses)] = whole
    else:
        cuts = sorted(chance.randrange(whole + 1) for _ in range(addresses - 1))
        parts = [high - low for low, high in zip([0, *cuts], [*cuts, whole], strict=True)]
    return [part for part in parts if part]


def _address(place: int, index: int, v6: bool) -> str:
    if v6:
        return f"2001:db8:{place + 1:x}::{index + 1:x}"
    block = "192.0.2" if place % 2 == 0 else "198.51.100"
    return f"{block}.{8 + (place // 2) * 16 + index}"


def _row(
    reporter: Reporter, address: str, count: int, dkim: bool, spf: bool, policy: str, service: Service, reason: str = ""
) -> Row:
    passed = dkim or spf
    disposition = "none" if passed or policy == "none" or reason else "quarantine"
    return Row(address, count, dkim, spf, disposition, service.name, service.selector, reason)


_FORWARDER = Service("university-forwarder", 0, 1.0, 4, selector="google")
_STRANGER = Service("unknown", 0, 1.0, 1, dkim=False, spf=False)


def _forwarded(reporter: Reporter, policy: str, chance: random.Random) -> Iterator[Row]:
    """Mail that a forwarder passed on: SPF breaks, DKIM mostly survives."""
    for index in range(3):
        count = int(40 * reporter.share * chance.uniform(0.5, 1.5))
        if count:
            survived = index != 2
            reason = "" if survived or not reporter.overrides else "forwarded"
            yield _row(reporter, f"203.0.113.{index + 2}", count, survived, False, policy, _FORWARDER, reason)


def _spoofed(reporter: Reporter, age: float, policy: str, chance: random.Random) -> Iterator[Row]:
    """A trickle of forged mail at all times, and one wave of it."""
    wave = 0.62 < age < 0.68
    for _ in range(24 if wave else 2):
        count = int((520 if wave else 9) * reporter.share * chance.random())
        if count:
            address = f"203.0.113.{chance.randrange(16, 255)}"
            yield _row(reporter, address, count, False, False, policy, _STRANGER)


# As a document ------------------------------------------------------------------------------------------------------


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
        found = "<discovery_method>treewalk</discovery_method>"
        return f"<p>{p}</p><sp>{p}</sp><np>{p}</np><fo>1</fo><testing>n</testing>{found}"
    return f"<adkim>r</adkim><aspf>r</aspf><p>{p}</p><sp>{p}</sp><pct>100</pct>"


def _record(report: DemoReport, row: Row) -> str:
    own = f"{row.service}.example"
    words = ("fail", "pass")
    # An unaligned service authenticates with its own domain, which is why DMARC fails.
    known = row.service != "unknown"
    mail_from = f"bounce.{report.domain}" if row.spf else (own if known else report.domain)
    reason = f"<reason><type>{row.reason}</type><comment></comment></reason>" if row.reason else ""
    identifiers = f"<header_from>{report.domain}</header_from>"
    if report.reporter.envelope:
        identifiers = f"<envelope_from>{mail_from}</envelope_from>{identifiers}"
    if report.reporter.envelope == "both":
        identifiers = f"<envelope_to>{report.reporter.host}</envelope_to>{identifiers}"
    signature = ""
    if row.dkim or known:
        signer = report.domain if row.dkim else own
        signature = f"<dkim><domain>{signer}</domain><selector>{row.selector}</selector><result>pass</result></dkim>"
    spf = words[row.spf or known]
    return (
        f"  <record><row><source_ip>{row.source_ip}</source_ip><count>{row.count}</count><policy_evaluated>"
        f"<disposition>{row.disposition}</disposition><dkim>{words[row.dkim]}</dkim><spf>{words[row.spf]}</spf>"
        f"{reason}</policy_evaluated></row><identifiers>{identifiers}</identifiers>"
        f"<auth_results>{signature}<spf><domain>{mail_from}</domain><scope>mfrom</scope><result>{spf}</result></spf>"
        "</auth_results></record>"
    )


# As a mail ----------------------------------------------------------------------------------------------------------


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

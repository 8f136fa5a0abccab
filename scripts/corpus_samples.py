"""The samples of tests/corpus: a report per habit, each with what a person expects to be read of it.

`Sample.counts` is kind, reports, records, messages, problems, as `parse --format summary` says them; they are written
by hand, so that a renewed corpus cannot agree with a wrong reading.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from corpus import BEGIN, END, feedback, gz, mail, metadata, part, policy, record, text, zip_

Counts = tuple[str, int, int, int, int]


@dataclass(frozen=True)
class Sample:
    """A file under tests/corpus, its bytes, the summary expected, and the codes of its warnings and problems."""

    name: str
    data: bytes
    counts: Counts
    codes: frozenset[str]


def _sample(name: str, data: bytes | str, counts: Counts, *codes: str) -> Sample:
    return Sample(name, data.encode() if isinstance(data, str) else data, counts, frozenset(codes))


def _one(messages: int, records: int = 1, problems: int = 0) -> Counts:
    return "aggregate", 1, records, messages, problems


_FAIL = "<disposition>none</disposition><dkim>fail</dkim><spf>fail</spf>"
_SPF = "<spf><domain>example.com</domain><result>pass</result></spf>"


def _by_reporter() -> Iterator[Sample]:
    """What the large receivers and the common software send."""
    google = feedback(
        "<report_metadata><org_name>google.example</org_name><email>noreply-dmarc-support@google.example</email>"
        "<extra_contact_info>https://support.google.example/a/answer/1</extra_contact_info>"
        "<report_id>5717107811868587001</report_id>"
        f"<date_range><begin>{BEGIN}</begin><end>{END}</end></date_range></report_metadata>",
        policy("<adkim>r</adkim><aspf>r</aspf><p>reject</p><sp>reject</sp><pct>100</pct><np>reject</np>"),
        record("192.0.2.10", 12),
        record("2001:DB8:0:0:0:0:0:25", 3, evaluated=_FAIL.replace("none", "reject")),
    ).encode()
    name = f"google.example!example.com!{BEGIN}!{END}.zip"
    # Google: the mail's body is the archive itself.
    archive = part(zip_((name[:-3] + "xml", google)), name, "application/zip")
    yield _sample("aggregate/google.eml", mail("google.example", archive), _one(15, 2))

    outlook = feedback(
        metadata("Outlook.example Com", "d6b6e8c0a1"),
        policy("<adkim>r</adkim><aspf>r</aspf><p>quarantine</p><sp>quarantine</sp><pct>100</pct><fo>1</fo>"),
        record(
            "198.51.100.25",
            7,
            identifiers="<envelope_to>hotmail.example</envelope_to><envelope_from>example.com</envelope_from>"
            "<header_from>example.com</header_from>",
            results="<dkim><domain>example.com</domain><selector>selector1</selector><result>pass</result></dkim>"
            "<spf><domain>example.com</domain><scope>mfrom</scope><result>pass</result></spf>",
        ),
        declaration='<?xml version="1.0"?>\n',
        attributes=' xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"',
    ).encode()
    name = f"outlook.example!example.com!{BEGIN}!{END}.xml.gz"
    # Microsoft: an HTML body before the attachment (never to be taken for XML).
    html = text("<html><body><p>This is a DMARC aggregate report &amp; more.</p></body></html>", "text/html")
    outlook_mail = mail(
        "outlook.example", html, part(gz(outlook), name), subject="[Preview] Report Domain: example.com"
    )
    yield _sample("aggregate/outlook.eml", outlook_mail, _one(7))
    yield _sample("aggregate/hotmail-bom.xml", b"\xef\xbb\xbf" + outlook, _one(7))
    yield _sample("aggregate/microsoft-utf16.xml", outlook.decode().replace('"1.0"', '"1.0" encoding="UTF-16"')
                  .encode("utf-16"), _one(7))  # fmt: skip

    yahoo = feedback(
        metadata("Yahoo.example Inc.", "1790099999.123456"),
        policy(),
        record(
            "203.0.113.5",
            2,
            evaluated="<disposition>none</disposition><dkim>fail</dkim><spf>fail</spf>"
            "<reason><type>forwarded</type><comment>via list</comment></reason>"
            "<reason><type>local_policy</type><comment>arc=pass</comment></reason>",
        ),
        declaration='<?xml version="1.0"?>\n',
        version="",
    ).encode()
    name = f"yahoo.example!example.com!{BEGIN}!{END}.xml.gz"
    yahoo_mail = mail("yahoo.example", text(), part(gz(yahoo), name, "application/zip"))
    yield _sample("aggregate/yahoo.eml", yahoo_mail, _one(2))
    # In spring 2023 the payload was the word "unused".
    unused = mail("yahoo.example", text(), part(gz(b"unused"), name))
    yield _sample("aggregate/yahoo-unused.eml", unused, ("none", 0, 0, 0, 1), "not_xml")

    aol = feedback(
        metadata("AOL.example Café", "aol_1"),
        policy("<adkim>r</adkim><aspf>r</aspf><p>none</p><pct>100</pct>"),
        record("192.0.2.77", 2, evaluated="<disposition>none</disposition><spf>pass</spf>", results=_SPF),
        record("192.0.2.78", 1, evaluated="<disposition>none</disposition>", results=_SPF),
        declaration='<?xml version="1.0" encoding="windows-1252"?>\n',
        attributes=' xmlns="http://dmarc.org/dmarc-xml/0.1"',
        version="",
    ).encode("windows-1252")
    yield _sample("aggregate/aol-windows-1252.xml.gz", gz(aol), _one(3, 2), "alignment_absent")

    mail_ru = feedback(
        metadata("mail.ru.example", "92305371"), policy("<adkim>r</adkim><aspf>r</aspf><sp>nil</sp>"), version=""
    )
    yield _sample(
        "aggregate/mail.ru.eml",
        mail("mail.ru.example", text(), part(gz(mail_ru.encode()), "mail.ru!example.com.xml.gz")),
        _one(0, 0),
        "no_p",
        "no_records",
    )

    gmx = feedback(
        metadata("GMX.example", "c8a4f2", more="<generator>GMX Reporter 3.1</generator>"),
        policy(
            "<discovery_method>treewalk</discovery_method><p>quarantine</p><sp>none</sp><np>reject</np>"
            "<adkim>r</adkim><aspf>s</aspf><testing>n</testing>"
        ),
        record("203.0.113.9", 41, evaluated="<disposition>pass</disposition><dkim>pass</dkim><spf>fail</spf>"),
        record(
            "2001:db8::9",
            1,
            evaluated="<disposition>none</disposition><dkim>fail</dkim><spf>fail</spf>"
            '<reason><type>policy_test_mode</type><comment lang="en">t=y</comment></reason>',
        ),
        attributes=' xmlns="urn:ietf:params:xml:ns:dmarc-2.0"',
    )
    yield _sample("aggregate/gmx-rfc9990.xml.gz", gz(gmx.encode()), _one(42, 2))

    plain = feedback(metadata("fastmail.example", "20260922.1"), policy(), record("192.0.2.3", 4)).encode()
    name = f"fastmail.example!example.com!{BEGIN}!{END}.xml.gz"
    yield _sample(
        "aggregate/fastmail-inline.eml",
        mail("fastmail.example", text(), part(gz(plain), name, disposition="inline")),
        _one(4),
    )

    ses = feedback(
        metadata("AMAZON-SES.example", "5f3b1c"), policy(), record("198.51.100.99", 9), version="<version>0.1</version>"
    ).encode()
    # Amazon SES: octet-stream, the long name in pieces (RFC 2231).
    head = (
        'Content-Type: application/octet-stream;\n\tname*0="amazon-ses.example!a.very.long.policy.domain.exam";\n'
        f'\tname*1="ple.com!{BEGIN}!{END}.xml.gz"\nContent-Transfer-Encoding: base64\n'
        "Content-Disposition: attachment;\n"
        '\tfilename*0="amazon-ses.example!a.very.long.policy.domain.exam";\n'
        f'\tfilename*1="ple.com!{BEGIN}!{END}.xml.gz"\n'
    )
    yield _sample("aggregate/amazon-ses.eml", mail("amazon-ses.example", text(), part(gz(ses), "", head=head)), _one(9))

    mimecast = feedback(metadata("Mimecast.example", "m-1"), policy(), record("192.0.2.60", 5)).encode()
    name = f"mimecast.example!example.com!{BEGIN}!{END}.xml.gz"
    yield _sample(
        "aggregate/mimecast-trailing.eml",
        mail("mimecast.example", text(), part(gz(mimecast) + b"\r\n", name)),
        _one(5),
        "gzip_trailing",
    )
    yield _sample(
        "aggregate/mimecast-zip-called-gzip.eml",
        mail("mimecast.example", text(), part(zip_((name[:-3], mimecast)), name)),
        _one(5),
    )

    stalwart = feedback(
        metadata("stalwart.example", "12345678_987"),
        policy(),
        record("192.0.2.88", 6, evaluated="<disposition>pass</disposition><dkim>pass</dkim><spf>pass</spf>"),
    ).encode()
    name = f"stalwart.example!example.com!{BEGIN}!{END}.xml.gz"
    yield _sample(
        "aggregate/stalwart-disposition-pass.eml", mail("stalwart.example", text(), part(gz(stalwart), name)), _one(6)
    )

    cisco = feedback(
        metadata("cisco-esa.example", "c0ffee@esa1"),
        policy("<adkim>r</adkim><aspf>r</aspf><p>none</p><sp></sp><pct>100</pct>"),
        record("192.0.2.12", 8),
        version="",
    ).encode()
    yield _sample("aggregate/cisco-esa-empty-sp.xml.gz", gz(cisco), _one(8))

    trustwave = feedback(metadata("trustwave.example", "t1"), policy(), record("192.0.2.13", 3)).encode()
    # Trustwave SEG spells the header field "ContentType:", so that there is none.
    head = (
        'ContentType: application/gzip; name="report.xml.gz"\nContent-Transfer-Encoding: base64\n'
        'Content-Disposition: attachment; filename="report.xml.gz"\n'
    )
    trustwave_mail = mail("trustwave.example", text(), part(gz(trustwave), "", head=head))
    yield _sample("aggregate/trustwave-no-content-type.eml", trustwave_mail, _one(3))

    opendmarc = feedback(
        metadata("opendmarc.example", "example.com-1790035200@opendmarc.example"),
        policy(),
        record(
            "192.0.2.14",
            2,
            evaluated=_FAIL,
            results="<dkim><domain>example.com</domain><result>unknown</result></dkim>"
            "<spf><domain>example.com</domain><result>unknown</result></spf>",
        ),
        version="",
    ).encode()
    name = "_var_db_opendmarc_opendmarc.example!example.com.xml"
    yield _sample(
        "aggregate/opendmarc-unknown.eml",
        mail("opendmarc.example", text(), part(zip_((name, opendmarc)), name + ".zip", "application/zip")),
        _one(2),
        "result_mapped",
    )

    # rspamd: not compressed, 8bit, single part of multipart/mixed with an empty text.
    rspamd = feedback(metadata("rspamd.example", "r&amp;d-1"), policy(), record("192.0.2.15", 1)).encode()
    yield _sample(
        "aggregate/rspamd-plain-8bit.eml",
        mail("rspamd.example", text(""), part(rspamd, "rspamd.example!example.com.xml", "text/xml", encoding="8bit")),
        _one(1),
    )
    seznam = feedback(metadata("seznam.example", "s-1"), policy(), record("192.0.2.16", 11)).encode()
    seznam_part = part(gz(seznam), "seznam.example!example.com.xml.gz")
    yield _sample(
        "aggregate/seznam-related.eml",
        mail("seznam.example", text(), seznam_part, kind="multipart/related"),
        _one(11),
    )
    inner = mail("seznam.example", text(), seznam_part).replace(b"\r\n", b"\n")
    forwarded = mail("office365.example", text("FW:"), b"Content-Type: message/rfc822\n\n" + inner)
    yield _sample("aggregate/office365-forwarded.eml", forwarded, _one(11))


def _by_value() -> Iterator[Sample]:
    """Odd values and odd order."""
    netease = feedback(
        metadata("163.example", "163_1", f"{BEGIN}.0", f"{END}.0"),
        policy("<adkim>r</adkim><aspf>r</aspf><p>none</p><sp>none</sp><pct>100</pct>").replace(
            "example.com", "EXAMPLE.COM."
        ),
        record("192.0.2.20", 2, identifiers="<header_from>Example.COM</header_from>"),
        declaration="",
        version="",
    )
    yield _sample("aggregate/netease-no-declaration.xml", netease, _one(2))
    kddi = feedback(
        metadata("kddi.example", "k1", BEGIN, BEGIN + 3_600),
        policy(),
        record("192.0.2.21", 4, evaluated=_FAIL + "<reason><type/><comment/></reason><reason></reason>"),
    )
    yield _sample("aggregate/kddi-empty-reasons.xml", kddi, _one(4))
    wp_pl = feedback(
        f"<report_metadata><date_range><begin>{BEGIN}</begin><end>{END}</end></date_range><org_name>wp.example</org_name>"
        "<email>dmarc@wp.example</email><report_id>wp-1</report_id></report_metadata>",
        record("192.0.2.22", 5),
        policy("<aspf>r</aspf>"),
        declaration="",
        version="",
    )
    yield _sample("aggregate/wp.pl-order.xml", wp_pl, _one(5), "no_p")
    docomo = feedback(
        metadata("docomo.example", "d1"),
        policy(),
        record(
            "192.0.2.23",
            1,
            evaluated=_FAIL,
            results="<spf><domain>example.com</domain><result>hardfail</result></spf>",
        ),
    )
    yield _sample("aggregate/docomo-hardfail.xml", docomo, _one(1), "result_mapped")
    nfm = feedback(
        metadata("nfm.example", "n1"),
        policy("<adkim>r</adkim><aspf>r</aspf><p>none</p><sp>none</sp><pct>100</pct><rf>afrf</rf><ri>86400</ri>"),
        record(
            "192.0.2.24",
            3,
            evaluated=_FAIL,
            results="<dkim><domain>example.com</domain><result>invalid</result></dkim>"
            "<spf><domain>example.com</domain><result></result></spf>",
        ),
        declaration="",
    )
    yield _sample("aggregate/nfm-invalid.xml", nfm, _one(3), "result_empty")
    globetax = feedback(
        metadata("globetax.example", "g1"),
        policy(),
        record("192.0.2.25", 2, evaluated="<disposition>none</disposition><dkim>fail</dkim><spf>softfail</spf>"),
        record("192.0.2.26", 1, evaluated="<disposition>None</disposition><dkim>Pass</dkim><spf>none</spf>"),
    )
    yield _sample("aggregate/globetax-softfail.xml", globetax, _one(3, 2), "alignment_odd")
    godaddy = feedback(metadata("godaddy.example", "gd1", BEGIN, BEGIN), policy(), record("192.0.2.27", 1))
    yield _sample("aggregate/godaddy-no-span.xml", godaddy, _one(1))
    sealy = feedback(metadata("sealy.example", "se1", BEGIN, BEGIN + 201 * 86_400), policy(), record("192.0.2.28", 1))
    yield _sample("aggregate/sealy-201-days.xml.gz", gz(sealy.encode()), _one(1))
    unipi = feedback(
        metadata("unipi.example", "u1"), policy(), record("192.0.2.29", 6).replace("identifiers", "identities")
    )
    yield _sample("aggregate/unipi-identities.xml", unipi, _one(6))
    gosecure = feedback(
        metadata("gosecure.example", "gs1"),
        policy(),
        record(
            "192.0.2.30",
            2,
            results="<dkim><domain/><result/></dkim><spf><domain>example.com</domain><scope>mfrom</scope>"
            "<result>pass</result></spf><spf><scope>helo</scope><result>none</result></spf>",
        ),
    )
    yield _sample("aggregate/gosecure-several-spf.xml", gosecure, _one(2), "result_empty")
    usssa = feedback(metadata("usssa.example", "us1"), policy(), record("192.0.2.31", 1, results=""))
    yield _sample("aggregate/usssa-empty-auth-results.xml", usssa, _one(1))
    zoho = feedback(metadata("zoho.example", "z1"), policy(), record("192.0.2.32", 0), record("192.0.2.33", "3.0"))
    yield _sample("aggregate/zoho-count-decimal.xml", zoho, _one(3, 2), "count_decimal")
    address = feedback(
        metadata("tierpod.example", "tp1"),
        policy(),
        record("", 1),
        record("108r.166.example", 2),
        record("fe80::1%eth0", 1),
        record("::ffff:192.0.2.1", 3),
    )
    yield _sample("aggregate/tierpod-source-ip.xml", address, _one(7, 4), "source_ip_odd")
    counts = feedback(
        metadata("attacker.example", "at1"),
        policy(),
        record("192.0.2.40", -5),
        record("192.0.2.41", 10**30),
        record("192.0.2.42", ""),
        record("192.0.2.43", 9),
    )
    codes = ("records_left_out", "count_invalid", "count_too_large", "count_missing")
    yield _sample("aggregate/attacker-counts.xml", counts, _one(9, 1, 3), *codes)
    dates = feedback(
        metadata("milliseconds.example", "ms1", f"{BEGIN}000", f"{END}000"), policy(), record("192.0.2.44", 1)
    )
    yield _sample("aggregate/milliseconds.xml", dates, _one(1), "date_odd")
    bare = feedback(
        f"<report_metadata><org_name/><date_range><begin>{END}</begin><end>{BEGIN}</end></date_range></report_metadata>",
        policy(),
        record("192.0.2.45", 1),
    )
    codes = ("no_org_name", "no_email", "no_report_id", "end_before_begin")
    yield _sample("aggregate/hand-made-bare.xml", bare, _one(1), *codes)


def _by_form() -> Iterator[Sample]:
    """Broken XML and archives in archives."""
    ikea = feedback(metadata("ikea.example", "i1"), policy(), record("192.0.2.50", 2)).replace(
        "<feedback>", '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="x">\n<feedback>'
    )
    yield _sample("aggregate/ikea-unclosed-schema.xml", ikea, _one(2), "text_outside")
    waterloo = feedback(metadata("uwaterloo.example Arts & <Science", "w1"), policy(), record("192.0.2.51", 3))
    yield _sample("aggregate/uwaterloo-unescaped.xml", waterloo, _one(3), "markup_escaped")
    sueno = feedback(metadata("sueno.example Sueño", "su1"), policy(), record("192.0.2.52", 1)).encode("latin-1")
    yield _sample("aggregate/sueno-invalid-utf8.xml", sueno, _one(1), "characters_replaced")
    treewalk = feedback(
        metadata("dmarcq.example", "x1"),
        policy(),
        '<extension><x:note xmlns:x="urn:example:x"><x:record>no record</x:record></x:note></extension>',
        record("192.0.2.53", 2).replace(
            "</record>", '<x:extra xmlns:x="urn:example:x"><count>99</count></x:extra></record>'
        ),
        attributes=' xmlns="urn:ietf:params:xml:ns:dmarc-2.0"',
    )
    yield _sample("aggregate/dmarcq-extension.xml", treewalk, _one(2))
    prefixed = feedback(metadata("prefix.example", "px1"), policy(), record("192.0.2.54", 2))
    prefixed = prefixed.replace("</", "</\0").replace("<", "<n:").replace("<n:/\0", "</n:").replace("<n:?", "<?")
    prefixed = prefixed.replace("<n:feedback>", '<n:feedback xmlns:n="urn:ietf:params:xml:ns:dmarc-2.0">')
    yield _sample("aggregate/prefixed-namespace.xml", prefixed, _one(2))
    upper = feedback(metadata("upper.example", "up1"), policy(), record("192.0.2.55", 2))
    for name in ("feedback", "record", "policy_published", "date_range"):
        upper = upper.replace(f"<{name}>", f"<{name.upper()}>").replace(f"</{name}>", f"</{name.upper()}>")
    yield _sample("aggregate/upper-case-tags.xml", upper, _one(2), "upper_case_tags")
    first = feedback(metadata("zipper.example", "zz1"), policy(), record("192.0.2.56", 2)).encode()
    second = feedback(metadata("zipper.example", "zz2"), policy(), record("192.0.2.57", 3)).encode()
    archive = zip_(
        ("reports/", b""), ("__MACOSX/._1.xml", b"\0\5\x16\7"), ("reports/1.xml", first), ("2.xml.gz", gz(second))
    )
    yield _sample("aggregate/macos-two-reports.zip", archive, ("aggregate", 2, 2, 5, 0))
    yield _sample("aggregate/tierpod-gzip-in-gzip.gz", gz(gz(first)), _one(2))
    yield _sample("aggregate/members-concatenated.xml.gz", gz(first[:300]) + gz(first[300:]), _one(2))
    yield _sample("aggregate/leading-text.xml", b"\r\n  Report follows:\r\n" + first, _one(2), "leading_text")
    good_and_bad = mail("gateway.example", text(), part(gz(first)[:-40], "1.xml.gz"), part(gz(second), "2.xml.gz"))
    yield _sample("aggregate/gateway-truncated-and-good.eml", good_and_bad, _one(3, 1, 1), "gzip_truncated")
    yield _sample("aggregate/gateway-truncated.xml", first[:-30], ("none", 0, 0, 0, 1), "xml_truncated")
    doctype = first.replace(
        b"<feedback>", b'<!DOCTYPE feedback [<!ENTITY a SYSTEM "file:///etc/hostname">]>\n<feedback>'
    )
    yield _sample("aggregate/attacker-doctype.xml", doctype, ("none", 0, 0, 0, 1), "doctype")
    cron = mail("cron.example", text("The job has run."), subject="Cron <root@host> job")
    yield _sample("aggregate/cron-no-report.eml", cron, ("none", 0, 0, 0, 1), "no_report")


_MESSAGE = (
    b"Received: from mail.example.net (mail.example.net [192.0.2.90])\n\tby mx.reporter.example;"
    b" Tue, 22 Sep 2026 10:00:00 +0000\n"
    b'From: "Example Billing" <billing@example.com>\nTo: someone@reporter.example\n'
    b"Subject: =?utf-8?q?Rechnung_f=C3=BCr_September?=\nMessage-ID: <abc@example.com>\n\n"
)


def _arf(
    fields: str, original: bytes, org: str, *, kind: str = "message/rfc822", head: str = "", encoded: bool = False
) -> bytes:
    report = fields.encode()
    machine = (
        part(report, "", head="Content-Type: message/feedback-report\nContent-Transfer-Encoding: base64\n")
        if encoded
        else b"Content-Type: message/feedback-report\n\n" + report
    )
    return mail(
        org,
        text("This is an authentication failure report."),
        machine,
        (head or f"Content-Type: {kind}\n").encode() + b"\n" + original,
        kind="multipart/report; report-type=feedback-report",
        subject="FW: Rechnung",
    )


def _failures() -> Iterator[Sample]:
    one = ("failure", 1, 1, 1, 0)
    base = (
        "Feedback-Type: auth-failure\nUser-Agent: Lua/1.0\nVersion: 1.0\nOriginal-Mail-From: <bounce@example.com>\n"
        "Original-Rcpt-To: someone@reporter.example\nArrival-Date: Tue, 22 Sep 2026 10:00:00 +0000\n"
        "Reporting-MTA: dns; mx.reporter.example\nSource-IP: 192.0.2.90\n"
        "Authentication-Results: mx.reporter.example; dkim=none; spf=fail\n smtp.mailfrom=example.com\n"
        "Reported-Domain: example.com\nDelivery-Result: reject\nAuth-Failure: dmarc\nIdentity-Alignment: none\n"
    )
    linkedin = base.replace("Identity-Alignment: none\n", "").replace("Lua", "LinkedIn")
    yield _sample(
        "failure/linkedin.eml", _arf(linkedin, _MESSAGE + b"Dear customer\n", "linkedin.example"), one, "fields_absent"
    )
    netease = base.replace("Delivery-Result: reject", "Delivery-Result: delivered-maybe").replace(
        "Lua/1.0", "NtesDmarcReporter"
    )
    head = 'Content-Type: text/rfc822-headers; name="[example.com]!headers.txt"\n'
    yield _sample(
        "failure/netease-headers.eml", _arf(netease, _MESSAGE, "163.example", head=head), one, "delivery_result_odd"
    )
    ses = base.replace("192.0.2.90", "192.0.2.90 (relay.example.net)")
    yield _sample("failure/ses-relay-source-ip.eml", _arf(ses, _MESSAGE, "relay.example", encoded=True), one)
    rfc9991 = (
        base.replace("Identity-Alignment: none", "Identity-Alignment: dkim, spf").replace(
            "Auth-Failure: dmarc", "Auth-Failure: signature"
        )
        + "DKIM-Domain: example.com\nDKIM-Identity: @example.com\nDKIM-Selector: s1\n"
        "Incidents: 3\nSPF-DNS: txt : example.com : v=spf1 -all\n"
    )
    yield _sample("failure/rfc9991.eml", _arf(rfc9991, _MESSAGE, "rfc.example", kind="text/rfc822-headers"), one)
    exim_text = (
        "A message claiming to be from you has failed the published DMARC policy for your domain.\n\n"
        "  Sender Domain: example.com\n  Sender IP Address: 192.0.2.91\n"
        "  Received Date: Tue, 22 Sep 2026 10:00:00 +0000\n"
        "  SPF Alignment: no\n  DKIM Alignment: no\n  DMARC Results: None, Accept\n\n"
        "------ This is a copy of the headers that were received before the error was detected.\n\n"
    )
    exim = text(exim_text + _MESSAGE.decode())
    yield _sample(
        "failure/exim-plain-text.eml", mail("exim.example", exim, subject="DMARC Forensic Report"), one, "text_form"
    )
    # The message that is reported carries an aggregate report: evidence, never read as a report.
    smuggled = part(
        gz(feedback(metadata("smuggler.example", "no"), policy(), record(count=999)).encode()), "report.xml.gz"
    )
    carrier = mail("smuggler.example", text(), smuggled).replace(b"\r\n", b"\n")
    yield _sample("failure/smuggled-report.eml", _arf(base, carrier, "victim.example"), one)
    abuse = "Feedback-Type: abuse\nUser-Agent: Complaints/1.0\nVersion: 1\nSource-IP: 192.0.2.92\n"
    yield _sample(
        "failure/complaint-abuse.eml",
        _arf(abuse, _MESSAGE, "complaints.example"),
        ("none", 0, 0, 0, 1),
        "not_a_dmarc_failure",
    )


def _tls(org: str, policies: object, **more: object) -> dict[str, Any]:
    return {
        "organization-name": org,
        "date-range": {"start-datetime": "2026-09-22T00:00:00Z", "end-datetime": "2026-09-22T23:59:59Z"},
        "contact-info": f"smtp-tls-reporting@{org.split()[0].lower()}",
        "report-id": "2026-09-22T00:00:00Z_example.com",
        "policies": policies,
        **more,
    }


def _entry(kind: str = "sts", good: object = 10, bad: object = 0, **policy_: object) -> dict[str, Any]:
    return {
        "policy": {"policy-type": kind, "policy-domain": "example.com", **policy_},
        "summary": {"total-successful-session-count": good, "total-failure-session-count": bad},
    }


def _one_tls(sessions: int, policies: int = 1, problems: int = 0) -> Counts:
    return "tls", 1, policies, sessions, problems


def _tls_reports() -> Iterator[Sample]:
    sts = {
        "policy-string": ["version: STSv1", "mode: enforce", "mx: mx1.example.com", "max_age: 604800"],
        "mx-host": ["mx1.example.com"],
    }
    expired = {
        "result-type": "certificate-expired",
        "sending-mta-ip": "192.0.2.100",
        "receiving-mx-hostname": "MX1.example.com.",
        "receiving-ip": "2001:db8::25",
        "failed-session-count": 2,
    }
    tlsa = _entry("tlsa", 5, 0, **{"policy-string": ["3 1 1 abcd"], "mx-host": ["mx1.example.com"]})
    google = _tls("Google.example Inc.", [{**_entry("sts", 100, 2, **sts), "failure-details": [expired]}, tlsa])
    name = f"google.example!example.com!{BEGIN}!{END}!001.json.gz"
    google_mail = mail(
        "google.example",
        text("This is an aggregate TLS report from google.example"),
        part(gz(json.dumps(google).encode()), name, "application/tlsrpt+gzip"),
        kind='multipart/report; report-type="tlsrpt"',
    )
    yield _sample("tls/google.eml", google_mail, _one_tls(107, 2))
    fetch = {"result-type": "sts-policy-fetch-error", "failed-session-count": 7, "failure-reason-code": "HTTP 404"}
    microsoft = _tls(
        "Microsoft.example Corporation",
        [{**_entry("sts", 0, 7, **{"policy-string": "version: STSv1"}), "failure-details": [fetch]}],
        **{"report-id": "133999000000000000+example.com"},
    )
    yield _sample("tls/microsoft.json.gz", gz(json.dumps(microsoft, indent=1).encode()), _one_tls(7))
    plain = part(json.dumps(microsoft).encode(), "report.json", "application/tlsrpt+json", encoding="7bit")
    yield _sample("tls/microsoft-plain.eml", mail("microsoft.example", text(), plain), _one_tls(7))
    reporter = _tls(
        "tlsrpt-reporter.example",
        [{"policy": {"policy-type": "no-policy-found"}, "summary": _entry(good=3)["summary"], "failure-details": None}],
        **{"report-id": "2026-09-22T00:00:00Z_idx1_example.com"},
    )
    yield _sample("tls/tlsrpt-reporter.json", json.dumps(reporter), _one_tls(3), "no_policy_domain")
    mail_ru = _tls("Mail.ru.example", [_entry("sts", 4, 0, **{"mx-host": "mx1.example.com"}), _entry("tlsa", 1)])
    yield _sample("tls/mail.ru-mx-host-string.json", json.dumps(mail_ru), _one_tls(5, 2))
    nobody = _tls("Comcast.example", [_entry(good=9)], **{"contact-info": None})
    yield _sample(
        "tls/comcast-bom-no-contact.json", b"\xef\xbb\xbf" + json.dumps(nobody).encode(), _one_tls(9), "no_contact_info"
    )
    lenient = _tls("lenient.example", [_entry(good="12", bad="1"), {"policy": {"policy-type": "sts"}}])
    codes = ("count_text", "no_summary", "no_policy_domain")
    yield _sample("tls/lenient-counts-as-text.json", json.dumps(lenient), _one_tls(13, 2), *codes)
    yield _sample("tls/nothing-to-say.json", json.dumps(_tls("quiet.example", [])), _one_tls(0, 0))
    offset = _tls("offset.example", [_entry(good=1)])
    offset["date-range"] = {"start-datetime": "2026-09-22T02:00:00.123+02:00", "end-datetime": "2026-09-22T23:59:59"}
    yield _sample("tls/offset-dates.json", json.dumps(offset), _one_tls(1))
    negative = _tls("attacker.example", [_entry(good=-1), _entry(good=2)])
    yield _sample(
        "tls/attacker-negative.json", json.dumps(negative), _one_tls(2, 1, 1), "sessions_invalid", "policies_left_out"
    )
    twice = json.dumps(nobody).replace('"policies"', '"report-id": "other", "policies"')
    yield _sample("tls/attacker-duplicate-key.json", twice, ("none", 0, 0, 0, 1), "json_duplicate_key")


SAMPLES = (*_by_reporter(), *_by_value(), *_by_form(), *_failures(), *_tls_reports())

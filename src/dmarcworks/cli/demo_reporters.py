"""The demo's reporters and senders. Pure tables.

Reporters carry the names and the habits of real ones (container, MIME type, place in the mail, fields). The domain
sends through about ten real services, which sign with their own domains too, and through systems of its own. Their
addresses are invented, out of the documentation ranges (RFC 5737, RFC 3849).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reporter:
    """A receiver that reports. `share` of all mail; `mime` of the attachment; `layout` of the mail around it."""

    org_name: str
    email: str
    host: str
    share: float
    container: str
    mime: str
    layout: str = "mixed"
    namespace: str = ""
    version: str | None = "1.0"
    encoding: bool = True
    envelope: str = ""
    extra: str = ""
    modern: bool = False
    overrides: bool = False


@dataclass(frozen=True, slots=True)
class Service:
    """A sending service. `daily` mails on a weekday, `weekend` of that at weekends; which of DKIM and SPF aligns.

    `signer` is the domain that the service itself signs with, `envelope` its return path where SPF does not align.
    """

    name: str
    daily: float
    weekend: float
    addresses: int
    dkim: bool = True
    spf: bool = True
    selector: str = "s1"
    v6: bool = False
    burst_weekday: int | None = None
    flaw: float = 0.004
    signer: str = ""
    envelope: str = ""


RFC9990 = "urn:ietf:params:xml:ns:dmarc-2.0"

REPORTERS: tuple[Reporter, ...] = (
    Reporter(
        "google.com", "noreply-dmarc-support@google.com", "google.com", 0.36, "zip", "application/zip", "single",
        extra="https://support.google.com/a/answer/2466580", overrides=True,
    ),
    Reporter(
        "Outlook.com", "dmarcreport@microsoft.com", "protection.outlook.com", 0.2, "gz", "application/gzip", "html",
        namespace="http://www.w3.org/2001/XMLSchema", envelope="both",
    ),
    Reporter(
        "Enterprise Outlook", "dmarcreport@microsoft.com", "enterprise.protection.outlook.com", 0.12, "gz",
        "application/gzip", "html", envelope="both", overrides=True,
    ),
    Reporter(
        "Yahoo", "dmarchelp@yahooinc.com", "yahoo.com", 0.09, "gz", "application/gzip", version=None, encoding=False,
        envelope="from",
    ),
    Reporter("Mail.Ru", "dmarc_support@corp.mail.ru", "mail.ru", 0.03, "gz", "application/x-gzip"),
    Reporter(
        "GMX", "noreply-dmarc@gmx.net", "gmx.net", 0.05, "gz", "application/x-gzip", namespace=RFC9990, modern=True
    ),
    Reporter(
        "WEB.DE", "noreply-dmarc@web.de", "web.de", 0.04, "gz", "application/gzip", namespace=RFC9990, modern=True
    ),
    Reporter("seznam.cz a.s.", "abuse@seznam.cz", "seznam.cz", 0.02, "zip", "application/zip", "related"),
    Reporter(
        "Fastmail Pty Ltd", "reports@fastmaildmarc.com", "fastmail.com", 0.025, "gz", "application/gzip", "inline",
        envelope="from",
    ),
    Reporter(
        "AMAZON-SES", "postmaster@amazonses.com", "amazonses.com", 0.02, "gz", "application/octet-stream",
        version="0.1", envelope="both",
    ),
    Reporter(
        "Mimecast", "no-reply@dmarc.mimecast.com", "mimecast.com", 0.025, "gz+crlf", "application/gzip", overrides=True
    ),
    Reporter("comcast.net", "dmarc-reports@alerts.comcast.net", "comcast.net", 0.015, "zip", "application/zip"),
    Reporter("wp.pl", "dmarc@wp.pl", "wp.pl", 0.005, "xml", "text/xml", encoding=False, version=None),
)  # fmt: skip

_GOOGLE, _MICROSOFT = "example-com.20230601.gappssmtp.com", "example.onmicrosoft.com"

SERVICES: tuple[Service, ...] = (
    Service("workspace", 900, 0.18, 6, selector="google", v6=True, signer=_GOOGLE),
    Service("office", 420, 0.12, 4, selector="selector1", signer=_MICROSOFT),
    Service("newsletter", 2600, 0.05, 6, selector="k1", burst_weekday=1, signer="mcsv.net"),
    Service("shop", 760, 1.25, 4, selector="shop", v6=True, signer="shopifyemail.com"),
    Service("invoices", 240, 0.1, 2, selector="inv2024", burst_weekday=0),
    # Never set up: the first one to fix.
    Service(
        "tickets", 310, 0.35, 3, dkim=False, spf=False, selector="zendesk1", v6=True, signer="zendesk.com",
        envelope="zendesk.com",
    ),
    Service("shipping", 380, 0.5, 2, selector="ship", signer="amazonses.com"),
    Service("monitoring", 160, 1.0, 1, selector="mail"),
    Service("signup", 290, 0.9, 2, selector="tx", signer="amazonses.com"),
    Service("surveys", 90, 0.2, 2, selector="sv", signer="surveymonkey.com"),
    Service("calendar", 120, 0.1, 1, selector="google", signer=_GOOGLE),
    Service("careers", 45, 0.15, 1, selector="ats", signer="greenhouse.io"),
    Service("payroll", 20, 0.0, 1, selector="mail", burst_weekday=4),
    Service("webinar", 70, 0.1, 2, selector="web", burst_weekday=2, signer="zoom.us"),
    Service("loyalty", 350, 0.8, 3, selector="k1", v6=True, signer="mcsv.net"),
    Service("backup", 24, 1.0, 1, dkim=False),
    Service("intranet", 60, 0.05, 1, dkim=False),
    Service("helpdesk", 110, 0.2, 2, spf=False, selector="mail"),
    Service("lists", 95, 0.6, 1, spf=False, selector="mail"),
    Service("crm", 210, 0.08, 3, dkim=False, spf=False, signer="salesforce.com", envelope="bnc.salesforce.com"),
    # The second one to fix.
    Service(
        "campaigns", 75, 0.1, 1, dkim=False, spf=False, selector="hs1", signer="hubspotemail.net",
        envelope="bounce.hubspotemail.net",
    ),
    Service("events", 40, 0.4, 1, spf=False, selector="mail"),
    Service("partner-portal", 55, 0.1, 1, selector="mail"),
    Service("press", 30, 0.05, 1, selector="mail"),
    Service("feedback", 25, 0.5, 1, selector="shop", signer="shopifyemail.com"),
    Service("alerts", 85, 1.0, 1, selector="tx", signer="amazonses.com"),
    Service("status", 35, 0.9, 1, selector="tx", signer="amazonses.com"),
    Service("academy", 50, 0.3, 1, selector="mail", v6=True),
    Service("bookings", 130, 1.1, 2, selector="shop", signer="shopifyemail.com"),
    Service("archive", 12, 0.0, 1, selector="mail"),
)  # fmt: skip

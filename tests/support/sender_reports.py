"""A report about senders.example in which each kind of sender has a record."""

from __future__ import annotations

from tests.support.rest import BEGIN

SERVICES = (
    # address, count, DKIM (domain, selector), SPF domain, aligned
    ("192.0.2.10", 40, ("sendgrid.net", "s1"), "b.sendgrid.net", False),
    ("192.0.2.11", 30, ("senders.example", "own"), "", True),
    ("192.0.2.77", 20, None, "", False),
    ("203.0.113.9", 10, None, "<b>.example", False),
    ("198.51.100.9", 5, ("=cmd|x.example", "s1"), "", False),
)


def report(report_id: str = "services", begin: int = BEGIN) -> bytes:
    """A report about one day with a record per service."""
    records = ""
    for ip, count, signature, envelope, aligned in SERVICES:
        dkim = (
            f"<dkim><domain>{signature[0]}</domain><selector>{signature[1]}</selector><result>pass</result></dkim>"
            if signature
            else ""
        )
        envelope = envelope.replace("<", "&lt;").replace(">", "&gt;")
        spf = f"<spf><domain>{envelope or 'x.example'}</domain><result>{'pass' if envelope else 'fail'}</result></spf>"
        records += (
            f"<record><row><source_ip>{ip}</source_ip><count>{count}</count><policy_evaluated><disposition>none"
            f"</disposition><dkim>{'pass' if aligned else 'fail'}</dkim><spf>fail</spf></policy_evaluated></row>"
            f"<identifiers><header_from>senders.example</header_from></identifiers><auth_results>{dkim}{spf}"
            "</auth_results></record>"
        )
    return (
        '<?xml version="1.0"?><feedback><report_metadata><org_name>mail.example</org_name><email>a@x.example</email>'
        f"<report_id>{report_id}</report_id><date_range><begin>{begin}</begin><end>{begin + 86399}</end></date_range>"
        "</report_metadata><policy_published><domain>senders.example</domain><p>none</p></policy_published>"
        f"{records}</feedback>"
    ).encode()

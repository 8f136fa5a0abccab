"""A report about policy.example: own mail by DKIM, a service without alignment, a forwarder's override, a stranger."""

from __future__ import annotations

DOMAIN = "policy.example"
# address, count, header_from, (DKIM domain, selector, result), (SPF domain, result), (dkim, spf) evaluated, override
_ROWS = (
    ("192.0.2.10", 900, DOMAIN, (DOMAIN, "s1"), (DOMAIN, "pass"), ("pass", "pass"), ""),
    ("192.0.2.11", 60, DOMAIN, ("mail." + DOMAIN, "sub"), ("x.example", "fail"), ("pass", "fail"), ""),
    ("192.0.2.20", 25, DOMAIN, ("sendgrid.net", "s1"), ("b.sendgrid.net", "pass"), ("fail", "fail"), ""),
    ("198.51.100.5", 10, DOMAIN, None, (DOMAIN, "fail"), ("fail", "fail"), "forwarded"),
    ("203.0.113.9", 5, "ghost." + DOMAIN, None, ("=cmd.example", "pass"), ("fail", "fail"), ""),
)


def report(begin: int, *, report_id: str = "policy-1", org: str = "mail.example", policy: str = "<p>none</p>") -> bytes:
    """One day's report: 1,000 messages, 40 of which fail."""
    records = ""
    for ip, count, author, signature, (envelope, spf), (dkim, aligned_spf), reason in _ROWS:
        signed = (
            f"<dkim><domain>{signature[0]}</domain><selector>{signature[1]}</selector><result>pass</result></dkim>"
            if signature
            else ""
        )
        override = f"<reason><type>{reason}</type></reason>" if reason else ""
        records += (
            f"<record><row><source_ip>{ip}</source_ip><count>{count}</count><policy_evaluated><disposition>none"
            f"</disposition><dkim>{dkim}</dkim><spf>{aligned_spf}</spf>{override}</policy_evaluated></row><identifiers>"
            f"<header_from>{author}</header_from></identifiers><auth_results>{signed}<spf><domain>{envelope}</domain>"
            f"<scope>mfrom</scope><result>{spf}</result></spf></auth_results></record>"
        )
    return (
        f'<?xml version="1.0"?><feedback><report_metadata><org_name>{org}</org_name><email>a@x.example</email>'
        f"<report_id>{report_id}</report_id><date_range><begin>{begin}</begin><end>{begin + 86399}</end></date_range>"
        f"</report_metadata><policy_published><domain>{DOMAIN}</domain>{policy}</policy_published>{records}</feedback>"
    ).encode()

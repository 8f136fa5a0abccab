"""Example statements on the SQL page, each for a common question about reports."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SqlExample:
    """A statement with a name."""

    key: str
    name: str
    text: str


EXAMPLES = (
    SqlExample(
        "days",
        "By day",
        "SELECT day, dmarc, sum(count) AS messages\nFROM dmarc_reports\nWHERE day > today() - INTERVAL 30 DAY\n"
        "GROUP BY day, dmarc\nORDER BY day",
    ),
    SqlExample(
        "reporters",
        "Reporters",
        "SELECT org_name AS reporter, sum(count) AS messages\nFROM dmarc_reports\n"
        "GROUP BY reporter\nORDER BY messages DESC\nLIMIT 20",
    ),
    SqlExample(
        "failing",
        "What fails",
        "SELECT source_ip, header_from, sum(count) AS messages\nFROM dmarc_reports\nWHERE dmarc = 'fail'\n"
        "GROUP BY source_ip, header_from\nORDER BY messages DESC\nLIMIT 100",
    ),
    SqlExample(
        "selectors",
        "DKIM selectors",
        "SELECT one.domain AS signer, one.selector AS selector, one.result AS result, sum(count) AS messages\n"
        "FROM (SELECT count, arrayJoin(dkim) AS one FROM dmarc_reports)\n"
        "GROUP BY signer, selector, result\nORDER BY messages DESC\nLIMIT 100",
    ),
    SqlExample(
        "tls",
        "TLS",
        "SELECT day, sum(successful_sessions) AS successful, sum(failed_sessions) AS failed\nFROM tls_reports\n"
        "GROUP BY day\nORDER BY day",
    ),
)

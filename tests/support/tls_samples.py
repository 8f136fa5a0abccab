"""The TLS report of RFC 8460, to change and to mail."""

from __future__ import annotations

import copy
import json
from typing import Any

from dmarcworks.reports.model import Reading
from tests.support.report_samples import gz, mailed

_REPORT: dict[str, Any] = {
    "organization-name": "Company-X",
    "date-range": {"start-datetime": "2016-04-01T00:00:00Z", "end-datetime": "2016-04-01T23:59:59Z"},
    "contact-info": "sts-reporting@company-x.example",
    "report-id": "5065427c-23d3-47ca-b6e0-946ea0e8c4be",
    "policies": [
        {
            "policy": {
                "policy-type": "sts",
                "policy-string": ["version: STSv1", "mode: testing"],
                "policy-domain": "company-y.example",
                "mx-host": ["*.mail.company-y.example"],
            },
            "summary": {"total-successful-session-count": 100, "total-failure-session-count": 8},
            "failure-details": [
                {
                    "result-type": "certificate-expired",
                    "sending-mta-ip": "2001:db8:abcd:0012::1",
                    "receiving-mx-hostname": "mx1.mail.company-y.example",
                    "receiving-mx-helo": "mx1",
                    "receiving-ip": "203.0.113.56",
                    "failed-session-count": 8,
                    "additional-information": "https://reports.company-x.example/",
                    "failure-reason-code": "X509_V_ERR",
                }
            ],
        }
    ],
}


def report() -> dict[str, Any]:
    """The RFC's example, to change."""
    return copy.deepcopy(_REPORT)


def tls(document: Any, mark: bytes = b"") -> Reading:
    """The document as reporters mail it."""
    data = gz(mark + json.dumps(document).encode())
    return mailed(data, name="r.json.gz", kind="application/tlsrpt+gzip")

"""A TLS report's JSON against RFC 8460 §4.4 (and RFC 7493, I-JSON). In: its bytes. Out: outline and findings.

Places are JSON pointers (RFC 6901). JSON that cannot be parsed is one finding, with its line.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable
from typing import Any

from dmarcworks.reports.lint.aggregate import Outline
from dmarcworks.reports.lint.finding import Findings, shown

_CLAUSE = "RFC 8460 §4.4"
_TYPES = ("tlsa", "sts", "no-policy-found")
_RESULTS = (
    "starttls-not-supported",
    "certificate-host-mismatch",
    "certificate-expired",
    "certificate-not-trusted",
    "validation-failure",
    "tlsa-invalid",
    "dnssec-invalid",
    "dane-required",
    "sts-policy-fetch-error",
    "sts-policy-invalid",
    "sts-webpki-invalid",
)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
_DEPTH = 50
_LISTED = 10_000


def lint(data: bytes, findings: Findings) -> Outline:
    """Judge one document."""
    document = _loaded(data, findings)
    if not isinstance(document, dict):
        if document is not None:
            findings.add(_CLAUSE, "/", "no JSON object", "an object")
        return Outline("RFC 8460", "", "", "", "", "", "")
    check = _Check(findings)
    known = ("organization-name", "date-range", "contact-info", "report-id", "policies")
    check.members(document, "", known)
    for name in ("organization-name", "contact-info", "report-id"):
        check.text(document, name, "")
    dates = document.get("date-range")
    begin = end = ""
    if isinstance(dates, dict):
        check.members(dates, "/date-range", ("start-datetime", "end-datetime"))
        begin, end = (check.instant(dates, name, "/date-range") for name in ("start-datetime", "end-datetime"))
    else:
        check.wrong(
            "date-range" in document, "/date-range", "date-range", "an object with start-datetime and end-datetime"
        )
    policies = document.get("policies")
    domain = ""
    if isinstance(policies, list):
        for number, policy in enumerate(policies[:_LISTED]):
            policy_domain = _policy(check, policy, f"/policies/{number}")
            domain = domain or policy_domain
    else:
        check.wrong("policies" in document, "/policies", "policies", "an array of policies")
    reporter, contact, report_id = (
        _stated(document, name) for name in ("organization-name", "contact-info", "report-id")
    )
    return Outline("RFC 8460", reporter, contact, report_id, _plain(domain), _plain(begin), _plain(end))


def _stated(document: dict[str, Any], name: str) -> str:
    value = document.get(name)
    return _plain(value) if isinstance(value, str) else ""


def _plain(text: str) -> str:
    """Text that UTF-8 can hold: JSON's escapes can make halves of characters."""
    return text.encode("utf-8", "replace").decode()


def _loaded(data: bytes, findings: Findings) -> Any:
    if data.startswith(b"\xef\xbb\xbf"):
        findings.add("RFC 8259 §8.1", "/", "a byte order mark", "JSON without one", "warning", 1)
        data = data[3:]
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        findings.add("RFC 7493 §2.1", "/", f"bytes that are no UTF-8 at byte {error.start}", "UTF-8", line=line)
        text = data.decode("utf-8", "replace")
    twice: list[str] = []

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members: dict[str, Any] = {}
        for key, value in pairs:
            if key in members:
                twice.append(key)
            members[key] = value
        return members

    if max(text.count("["), text.count("{")) > 100 and _depth(text) > _DEPTH:
        findings.add(_CLAUSE, "/", f"JSON nested deeper than {_DEPTH}", "the structure of §4.4")
        return None
    try:
        document = json.loads(text, object_pairs_hook=once, parse_int=lambda digits: int(digits[:20]))
    except json.JSONDecodeError as error:
        findings.add("RFC 8259", f"line {error.lineno}", f"broken JSON: {error.msg}", "valid JSON", line=error.lineno)
        return None
    for key in twice:
        findings.add("RFC 7493 §2.3", "/", f"the name {shown(key)} twice in one object", "names that are unique")
    return document


def _depth(text: str) -> int:
    depth = deepest = 0
    for token in re.finditer(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{}]', text, re.DOTALL):
        first = text[token.start()]
        depth += 1 if first in "[{" else -1 if first in "]}" else 0
        deepest = max(deepest, depth)
    return deepest


class _Check:
    """Checks of members; a member's absence and a wrong value are different findings."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings

    def wrong(self, present: bool, where: str, name: str, should: str, severity: str = "error") -> None:
        """A member of the wrong type, or an absent one."""
        self._findings.add(_CLAUSE, where, f"{name} of another type" if present else f"no {name}", should, severity)

    def value(self, where: str, found: str, should: str, severity: str = "error") -> None:
        """A member with a wrong value."""
        self._findings.add(_CLAUSE, where, found, should, severity)

    def members(self, document: dict[str, Any], where: str, known: tuple[str, ...]) -> None:
        """Warn about members that the standard does not define (it requires readers to ignore them)."""
        for name in document:
            if name not in known:
                self.value(f"{where}/…", f"the member {shown(name)}", "one of " + ", ".join(known), "warning")

    def text(
        self, document: dict[str, Any], name: str, where: str, required: bool = True, severity: str = "error"
    ) -> str:
        """A string member that is not blank."""
        value = document.get(name)
        if isinstance(value, str) and value.strip():
            return value
        if required or name in document:
            present = name in document and value is not None
            self.wrong(present, f"{where}/{name}", name, "a string that is not empty", severity)
        return ""

    def instant(self, document: dict[str, Any], name: str, where: str) -> str:
        """An RFC 3339 date-time."""
        value = self.text(document, name, where)
        if value and not _INSTANT.fullmatch(value):
            self.value(f"{where}/{name}", f"{name} {shown(value)}", "a date-time of RFC 3339, as 2026-09-22T00:00:00Z")
        return value

    def number(self, document: dict[str, Any], name: str, where: str) -> int:
        """A count of sessions."""
        value = document.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        if name in document and value is not None:
            self.value(f"{where}/{name}", f"{name} {shown(json.dumps(value))}", "a whole number of sessions")
        else:
            self.wrong(False, f"{where}/{name}", name, "a whole number of sessions")
        return 0

    def word(self, document: dict[str, Any], name: str, where: str, words: tuple[str, ...]) -> str:
        """One of the standard's words."""
        value = self.text(document, name, where)
        if value and value not in words:
            self.value(f"{where}/{name}", f"{name} {shown(value)}", "one of " + ", ".join(words))
        return value

    def address(self, document: dict[str, Any], name: str, where: str, required: bool) -> None:
        """An IP address."""
        value = self.text(document, name, where, required, "warning")
        if value and not _is_address(value):
            self.value(f"{where}/{name}", f"{name} {shown(value)}", "an IPv4 or IPv6 address", "warning")

    def texts(self, document: dict[str, Any], name: str, where: str) -> None:
        """An array of strings."""
        value = document.get(name)
        if value is not None and not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
            self.wrong(True, f"{where}/{name}", name, "an array of strings", "warning")


def _is_address(text: str) -> bool:
    try:
        return "%" not in text and bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def _policy(check: _Check, entry: Any, where: str) -> str:
    if not isinstance(entry, dict):
        check.wrong(True, where, "a policy", "an object")
        return ""
    check.members(entry, where, ("policy", "summary", "failure-details"))
    domain = ""
    policy = entry.get("policy")
    if isinstance(policy, dict):
        check.members(policy, f"{where}/policy", ("policy-type", "policy-string", "policy-domain", "mx-host"))
        check.word(policy, "policy-type", f"{where}/policy", _TYPES)
        domain = check.text(policy, "policy-domain", f"{where}/policy")
        check.texts(policy, "policy-string", f"{where}/policy")
        check.texts(policy, "mx-host", f"{where}/policy")
    else:
        check.wrong("policy" in entry, f"{where}/policy", "policy", "an object with policy-type and policy-domain")
    failed = _summary(check, entry, where)
    details = entry.get("failure-details")
    if details is not None and not isinstance(details, list):
        check.wrong(True, f"{where}/failure-details", "failure-details", "an array")
    named = 0
    for number, detail in enumerate(details[:_LISTED] if isinstance(details, list) else ()):
        named += _detail(check, detail, f"{where}/failure-details/{number}")
    if failed is not None and named > failed:
        check.value(
            f"{where}/failure-details",
            f"{named} failed sessions in the details, {failed} in the summary",
            "no more than the summary's total-failure-session-count",
        )
    return domain


def _summary(check: _Check, entry: dict[str, Any], where: str) -> int | None:
    summary = entry.get("summary")
    names = ("total-successful-session-count", "total-failure-session-count")
    if not isinstance(summary, dict):
        check.wrong("summary" in entry, f"{where}/summary", "summary", "an object with " + " and ".join(names))
        return None
    check.members(summary, f"{where}/summary", names)
    count: Callable[[str], int] = lambda name: check.number(summary, name, f"{where}/summary")  # noqa: E731
    count(names[0])
    return count(names[1])


def _detail(check: _Check, detail: Any, where: str) -> int:
    if not isinstance(detail, dict):
        check.wrong(True, where, "a failure detail", "an object")
        return 0
    known = (
        "result-type sending-mta-ip receiving-mx-hostname receiving-mx-helo receiving-ip failed-session-count "
        "additional-information failure-reason-code"
    )
    check.members(detail, where, tuple(known.split()))
    result = check.word(detail, "result-type", where, _RESULTS)
    # No connection is made when the policy itself cannot be had.
    connected = not result.startswith("sts-policy")
    check.address(detail, "sending-mta-ip", where, connected)
    check.address(detail, "receiving-ip", where, False)
    check.text(detail, "receiving-mx-hostname", where, connected, "warning")
    return check.number(detail, "failed-session-count", where)

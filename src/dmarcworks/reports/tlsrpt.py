"""JSON → `TlsReport` (RFC 8460): policies, sessions, failure details; absent as None.

Left out with a named problem: a policy whose session counts are no numbers. Refused by name: JSON that is broken,
states a key twice, holds NaN or numbers beyond 2^63-1, is nested or larger than the bounds, no date range.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

from dmarcworks.reports import values
from dmarcworks.reports.alike import alike
from dmarcworks.reports.model import TlsFailure, TlsPolicy, TlsReport
from dmarcworks.reports.notes import LISTED, Notes, Refused, Work
from dmarcworks.reports.sniff import Head
from dmarcworks.reports.unpack import Leaf

_TOKENS = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{}]', re.DOTALL)
_KEYS = (b"organization-name", b"date-range", b"contact-info")
_REPORT_ID = 1024


def is_tls(head: bytes) -> bool:
    """Whether the head of a JSON file names what a TLS report has."""
    plain = head.replace(b"\0", b"")
    return b'"policies"' in plain or (b'"report-id"' in plain and any(b'"%s"' % key in plain for key in _KEYS))


def read(leaf: Leaf, head: Head, work: Work) -> tuple[TlsReport, str, str]:
    """The report in a JSON file, with the SHA-256 of the file's bytes and `alike`."""
    chunks: list[bytes] = []
    size = 0
    for chunk in leaf.open():
        size += len(chunk)
        if size > work.bounds.json_bytes:
            raise Refused("json_bytes", f"The TLS report is larger than the bound {work.bounds.named('json_bytes')}.")
        chunks.append(chunk)
    data = b"".join(chunks)
    digest = hashlib.sha256(data).hexdigest()
    notes = Notes()
    notes.extend(leaf.notes)
    document = _load(data, head, leaf.where, work, notes)
    return _report(document, digest, leaf.where, work, notes), digest, alike(data, digest)


def _load(data: bytes, head: Head, where: str, work: Work, notes: Notes) -> dict[str, Any]:
    text = data.decode(head.codec or "utf-8", "replace").lstrip("\ufeff \t\r\n\0").rstrip("\0 \t\r\n")
    if "�" in text:
        notes.add("characters_replaced", where, "Bytes that are no UTF-8 text were replaced.")
    depth = 0
    for token in _TOKENS.finditer(text):
        first = token.group()[0]
        depth += 1 if first in "[{" else -1 if first in "]}" else 0
        if depth > work.bounds.json_depth:
            raise Refused("json_depth", f"The JSON is nested deeper than the bound {work.bounds.named('json_depth')}.")
    try:
        document = json.loads(
            text, object_pairs_hook=_once, parse_constant=_no_number, parse_int=_integer, parse_float=_float
        )
    except json.JSONDecodeError as error:
        if depth > 0:
            raise Refused("json_truncated", f"The JSON ends before its end ({error.msg}).") from None
        raise Refused(
            "json_broken", f"The TLS report is no valid JSON: {error.msg} at character {error.pos}."
        ) from None
    if not isinstance(document, dict):
        raise Refused("other_json", "The JSON is a list, no TLS report.")
    return document


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1) if len(keys) < 1000 else keys[0]
        raise Refused("json_duplicate_key", f"The TLS report states {twice[:60]!r} twice.")
    return members


def _no_number(text: str) -> Any:
    raise Refused("json_number", f"{text} is not a number in JSON.")


def _integer(text: str) -> int:
    if len(text) > 20 or abs(number := int(text)) > values.LARGEST:
        raise Refused("json_number", f"The number {text[:40]} is larger than 2^63-1.")
    return number


def _float(text: str) -> float:
    number = float(text)
    if abs(number) > values.LARGEST:
        raise Refused("json_number", f"The number {text[:40]} is larger than 2^63-1.")
    return number


def _report(document: dict[str, Any], digest: str, where: str, work: Work, notes: Notes) -> TlsReport:
    policies = document.get("policies")
    if policies is None:
        notes.add("no_policies", where, "The report has no policies.")
        policies = []
    if not isinstance(policies, list):
        raise Refused("bad_policies", "The report's policies are no list.")
    if len(policies) > work.bounds.records:
        raise Refused("records", f"The report has more policies than the bound {work.bounds.named('records')}.")
    begin, end = _dates(document.get("date-range"), where, notes)
    contact = _text(document.get("contact-info"))
    organization = _text(document.get("organization-name"))
    for name, value in (("contact-info", contact), ("organization-name", organization)):
        if value is None:
            notes.add(f"no_{name.replace('-', '_')}", where, f"The report has no {name}.")
    report_id = _text(document.get("report-id"))
    if report_id is None:
        report_id = digest
        notes.add("no_report_id", where, "The report has no report-id; the hash of its bytes stands for it.")
    read_, left_out, total = [], 0, 0
    for number, policy in enumerate(policies, start=1):
        place = f"{where} > policy {number}"
        try:
            policy_ = _policy(policy, place, notes, work)
            total += (policy_.successful_sessions or 0) + (policy_.failed_sessions or 0)
            if total > values.LARGEST:
                total -= (policy_.successful_sessions or 0) + (policy_.failed_sessions or 0)
                raise Refused("sessions_invalid", "With this policy the report's sessions pass 2^63-1.")
            read_.append(policy_)
        except Refused as refused:
            left_out += 1
            if left_out <= LISTED:
                work.problem(refused.reason, place, refused.detail)
    if left_out:
        notes.add(
            "policies_left_out", where, f"{left_out} of {len(policies)} policies were left out, see the problems."
        )
    if left_out > LISTED:
        work.problem("more_records_left_out", where, f"{left_out - LISTED} more policies of the report were left out.")
    return TlsReport(
        organization_name=organization,
        contact_info=contact,
        report_id=report_id[:_REPORT_ID],
        begin=begin,
        end=end,
        policies=tuple(read_),
        warnings=notes.warnings(),
    )


def _dates(stated: Any, where: str, notes: Notes) -> tuple[int, int]:
    times: list[int] = []
    for name in ("start-datetime", "end-datetime"):
        value = _text(stated.get(name)) if isinstance(stated, dict) else None
        if value is None:
            raise Refused(
                "no_date_range", f"The report does not state which period it covers (date-range with {name})."
            )
        try:
            number, odd = _moment(value)
        except ValueError:
            raise Refused("bad_date_range", f"The date-range's {name} {value[:60]!r} is no date.") from None
        if odd:
            notes.add("date_odd", where, f"The date-range's {name}: {odd}")
        times.append(number)
    if times[1] < times[0]:
        notes.add("end_before_begin", where, "The date-range ends before it begins.")
    return times[0], times[1]


def _moment(text: str) -> tuple[int, str]:
    """A date-time of RFC 3339, which is not odd, or in another form."""
    try:
        return values.iso(text), ""
    except ValueError:
        return values.instant(text)


def _policy(entry: Any, place: str, notes: Notes, work: Work) -> TlsPolicy:
    if not isinstance(entry, dict):
        raise Refused("policy_invalid", "The policy is no JSON object.")
    policy = entry.get("policy")
    if not isinstance(policy, dict):
        notes.add("no_policy", place, "The policy's own part is absent.")
        policy = {}
    summary = entry.get("summary")
    if not isinstance(summary, dict):
        notes.add("no_summary", place, "The policy has no summary of its sessions.")
        summary = {}
    domain = _text(policy.get("policy-domain"))
    if domain is None:
        notes.add("no_policy_domain", place, "The policy has no policy-domain.")
    failures = entry.get("failure-details")
    if failures is not None and not isinstance(failures, list):
        failures = [failures]
    kind = _text(policy.get("policy-type"))
    return TlsPolicy(
        policy_type=kind.lower() if kind else None,
        policy_domain=values.domain(domain) if domain else None,
        policy_string=_texts(policy.get("policy-string")),
        mx_host=tuple(values.domain(host) for host in _texts(policy.get("mx-host", policy.get("mx-host-pattern")))),
        successful_sessions=_sessions(summary, "total-successful-session-count", place, notes),
        failed_sessions=_sessions(summary, "total-failure-session-count", place, notes),
        failures=_failures(failures or (), place, notes, work),
    )


def _failures(entries: Sequence[Any], place: str, notes: Notes, work: Work) -> tuple[TlsFailure, ...]:
    """The failure details that can be read; what is wrong with one is a problem and takes nothing from the policy."""
    read_: list[TlsFailure] = []
    wrong = 0
    for number, entry in enumerate(entries, start=1):
        detail = f"{place} > failure {number}"
        if isinstance(entry, dict):
            failure, bad = _failure(entry, detail, notes)
            read_.append(failure)
        else:
            bad = "The failure detail is not a JSON object and was left out."
        if bad:
            wrong += 1
            if wrong <= LISTED:
                work.problem("detail_invalid", detail, bad)
    if wrong:
        notes.add("details_invalid", place, f"{wrong} of {len(entries)} failure details are invalid, see the problems.")
    return tuple(read_)


def _failure(entry: dict[str, Any], place: str, notes: Notes) -> tuple[TlsFailure, str]:
    """A failure detail, and what is wrong with its count; the count is absent then."""
    wrong = ""
    try:
        sessions = _sessions(entry, "failed-session-count", place, notes)
    except Refused as refused:
        sessions, wrong = None, f"{refused.detail} The rest of the failure detail was read."
    host, kind = _text(entry.get("receiving-mx-hostname")), _text(entry.get("result-type"))
    failure = TlsFailure(
        result_type=kind.lower() if kind else None,
        sending_mta_ip=_address(entry, "sending-mta-ip", place, notes),
        receiving_mx_hostname=values.domain(host) if host else None,
        receiving_mx_helo=_text(entry.get("receiving-mx-helo")),
        receiving_ip=_address(entry, "receiving-ip", place, notes),
        failed_sessions=sessions,
        additional_information=_text(entry.get("additional-information", entry.get("additional-info-uri"))),
        failure_reason_code=_text(entry.get("failure-reason-code")),
    )
    return failure, wrong


def _address(entry: dict[str, Any], name: str, place: str, notes: Notes) -> str | None:
    value = _text(entry.get(name))
    if value is None:
        return None
    address, good = values.address(value)
    if not good:
        notes.add("ip_odd", place, f"The {name} {value[:80]!r} is not an IP address; the text was kept.")
    return address


def _sessions(entry: dict[str, Any], name: str, place: str, notes: Notes) -> int | None:
    """A session count, None where absent (noted); text is read as a number (noted)."""
    value = entry.get(name)
    if value is None or value == "":
        if entry:
            notes.add("count_absent", place, f"The policy has no {name}.")
        return None
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        number, odd = values.count(str(value).strip())
    except (ValueError, OverflowError):
        raise Refused("sessions_invalid", f"The {name} {str(value)[:40]!r} is not a number of sessions.") from None
    if odd or not isinstance(value, int):
        notes.add("count_text", place, f"The {name} {str(value)[:40]!r} was read as {number}.")
    return number


def _text(value: Any) -> str | None:
    """A text, trimmed; numbers as text; None for anything else or nothing."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = str(value).strip()
    return text.encode("utf-8", "replace").decode() if text else None


def _texts(value: Any) -> tuple[str, ...]:
    entries = value if isinstance(value, list) else [value]
    return tuple(text for entry in entries if (text := _text(entry)) is not None)

"""MTA-STS (RFC 8461): the record that announces a policy, the policy itself, and whether it matches the MX records."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dmarcworks.enrich.resolver import NoAnswerError
from dmarcworks.policy.dns_records.codes import finding_from
from dmarcworks.policy.dns_records.codes_mail import MTA_STS_CODES
from dmarcworks.policy.dns_records.finding import DnsFinding
from dmarcworks.policy.dns_records.https_fetch import DocumentFetcher, FetchedDocument, FetchError
from dmarcworks.policy.dns_records.lookup import RecordLookup

__all__ = ["StsPolicy", "check_mta_sts", "mx_matches", "policy_findings", "sts_policy", "sts_record_fault"]

_VERSION = re.compile(r"v=STSv1[ \t]*(?:;|$)")
_FIELD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}=[\x21-\x3a\x3c\x3e-\x7e]+")
_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
_MX = re.compile(r"(?:\*\.)?[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*")
_MOST_SECONDS, _DAY = 31_557_600, 86_400
_LINES = 1_000


@dataclass(frozen=True, slots=True)
class StsPolicy:
    """A policy as served: the first value of each key, every mx, and the lines that are none."""

    values: dict[str, str]
    mx: tuple[str, ...]
    wrong_lines: tuple[str, ...]
    duplicates: tuple[str, ...]


async def check_mta_sts(lookup: RecordLookup, fetch: DocumentFetcher, domain: str) -> list[DnsFinding]:
    """Check the MTA-STS of a domain; without a record nothing is fetched."""
    name = f"_mta-sts.{domain}"
    try:
        texts = await lookup.texts(name)
        hosts = [host for _, host in await lookup.mail_hosts(domain) if host]
    except NoAnswerError:
        return [_finding("no-answer", name=name)]
    records = [text for text in texts if _VERSION.match(text)]
    fix = f'{name} TXT "v=STSv1; id=1" (any new id announces a new policy)'
    if len(records) > 1:
        record = "\n".join(records)
        return [_finding("several-records", record=record, fix="Keep one of them.", count=len(records), name=name)]
    if not records:
        slips = [text for text in texts if "sts" in text.lower()]
        if slips:
            reason = "it must begin with v=STSv1;"
            return [_finding("record-invalid", record=slips[0], fix=fix, name=name, reason=reason)]
        return [_finding("missing", domain=domain)]
    if reason := sts_record_fault(records[0]):
        return [_finding("record-invalid", record=records[0], fix=fix, name=name, reason=reason)]
    policy_id = next(part.strip()[3:] for part in records[0].split(";") if part.strip().startswith("id="))
    findings = [_finding("record-valid", record=records[0], id=policy_id)]
    return [*findings, *await _served(fetch, domain, hosts)]


def sts_record_fault(text: str) -> str:
    """Why a text is no MTA-STS record; empty when it is one. Pure."""
    if not _VERSION.match(text):
        return "it must begin with v=STSv1;"
    fields = [field.strip(" \t") for field in text.split(";")[1:]]
    if fields and not fields[-1]:
        fields.pop()
    if wrong := [field for field in fields if not _FIELD.fullmatch(field)]:
        return f'"{wrong[0][:60]}" is not a field'
    ids = [field[3:] for field in fields if field.startswith("id=")]
    if not ids:
        return "it has no id"
    if len(ids) > 1:
        return "it has more than one id"
    return "" if _ID.fullmatch(ids[0]) else "its id must have 1 to 32 characters or digits"


async def _served(fetch: DocumentFetcher, domain: str, hosts: Sequence[str]) -> list[DnsFinding]:
    host = f"mta-sts.{domain}"
    url = f"https://{host}/.well-known/mta-sts.txt"
    try:
        document = await fetch(url)
    except FetchError as error:
        return [_finding(error.kind, url=url, host=host, reason=error)]
    if 300 <= document.status < 400:
        return [_finding("redirect", fix=f"Serve the policy at {url} itself.", url=url)]
    if document.status != 200:
        return [_finding("status", url=url, status=document.status)]
    return policy_findings(document, hosts)


def sts_policy(text: str) -> StsPolicy:
    """The policy of a document. Pure."""
    values: dict[str, str] = {}
    hosts: list[str] = []
    wrong: list[str] = []
    twice: list[str] = []
    for line in text.replace("\r\n", "\n").split("\n")[:_LINES]:
        key, colon, value = line.partition(":")
        value = value.strip(" \t")
        if not line.strip():
            continue
        if not colon or not _KEY.fullmatch(key) or not value:
            wrong.append(line)
        elif key == "mx":
            hosts.append(value)
        elif key in values:
            twice.append(key)
        else:
            values[key] = value
    return StsPolicy(values, tuple(hosts), tuple(wrong), tuple(twice))


def policy_findings(document: FetchedDocument, hosts: Sequence[str]) -> list[DnsFinding]:
    """What is right and wrong with a policy, for a domain with these MX hosts. Pure."""
    text = document.body.decode("utf-8", "backslashreplace")
    policy = sts_policy(text)
    media_type = document.media_type.partition(";")[0].strip().lower()
    findings = []
    if media_type != "text/plain":
        findings.append(_finding("media-type", record=text, type=media_type or "nothing"))
    findings += [_finding("line-invalid", record=text, value=line) for line in policy.wrong_lines[:10]]
    findings += [_finding("duplicate-key", record=text, key=key) for key in dict.fromkeys(policy.duplicates[:10])]
    if policy.values.get("version") != "STSv1":
        findings.append(_finding("version", record=text, fix="version: STSv1"))
    return [*findings, *_mode(policy, text), *_age(policy, text), *_hosts(policy, text, hosts)]


def mx_matches(pattern: str, host: str) -> bool:
    """Whether an mx of a policy covers a host; `*.` stands for exactly one label (RFC 8461 section 4.1). Pure."""
    pattern, host = pattern.lower().rstrip("."), host.lower().rstrip(".")
    if pattern.startswith("*."):
        return bool(host.partition(".")[0]) and host.partition(".")[2] == pattern[2:]
    return pattern == host


def _mode(policy: StsPolicy, text: str) -> Iterator[DnsFinding]:
    mode = policy.values.get("mode", "")
    if mode in ("enforce", "testing", "none"):
        yield _finding(f"mode-{mode}", record=text)
    else:
        yield _finding("mode-invalid", record=text, fix="mode: testing", value=mode or "missing")


def _age(policy: StsPolicy, text: str) -> Iterator[DnsFinding]:
    age = policy.values.get("max_age", "")
    if not re.fullmatch(r"[0-9]{1,10}", age) or int(age) > _MOST_SECONDS:
        yield _finding("max-age-invalid", record=text, fix="max_age: 604800")
    elif int(age) < _DAY and policy.values.get("mode") != "none":
        yield _finding("max-age-short", record=text, fix="max_age: 604800", seconds=age)


def _hosts(policy: StsPolicy, text: str, hosts: Sequence[str]) -> Iterator[DnsFinding]:
    mode = policy.values.get("mode")
    if not policy.mx and mode != "none":
        yield _finding("mx-missing", record=text, fix="\n".join(f"mx: {host}" for host in hosts))
    for pattern in policy.mx[:100]:
        if not _MX.fullmatch(pattern):
            yield _finding("mx-invalid", record=text, value=pattern)
    if mode == "none" or not policy.mx:
        return
    code = "mx-unmatched-testing" if mode == "testing" else "mx-unmatched"
    for host in dict.fromkeys(hosts):
        if not any(mx_matches(pattern, host) for pattern in policy.mx):
            yield _finding(code, record=text, fix=f"mx: {host}", host=host)


def _finding(code: str, *, record: str = "", fix: str = "", **values: object) -> DnsFinding:
    return finding_from(MTA_STS_CODES, f"mta-sts-{code}", record=record, fix=fix, **values)

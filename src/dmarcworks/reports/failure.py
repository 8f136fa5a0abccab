"""A failure report about one message → `FailureReport`: ARF (RFC 5965, 6591, 9991) and the plain text form of Exim.

In: the machine-readable part or the text, and the reported message or its headers. Refused by name: feedback about
anything but authentication (abuse, opt-out). The reported message is text and nothing else; its parts are not opened.
"""

from __future__ import annotations

import io
import re

from dmarcworks.reports import headers, values
from dmarcworks.reports.bounds import Bounds
from dmarcworks.reports.charsets import utf8_or_latin1
from dmarcworks.reports.copies import form_text, quoted_copy, unquoted_copy
from dmarcworks.reports.model import FailureReport
from dmarcworks.reports.notes import Notes, Refused, Work

_LONGEST_AUTHOR, _LONGEST_SUBJECT = 2000, 1000
# As `str.splitlines`, one at a time.
_TEXT_LINE = re.compile(r"[^\n\r\v\f\x1c-\x1e\x85\u2028\u2029]++")
_FIELD = re.compile(r"([!-9;-~]{1,100})[ \t]{0,10}:(.*)", re.DOTALL)
_ADDRESS = re.compile(r"\[?([0-9A-Fa-f.:]{2,45})\]?(?:\s.*)?", re.DOTALL)
_FEEDBACK = re.compile(rb"(?:^|\n)(?:feedback-type|auth-failure|source-ip|user-agent)[ \t]{0,10}:", re.IGNORECASE)
# Feedback about other matters (RFC 5965, RFC 6430, IANA): of it nothing could be read as a failure report.
_OTHER_FEEDBACK = {"abuse", "fraud", "virus", "opt-out", "opt-out-list", "not-spam", "miscategorized", "other"}
_DELIVERY = {"delivered", "spam", "policy", "reject", "other"}
_EXPECTED = ("feedback-type", "auth-failure", "identity-alignment", "arrival-date", "source-ip", "reported-domain")
# The fields that are read; the others are extensions.
READ = {
    *_EXPECTED,
    *("user-agent", "version", "original-mail-from", "original-rcpt-to", "original-envelope-id", "reporting-mta"),
    *(
        "authentication-results",
        "delivery-result",
        "incidents",
        "reported-uri",
        "received-date",
        "message-id",
        "dkim-domain",
    ),
    *("dkim-identity", "dkim-selector", "dkim-canonicalized-header", "dkim-canonicalized-body", "spf-dns"),
}

Fields = dict[str, list[str]]


def is_feedback(content: bytes) -> bool:
    """Whether the bytes begin with a feedback report's fields, whatever type they were sent as."""
    head = content[:4096].replace(b"\r\n", b"\n").lstrip().split(b"\n\n", 1)[0]
    return head[:13].lower() == b"feedback-type" or len(_FEEDBACK.findall(head)) >= 3


def read_arf(content: bytes, original: bytes | None, where: str, notes: Notes, work: Work) -> FailureReport:
    """The report out of a message/feedback-report part and the reported message or headers."""
    over: set[str] = set()
    fields = _fields(utf8_or_latin1(content), work.bounds, over)
    kind = _word(fields, "feedback-type")
    dmarc = {"auth-failure", "identity-alignment", "dkim-domain", "spf-dns", "authentication-results"} & fields.keys()
    if kind in _OTHER_FEEDBACK:
        raise Refused("not_a_dmarc_failure", f"The feedback report is about {kind!r} and not about authentication.")
    if kind != "auth-failure":
        if not dmarc:
            raise Refused(
                "failure_without_fields",
                f"The feedback report's type is {(kind or 'absent')[:60]!r}, and no field is about authentication.",
            )
        if kind is not None:
            notes.add("feedback_type_odd", where, f"The Feedback-Type {kind[:60]!r} was read as auth-failure.")
    absent = [name for name in _EXPECTED if not _first(fields, name)]
    if absent:
        notes.add("fields_absent", where, f"The report lacks {', '.join(absent)}.")
    delivery = _word(fields, "delivery-result")
    if delivery is not None and delivery not in _DELIVERY:
        notes.add("delivery_result_odd", where, f"The Delivery-Result {delivery[:60]!r} is none that RFC 6591 knows.")
    arrival = _first(fields, "arrival-date") or _first(fields, "received-date")
    return _report(
        "arf",
        fields,
        original,
        kind=kind,
        auth_failure=_word(fields, "auth-failure"),
        delivery=delivery,
        alignment=_list(_first(fields, "identity-alignment")),
        domain=_first(fields, "reported-domain"),
        source=_first(fields, "source-ip"),
        arrival=arrival,
        extensions=tuple((name, value) for name, texts in fields.items() if name not in READ for value in texts),
        where=where,
        notes=notes,
        work=work,
        over=over,
    )


def read_text(content: bytes, original: bytes | None, where: str, notes: Notes, work: Work) -> FailureReport:
    """The report out of the plain text form (Exim, cPanel, antispamcloud)."""
    text = form_text(content)
    copy = quoted_copy(text)
    text_ = text[: copy.start] if copy else text
    over: set[str] = set()
    fields: Fields = {}
    count = 0
    for line in _TEXT_LINE.finditer(text_):
        name, colon, value = line[0].strip().partition(":")
        if colon and len(name) <= 60 and value.strip():
            count += 1
            if count > work.bounds.header_fields:
                over.add("header_fields")
                break
            fields.setdefault(name.strip().lower(), []).append(value.strip())
    notes.add("text_form", where, "The report is plain text without a machine-readable part.")
    unaligned = [
        word for word in ("dkim", "spf") if (_word(fields, f"{word} alignment") or "") in ("no", "fail", "false")
    ]
    results = _word(fields, "dmarc results") or ""
    delivery = "reject" if "reject" in results else "delivered" if "accept" in results else None
    stated = ("sender domain", "sender ip address", "received date")
    if original is None and not copy and not any(_first(fields, name) for name in stated):
        raise Refused("failure_without_fields", "The text is that of a failure report, but it states nothing.")
    if original is None and copy:
        original = unquoted_copy(text[copy.end :]).lstrip("\n").encode()
    return _report(
        "text",
        {},
        original,
        kind="auth-failure",
        auth_failure="dmarc",
        delivery=delivery,
        alignment=",".join(unaligned) or None,
        domain=_first(fields, "sender domain"),
        source=_first(fields, "sender ip address"),
        arrival=_first(fields, "received date"),
        extensions=tuple((name, value) for name, texts in fields.items() for value in texts),
        where=where,
        notes=notes,
        work=work,
        over=over,
    )


def _report(
    form: str,
    fields: Fields,
    original: bytes | None,
    *,
    kind: str | None,
    auth_failure: str | None,
    delivery: str | None,
    alignment: str | None,
    domain: str | None,
    source: str | None,
    arrival: str | None,
    extensions: tuple[tuple[str, str], ...],
    where: str,
    notes: Notes,
    work: Work,
    over: set[str],
) -> FailureReport:
    head, body = _split(original)
    message = _fields(head or "", work.bounds, over)
    subject = _decoded(_first(message, "subject"), work.bounds)
    for name in sorted(over):
        work.over(name, where)
    arrived = values.mail_date(arrival) if arrival else None
    if arrival and arrived is None:
        notes.add("date_odd", where, f"The Arrival-Date {arrival[:60]!r} is no date.")
    return FailureReport(
        form=form,
        feedback_type=kind,
        version=_first(fields, "version"),
        user_agent=_first(fields, "user-agent"),
        auth_failure=auth_failure,
        delivery_result=delivery,
        identity_alignment=alignment,
        reported_domain=values.domain(domain) if domain else None,
        source_ip=_source(source, where, notes),
        incidents=_incidents(fields, where, notes),
        arrival_date=arrived,
        original_mail_from=_first(fields, "original-mail-from"),
        original_rcpt_to=tuple(fields.get("original-rcpt-to", ())),
        original_envelope_id=_first(fields, "original-envelope-id"),
        reporting_mta=_first(fields, "reporting-mta"),
        authentication_results=tuple(fields.get("authentication-results", ())),
        reported_uri=tuple(fields.get("reported-uri", ())),
        dkim_domain=_domain(fields, "dkim-domain"),
        dkim_identity=_first(fields, "dkim-identity"),
        dkim_selector=_first(fields, "dkim-selector"),
        dkim_canonicalized_header=_first(fields, "dkim-canonicalized-header"),
        dkim_canonicalized_body=_first(fields, "dkim-canonicalized-body"),
        spf_dns="\n".join(fields.get("spf-dns", ())) or None,
        header_from=_from(message),
        message_id=_first(message, "message-id") or _first(fields, "message-id"),
        subject=subject,
        original_headers=head,
        original_body=body,
        extensions=extensions,
        warnings=notes.warnings(),
    )


def _incidents(fields: Fields, where: str, notes: Notes) -> int | None:
    stated = _first(fields, "incidents")
    if not stated:
        return None
    try:
        return values.count(stated)[0]
    except (ValueError, OverflowError):
        notes.add("incidents_odd", where, f"The Incidents {stated[:40]!r} is not a number and was left out.")
        return None


def _split(original: bytes | None) -> tuple[str | None, str | None]:
    if not original or not original.strip():
        return None, None
    text = utf8_or_latin1(original).replace("\r\n", "\n").lstrip("\n")
    head, _, body = text.partition("\n\n")
    return head, body if body.strip() else None


def _fields(text: str, bounds: Bounds, over: set[str]) -> Fields:
    """Header fields, unfolded, by lower-case name, each up to `header_bytes`, up to `header_fields` of them; a line
    that is none is passed over.
    """
    fields: dict[str, list[list[str]]] = {}
    pieces: list[str] | None = None
    count = size = 0
    for line in io.StringIO(text.replace("\r\n", "\n"), newline="\n"):
        folded = line[0] in " \t"
        field = None if folded else _FIELD.match(line)
        value = line.strip() if folded else field.group(2).strip() if field else ""
        if field is not None:
            count += 1
            if count > bounds.header_fields:
                over.add("header_fields")
                break
            pieces, size = [], 0
            fields.setdefault(field.group(1).lower(), []).append(pieces)
        elif not folded:
            pieces = None
        if pieces is None or not value:
            continue
        if size + len(value) > bounds.header_bytes:
            over.add("header_bytes")
            value = value[: bounds.header_bytes - size]
        size += len(value)
        if value:
            pieces.append(value)
    return {name: [value for lines in all_ if (value := " ".join(lines))] for name, all_ in fields.items()}


def _first(fields: Fields, name: str) -> str | None:
    return next(iter(fields.get(name, ())), None)


def _word(fields: Fields, name: str) -> str | None:
    value = _first(fields, name)
    return value.lower() if value else None


def _domain(fields: Fields, name: str) -> str | None:
    value = _first(fields, name)
    return values.domain(value) if value else None


def _list(value: str | None) -> str | None:
    words = [word.strip().lower() for word in (value or "").split(",")]
    return ",".join(word for word in words if word) or None


def _source(value: str | None, where: str, notes: Notes) -> str | None:
    """The address of "192.0.2.1", "192.0.2.1 (name)" or "[192.0.2.1]"; other text as it is."""
    if not value:
        return None
    match = _ADDRESS.fullmatch(value)
    address, good = values.address(match.group(1)) if match else (value, False)
    if not good:
        notes.add("source_ip_odd", where, f"The Source-IP {value[:80]!r} is not an IP address; the text was kept.")
        return value
    return address


def _from(message: Fields) -> str | None:
    """The domain of the author's address (RFC 9989 §4.5); None without one."""
    value = _first(message, "from")
    if not value:
        return None
    domain = headers.author_domain(value[:_LONGEST_AUTHOR])
    return values.domain(domain) or None if domain else None


def _decoded(value: str | None, bounds: Bounds) -> str | None:
    """RFC 2047 words as text; the text itself where they are broken."""
    return None if value is None else headers.words(value[:_LONGEST_SUBJECT], bounds) + value[_LONGEST_SUBJECT:]

"""A mail without a report and without a broken one → what it is: a notice that a report was too large, a bounce, an
automatic reply, or any other mail. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from dmarcworks.reports import failure, headers
from dmarcworks.reports.bounds import Bounds
from dmarcworks.reports.claims import is_opaque
from dmarcworks.reports.mime import MailPart, without_from
from dmarcworks.reports.model import Problem
from dmarcworks.reports.notes import Refused

__all__ = ["unread_mail"]

_LOOKED_AT = 8192
_PARTS = 20
# RFC 7489 §7.2.2.
_NOTICE = re.compile(
    rb"^[ \t]{0,20}(report-(?:size|domain|id|date)|submitter|submitting-uri)[ \t]{0,5}:[ \t]*+([^\r\n]*+)", re.I | re.M
)
_BOUNCED = re.compile(
    r"undeliver|delivery status|delivery (?:has )?fail|mail delivery (?:failed|system)|returned mail|failure notice"
    r"|delivery (?:report|incomplete|delayed)|message not delivered|unzustellbar|non remis",
    re.IGNORECASE,
)
_DAEMON = re.compile(r"mailer-daemon|postmaster@|mail delivery (?:sub)?system", re.IGNORECASE)
_OUT_OF_OFFICE = re.compile(
    r"(?:auto(?:matic|matische)?[ -]?(?:reply|response|antwort)|out of (?:the )?office|abwesenheit|absence|autosvar)"
    r"|auto:",
    re.IGNORECASE,
)
_PGP = b"-----BEGIN PGP MESSAGE-----"


def unread_mail(raw: bytes, parts: Sequence[MailPart], bounds: Bounds) -> Problem:
    """Why the mail holds no report."""
    some = parts[:_PARTS]
    texts = [(part, _head(part)) for part in some]
    for part, text in texts:
        where = f"part {part.number}"
        if part.type.startswith("text/html") and failure.is_text_form(text):
            return Problem(
                "failure_without_fields", where, "The failure report is HTML without a machine-readable part."
            )
        if is_opaque(part.type, part.name, text):
            return Problem("smime_opaque", where, "The mail is one S/MIME part, signed or encrypted; it is not opened.")
        if part.type == "application/pgp-encrypted" or text.lstrip().startswith(_PGP):
            return Problem("pgp_encrypted", where, "The mail is encrypted with OpenPGP, which is not opened.")
    for part, text in texts:
        if part.type.startswith("text/plain") and (notice := _notice(text)):
            return Problem("report_too_large", f"part {part.number}", notice)
    kinds = ", ".join(part.type[:60] for part in some) or "none"
    kinds += ", and more" if len(parts) > len(some) else ""
    block = headers.block(without_from(raw), 0, bounds)
    fields = {name.lower(): headers.unfolded(value)[:1000] for name, value in reversed(block.fields)}
    subject = headers.words(fields.get(b"subject", ""), bounds)
    if _bounced(fields, subject, some):
        return Problem("bounce", "mail", f"This is a delivery status notification: {_shown(subject)}")
    if _automatic(fields, subject):
        return Problem("auto_reply", "mail", f"This is an automatic reply: {_shown(subject)}")
    return Problem("no_report", "mail", f"There is no report in this mail. Its parts are: {kinds}.")


def _head(part: MailPart) -> bytes:
    try:
        return part.read()[:_LOOKED_AT]
    except Refused:
        return b""


def _notice(text: bytes) -> str:
    """The sentence of a notice that a report was too large; "" for other text."""
    stated = {
        name.lower().decode(): value.strip().decode("utf-8", "replace")[:200] for name, value in _NOTICE.findall(text)
    }
    if "report-size" not in stated or not stated.keys() & {"report-domain", "report-id"}:
        return ""
    who = stated.get("submitter") or "A reporter"
    about = f" about {stated['report-domain']}" if "report-domain" in stated else ""
    number = f" {stated['report-id']}" if "report-id" in stated else ""
    where = f"; it is larger than {stated['submitting-uri']} accepts" if "submitting-uri" in stated else ""
    return f"{who} could not send the report{number}{about} of {stated['report-size']} bytes{where}."


def _bounced(fields: dict[bytes, str], subject: str, parts: Sequence[MailPart]) -> bool:
    if any(part.type in ("message/delivery-status", "message/global-delivery-status") for part in parts):
        return True
    if "delivery-status" in fields.get(b"content-type", "").lower() or b"x-failed-recipients" in fields:
        return True
    null = fields.get(b"return-path", "").strip() == "<>"
    return bool(_BOUNCED.search(subject) and (null or _DAEMON.search(fields.get(b"from", ""))))


def _automatic(fields: dict[bytes, str], subject: str) -> bool:
    stated = fields.get(b"auto-submitted", "").strip().lower()
    if stated and not stated.startswith("no"):
        return True
    if {b"x-autoreply", b"x-autorespond", b"x-autoresponder", b"x-auto-reply"} & fields.keys():
        return True
    if fields.get(b"precedence", "").strip().lower() in ("auto_reply", "auto-reply"):
        return True
    return _OUT_OF_OFFICE.match(subject.strip()) is not None


def _shown(subject: str) -> str:
    return repr("".join(c if c.isprintable() else " " for c in subject[:100]))

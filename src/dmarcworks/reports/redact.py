"""A mail with a failure report → the same mail without the reported message, to keep no personal data by default.

In: a raw mail and "headers" (the reported message is cut to its headers) or "drop" (the headers are removed too; their
hash stays, so that two reports remain distinct). The mail is rebuilt from its parts as the readers see them, so nothing
can hide between parts. Parts that contain another report or could not be read stay byte for byte. Mails in mails and in
archives are redacted in the same way. Redaction is idempotent. If a mail cannot be redacted without losing other
content, the result is None, never a partial mail.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from dmarcworks.reports import failure, failure_mail, mail, read, sniff, transfer, unpack
from dmarcworks.reports.bounds import Bounds
from dmarcworks.reports.charsets import text_of
from dmarcworks.reports.claims import is_mail_inside
from dmarcworks.reports.copies import (
    begins_with_headers,
    copy_in_feedback,
    form_text,
    is_text_form,
    own_text,
    quoted_copy,
    unquoted_copy,
)
from dmarcworks.reports.model import FailureReport, Item, Reading
from dmarcworks.reports.notes import Refused, Work
from dmarcworks.reports.redact_lines import (
    FIELD,
    LINES,
    MARK,
    base64_body,
    header_lines,
    mark,
    part_fields,
    plain_body,
    sure_header_lines,
    without_fields,
    zip_archive,
)

__all__ = ["DROP", "HEADERS", "MARK", "Redacted", "redact", "redacted"]

HEADERS, DROP = "headers", "drop"
_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,60}/[a-z0-9][a-z0-9!#$&^_.+-]{0,60}")
_MARKED = re.compile(rb"\s*" + MARK + rb": [0-9a-f]{64}\s*")
# Problems of header fields, which are not rebuilt as they were.
_OF_HEADERS = ("header_bytes", "header_fields", "header_parameters", "encoded_words")
_MIME = {b"content-type", b"content-transfer-encoding", b"content-disposition", b"mime-version"}
_QUOTING = {b"subject", b"thread-topic"}
# Fields of a feedback report that hold what the message itself holds.
_BODY_FIELD, _HEADER_FIELD = b"dkim-canonicalized-body", b"dkim-canonicalized-header"
# A message whose headers have ended has these; a body does not begin with one that is still missing.
_ESSENTIAL = {b"received", b"return-path", b"from", b"to", b"subject", b"date", b"message-id", b"mime-version"}
_READ = {name.encode() for name in failure.READ}


@dataclass(frozen=True, slots=True)
class Redacted:
    """The mail without what was removed, and what the readers find in it."""

    raw: bytes
    reading: Reading


def redact(raw: bytes, mode: str, bounds: Bounds = Bounds()) -> bytes | None:  # noqa: B008 - frozen
    """The mail in its redacted form; itself when it holds no failure report; None when that cannot be done."""
    reading = read.read_mail(raw, bounds)
    if not any(isinstance(item.report, FailureReport) for item in reading.items):
        return raw
    done = redacted(raw, reading, mode, bounds)
    return None if done is None else done.raw


def redacted(raw: bytes, reading: Reading, mode: str, bounds: Bounds = Bounds()) -> Redacted | None:  # noqa: B008 - frozen
    """As `redact`, for a mail that was read before and holds a failure report."""
    for parse in (mail.parts, mail.slow_parts):
        rebuilding = _Cut(mode, bounds, parse)
        try:
            cut = _settled(rebuilding, raw)
        except (Refused, RecursionError) as error:
            if isinstance(error, Refused) and error.reason == "copy_unclear":
                return None
            continue
        if not rebuilding.failing:
            continue  # this parser sees no failure report, so it cut nothing
        again = read.read_mail(cut, bounds)
        if _same(reading, again, mode):
            return Redacted(cut, again)
    return None


def _settled(cut: _Cut, raw: bytes) -> bytes:
    """The rebuilt mail that is rebuilt as itself: what a part is taken for may hang on what stood around it."""
    for _ in range(4):
        before, raw = raw, cut.rebuilt(raw, 0)
        if raw == before:
            return raw
    raise Refused("not_redacted", "The mail does not come to rest.")


def _same(before: Reading, after: Reading, mode: str) -> bool:
    """Whether nothing is gone but what should be."""

    def remaining(reading: Reading) -> tuple[Counter[str], Counter[str]]:
        other = (item.digest for item in reading.items if not isinstance(item.report, FailureReport))
        return Counter(other), Counter(
            problem.reason for problem in reading.problems if problem.reason not in _OF_HEADERS
        )

    failures = [item.report for item in after.items if isinstance(item.report, FailureReport)]
    if len(before.items) != len(after.items) or remaining(before) != remaining(after):
        return False
    for report in failures:
        headers = (report.original_headers or "").encode("utf-8", "replace")
        if report.original_body is not None or report.dkim_canonicalized_body is not None:
            return False
        if mode == DROP and headers and not _MARKED.fullmatch(headers):
            return False
    return True


class _Cut:
    def __init__(self, mode: str, bounds: Bounds, parse: read.Reader) -> None:
        self._mode = mode
        self._bounds = bounds
        self._parse = parse
        # Whether any mail that was rebuilt has a failure report.
        self.failing = False

    def rebuilt(self, raw: bytes, depth: int) -> bytes:
        """The mail, rebuilt from its parts."""
        Work(self._bounds).nest(depth)
        tree = self._parse(raw, self._bounds)
        items, _ = failure_mail.failure_report(raw, list(mail.leaves(tree)), "", Work(self._bounds))
        failing = bool(items)
        self.failing = self.failing or failing
        head = [] if not failing else [b"X-Redacted: " + self._mode.encode()]
        unwanted = _MIME | {b"x-redacted"} | (_QUOTING if failing and self._mode == DROP else set())
        lines = header_lines(raw[raw.find(b"\n") + 1 :] if raw.startswith((b"From ", b">From ")) else raw)
        head = [*without_fields(lines, unwanted), *head, b"MIME-Version: 1.0"]
        fields, body = self._node(tree, failing, depth, "0")
        return b"\r\n".join([*head, *fields, b"", body])

    def _node(self, part: mail.MailPart, failing: bool, depth: int, path: str) -> tuple[list[bytes], bytes]:
        if part.message or not part.children:
            kind, content, plain = self._leaf(part, failing, depth)
            if kind == "message/rfc822":  # built by us, its boundaries are its own
                return part_fields(kind, part, True), content
            return part_fields(kind, part, plain), plain_body(content) if plain else base64_body(content)
        boundary = f"=_cut{depth}-{path}=".encode()
        kind = part.type if part.type.startswith("multipart/") and _TYPE.fullmatch(part.type) else "multipart/mixed"
        kind += "; report-type=feedback-report" if kind == "multipart/report" else ""
        pieces = []
        for number, child in enumerate(part.children, 1):
            fields, body = self._node(child, failing, depth, f"{path}-{number}")
            pieces.append(b"\r\n".join([b"--" + boundary, *fields, b"", body, b""]))
        return (
            [b"Content-Type: %s;" % kind.encode(), b' boundary="%s"' % boundary],
            b"".join(pieces) + b"--" + boundary + b"--\r\n",
        )

    def _leaf(self, part: mail.MailPart, failing: bool, depth: int) -> tuple[str, bytes, bool]:
        """The part's type and content, and whether it is lines of text that need no transfer encoding."""
        content, kind = transfer.recovered(part.read()), part.type
        feedback = kind == "message/feedback-report"
        if not failing:
            if part.message and not feedback:
                return "message/rfc822", self.rebuilt(content, depth + 1), True
            return kind, self._packed(content, part, depth), False
        if failure_mail.is_original(part) and not feedback:
            return "text/rfc822-headers", self._original(content), True
        loose = kind.startswith("text/") or kind == "application/octet-stream"
        if feedback or failure.is_feedback(content):
            is_feedback = feedback or (loose and not kind.startswith("text/html"))
            return "message/feedback-report" if is_feedback else kind, self._feedback(content), is_feedback
        if loose and not kind.startswith("text/html") and is_text_form(content):
            return "text/plain", self._text(content), True
        work = Work(self._bounds)
        items: list[Item] = []
        read._bytes(content, part.name, "", work, depth, kind, self._parse, items)
        if items:
            return kind, self._packed(content, part, depth), False
        if work.problems:
            claimed = sniff.look(content).kind == "mail"
            return kind, self._original(content) if claimed else content, False
        # The human-readable notice is the first part; a later text may be the reported message itself.
        first = part.number in ("1", "1.1")
        if kind == "text/plain" and self._mode == HEADERS and first:
            return kind, self._text(content), True
        if loose and not first and begins_with_headers(content):
            return "text/rfc822-headers", self._original(content), True
        return kind, b"", False

    def _packed(self, content: bytes, part: mail.MailPart, depth: int) -> bytes:
        """A file or archive with the mails in it done; itself when none of them holds a failure report."""
        work = Work(self._bounds)
        members: list[tuple[str, bytes]] = []
        changed = alone = False
        leaves = list(unpack.leaves(content, part.name, "", work, depth))
        mails = [leaf for leaf in leaves if sniff.look(leaf.head).kind == "mail" and is_mail_inside(leaf, part.type)]
        if not mails:
            return content
        for leaf in leaves:
            whole = read._whole(leaf, work)
            done = self._inner(whole, depth + 1) if leaf in mails else whole
            changed = changed or done != whole
            alone = leaf.whole and leaf.head == content
            members.append((leaf.name, done))
        if not changed:
            return content
        if work.problems:
            raise Refused("not_redacted", "An archive with a failure report holds something that cannot be read.")
        return members[0][1] if alone else zip_archive(members)

    def _inner(self, raw: bytes, depth: int) -> bytes:
        if failure.is_feedback(raw):
            self.failing = True
            return self._feedback(raw)
        items: list[Item] = []
        read._mail(raw, Work(self._bounds), "", depth, self._parse, items)
        return self.rebuilt(raw, depth) if any(isinstance(item.report, FailureReport) for item in items) else raw

    def _original(self, content: bytes) -> bytes:
        if self._mode == DROP:
            return content.strip() if _MARKED.fullmatch(content) else mark(content)
        return b"\r\n".join(sure_header_lines(content.lstrip(b"\r\n")))

    def _feedback(self, content: bytes) -> bytes:
        """The report's own fields, without those that quote the message; then the headers of a copy behind them."""
        unwanted = {_BODY_FIELD} | ({_HEADER_FIELD} if self._mode == DROP else set())
        place = copy_in_feedback(content)
        copy = b"" if place is None else b"\n".join(LINES.split(content[place:])).lstrip(b"\n")
        content = content if place is None else content[:place]
        kept: list[bytes] = []
        name: bytes | None = None
        blank = False
        for line in LINES.split(content.removeprefix(b"\xef\xbb\xbf")):
            if not line.strip():
                blank, name = blank or bool(kept), None
                continue
            if line[:1] not in b" \t":
                field = FIELD.match(line)
                name = field.group(1).lower() if field else None
                if blank and name not in _READ:
                    name = None
            if (name is not None and name not in unwanted) or _MARKED.fullmatch(line):
                kept.append(line)
        if copy:
            headers = sure_header_lines(copy)
            _require_whole(headers, copy)
            kept += [b"", *headers] if self._mode == HEADERS else [mark(copy)]
        return b"\r\n".join(kept)

    def _text(self, content: bytes) -> bytes:
        """A text up to the copy of the message in it, and the copy's headers."""
        form = is_text_form(content)
        text = form_text(content) if form else text_of(content)
        copy = quoted_copy(text)
        if copy is None:
            return _whole_text(text) if form else content
        head, quoted = text[: copy.end].encode(), unquoted_copy(text[copy.end :]).encode()
        lines = sure_header_lines(quoted.lstrip(b"\r\n"))
        _require_whole(lines, quoted)
        if self._mode != DROP:
            return head + b"\n\n" + b"\n".join(lines)
        before = text[: copy.start].rstrip()
        own = own_text(before)
        return before.encode() + b"\n\n" + mark(quoted) if before[len(own) :].strip() else own.encode()


def _require_whole(lines: list[bytes], copy: bytes) -> None:
    """Refuse a copy whose headers an empty line interrupts: a field follows that they lack, and may be one of them."""
    follows = FIELD.match(copy.lstrip(b"\r\n").partition(b"\n\n")[2].lstrip(b"\n"))
    names = {field.group(1).lower() for line in lines if (field := FIELD.match(line))}
    if follows is not None and follows.group(1).lower() in _ESSENTIAL - names:
        raise Refused("copy_unclear", "Where the headers of the reported message end is unclear.")


def _whole_text(text: str) -> bytes:
    """A text form without a copy. Whatever follows its own fields may be the message: it is neither kept nor cut."""
    own = own_text(text)
    if _MARKED.fullmatch(text.rpartition("\n\n")[2].encode()):
        return text.encode()
    if text[len(own) :].strip():
        raise Refused("copy_unclear", "Where the copy of the message begins in the failure report is unclear.")
    return own.encode()

"""The front door: a mail's or a file's bytes → every report in it and everything that could not be read, by name.

Neither function ever raises for what it is given. What a part is called or declared to be decides nothing but whether
a part without a report is worth a word (a picture is not, a broken attachment called report.xml.gz is).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator

from dmarcworks.reports import failure, mail, sniff, tlsrpt, unpack
from dmarcworks.reports.aggregate import reader
from dmarcworks.reports.bounds import Bounds
from dmarcworks.reports.closed import maker
from dmarcworks.reports.model import AggregateReport, FailureReport, Item, Part, Problem, Reading, TlsReport
from dmarcworks.reports.notes import Notes, Refused, Work

_NAMED = re.compile(r"\.(?:xml|gz|gzip|tgz|zip|z|json)\s*$", re.IGNORECASE)
_TYPED = re.compile(r"application/(?:tlsrpt|.*(?:zip|xml|json))|text/(?:xml|json)$")
_MAIL_NAME = re.compile(r"\.(?:eml|msg|mht)\s*$", re.IGNORECASE)
_item, _part = maker(Item), maker(Part)
_HTML = ("html", "head", "body")

Report = AggregateReport | FailureReport | TlsReport
Reader = Callable[[bytes, Bounds], mail.MailPart]


def read_mail(raw: bytes, bounds: Bounds = Bounds()) -> Reading:  # noqa: B008 - frozen
    """Every report in a mail, wherever it is, and every problem; "no_report" when there was nothing to read."""
    ordinary = mail.ordinary(raw, bounds)
    parse = mail.parts if ordinary else mail.tree
    first, unforeseen = _guarded(lambda work, found: _mail(raw, work, "", 0, parse, found), bounds)
    if first.items and not first.problems:
        return first
    if ordinary and not any(problem.reason == "mail_bytes" for problem in first.problems):
        # The second parser decodes broken base64 and boundaries in its own way; the better reading counts.
        second, broken = _guarded(lambda work, found: _mail(raw, work, "", 0, mail.slow_parts, found), bounds)
        if not broken and _better(second, first, unforeseen):
            first = second
    if not first.items and not first.problems:
        seen = ", ".join(_types(raw, parse, bounds)) or "none"
        return Reading((), (Problem("no_report", "mail", f"There is no report in this mail. Its parts are: {seen}."),))
    return first


def read_bytes(data: bytes, name: str = "", bounds: Bounds = Bounds()) -> Reading:  # noqa: B008 - frozen
    """Every report in a file (XML, JSON, gzip, zip, a mail), and every problem."""
    where = unpack.label(name) if name else "file"
    reading, _ = _guarded(
        lambda work, found: _bytes(data, name, where, work, 0, "", mail.parts, found, alone=True), bounds
    )
    return reading


def _guarded(read: Callable[[Work, list[Item]], None], bounds: Bounds) -> tuple[Reading, bool]:
    work = Work(bounds)
    items: list[Item] = []
    try:
        read(work, items)
    except Refused as refused:
        work.problem(refused.reason, "mail", refused.detail)
    # The promise of this room: no bytes whatever make reading raise. The raw mail is kept, a person sees the reason.
    except Exception as error:
        work.problem("internal", "mail", f"Reading failed: {type(error).__name__}: {error!s:.200}")
        return Reading((), tuple(work.problems)), True
    return Reading(tuple(items), tuple(work.problems)), False


def _better(second: Reading, first: Reading, unforeseen: bool) -> bool:
    if unforeseen:
        return True
    return (len(second.items), -len(second.problems)) > (len(first.items), -len(first.problems)) and bool(second.items)


def _types(raw: bytes, parse: Reader, bounds: Bounds) -> Iterator[str]:
    try:
        for number, leaf in enumerate(mail.leaves(parse(raw, bounds))):
            if number == 20:
                yield "and more"
                return
            yield leaf.type[:60]
    except Refused:
        return


def _mail(raw: bytes, work: Work, above: str, depth: int, parse: Reader, items: list[Item]) -> None:
    """Every report in a mail, added to `items`."""
    if len(raw) > work.bounds.mail_bytes:
        work.problem(
            "mail_bytes", above or "mail", f"The mail is larger than the bound {work.bounds.named('mail_bytes')}."
        )
        return
    try:
        root = parse(raw, work.bounds)
        parts = list(mail.leaves(root))
    except Refused as refused:
        work.problem(refused.reason, above or "mail", refused.detail)
        return
    for name in root.over:
        work.over(name, above or "mail")
    prefix = f"{above} > " if above else ""
    found, evidence = _failure(raw, parts, prefix, work)
    items.extend(found)
    for part in parts:
        where = f"{prefix}part {part.number}"
        try:
            work.member()
        except Refused as refused:
            work.problem(refused.reason, where, refused.detail)
            return
        try:
            if part.number in evidence:
                continue
            if part.message:
                work.nest(depth + 1)
                _mail(part.read(), work, where, depth + 1, parse, items)
                continue
            if part.name:
                where = f"{where} > {unpack.label(part.name)}"
            _bytes(part.read(), part.name, where, work, depth, part.type, parse, items)
        except Refused as refused:
            work.problem(refused.reason, where, refused.detail)


def _failure(raw: bytes, parts: list[mail.MailPart], prefix: str, work: Work) -> tuple[list[Item], set[str]]:
    """A failure report in the mail, and the parts that belong to it.

    The message that it reports is evidence and never a source of reports; elsewhere an embedded mail is forwarded.
    """
    report = text = original = None
    for part in parts[: work.bounds.members]:
        if part.message or part.type.startswith("text/rfc822"):
            original = original or part
        elif part.type == "message/feedback-report":
            report = report or part
        elif part.type.startswith("text/") or part.type == "application/octet-stream":
            content = _quietly(part)
            if failure.is_feedback(content) and not part.type.startswith("text/html"):
                report = report or part
            elif text is None and failure.is_text_form(content):
                text = part
    main = report or text
    if main is None:
        return [], set()
    evidence = {main.number}
    for part in parts:
        if part.message or part.type.startswith("text/rfc822") or part is text:
            evidence.add(part.number)
    where = f"{prefix}part {main.number}"
    try:
        content, message = main.read(), original.read() if original is not None else None
        read = failure.read_arf if main is report else failure.read_text
        digest = hashlib.sha256(content + b"\0" + (message or b"")).hexdigest()
        item = Item(read(content, message, where, Notes(), work), Part("failure-report.eml", raw, where), digest)
    except Refused as refused:
        work.problem(refused.reason, where, refused.detail)
        return [], evidence
    return [item], evidence


def _quietly(part: mail.MailPart) -> bytes:
    try:
        return part.read()
    except Refused:
        return b""


def _bytes(
    data: bytes,
    name: str,
    where: str,
    work: Work,
    depth: int,
    kind: str,
    parse: Reader,
    items: list[Item],
    alone: bool = False,
) -> None:
    """Every report in a part's or file's bytes, added to `items`; `alone` for a file that was given on its own."""
    alike = unpack.single(data, name, where, work, depth)
    for leaf in unpack.leaves(data, name, where, work, depth) if alike is None else (alike,):
        try:
            head = sniff.look(leaf.head)
            if head.kind == "xml" and _about_feedback(head, leaf):
                part = _part(name, data, leaf.where)
                for report, digest in reader.read(leaf, head, work):
                    items.append(_item(report, part, digest))
            else:
                claimed = alone or leaf.packed or _claims(name, kind)
                for other, digest, content in _other(leaf, head, work, depth, kind, parse, claimed):
                    items.append(_item(other, _part(name, data if content is None else content, leaf.where), digest))
        except Refused as refused:
            work.problem(refused.reason, leaf.where, refused.detail)


def _about_feedback(head: sniff.Head, leaf: unpack.Leaf) -> bool:
    root = head.root.lower()
    return root == "feedback" or (root not in _HTML and _inside(leaf.head))


def _other(
    leaf: unpack.Leaf, head: sniff.Head, work: Work, depth: int, kind: str, parse: Reader, claimed: bool
) -> Iterator[tuple[Report, str, bytes | None]]:
    """What is no XML report: a TLS report or a mail; `claimed` makes anything else a problem."""
    if head.kind == "json" and tlsrpt.is_tls(leaf.head[: sniff.LOOKED_AT]):
        tls, digest = tlsrpt.read(leaf, head, work)
        yield tls, digest, None
    elif head.kind == "mail" and (leaf.packed or not kind or _MAIL_NAME.search(leaf.name)):
        raw = _whole(leaf, work)
        if failure.is_feedback(raw):
            arf = failure.read_arf(raw, None, leaf.where, Notes(), work)
            yield arf, hashlib.sha256(raw + b"\0").hexdigest(), None
            return
        work.nest(depth + 1)
        before = len(work.problems)
        inside: list[Item] = []
        _mail(raw, work, leaf.where, depth + 1, parse, inside)
        for item in inside:
            yield item.report, item.digest, item.part.content
        if not inside and before == len(work.problems):
            raise Refused("no_report", "There is no report in this mail.")
    elif claimed:
        raise Refused(*_told(head, leaf))


def _told(head: sniff.Head, leaf: unpack.Leaf) -> tuple[str, str]:
    begin = leaf.head[:40].decode("latin-1")
    if head.kind == "empty":
        return "empty", "The file is empty."
    if head.kind == "ole":
        return "outlook_msg", "This is an Outlook .msg file, which is not read."
    if head.kind == "json":
        return (
            ("json_broken", "The JSON is no TLS report.")
            if not leaf.head.strip()
            else ("other_json", "The JSON is no TLS report.")
        )
    if head.kind == "xml" and head.root:
        return "other_xml", f"The XML's root element is {head.root[:60]!r}, not 'feedback'."
    return "not_xml", f"The content is neither XML nor JSON; it begins {begin!r}."


def _inside(head: bytes) -> bool:
    return b"<feedback" in head[: sniff.LOOKED_AT].replace(b"\0", b"").lower()


def _whole(leaf: unpack.Leaf, work: Work) -> bytes:
    taken: list[bytes] = []
    size = 0
    for chunk in leaf.open():
        size += len(chunk)
        if size > work.bounds.mail_bytes:
            raise Refused("mail_bytes", f"The mail is larger than the bound {work.bounds.named('mail_bytes')}.")
        taken.append(chunk)
    return b"".join(taken)


def _claims(name: str, kind: str) -> bool:
    """Whether a part's name or type promises a report, so that one without a report is a problem."""
    if _NAMED.search(name) or _MAIL_NAME.search(name):
        return True
    return bool(_TYPED.match(kind)) or (kind == "application/octet-stream" and "." not in name)

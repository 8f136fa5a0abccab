"""The entry point: a mail's or a file's bytes → every report in it and everything that could not be read, by name.

Neither function ever raises, whatever its input. The name and declared type of a part only decide whether a part
without a report becomes a problem (a picture does not, a broken attachment called report.xml.gz does).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from dmarcworks.reports import archive, failure, failure_mail, mail, sniff, tlsrpt, transfer, unpack
from dmarcworks.reports.aggregate import reader
from dmarcworks.reports.bounds import Bounds
from dmarcworks.reports.claims import MAIL_NAME, is_binary, is_mail_inside, other_content, worth_a_look
from dmarcworks.reports.closed import maker
from dmarcworks.reports.mime import hidden_multipart
from dmarcworks.reports.model import AggregateReport, FailureReport, Item, Part, Problem, Reading, TlsReport
from dmarcworks.reports.notes import Notes, Refused, Work
from dmarcworks.reports.other_mail import unread_mail
from dmarcworks.reports.unread import UnreadFiles

_item, _part = maker(Item), maker(Part)
_HTML = ("html", "head", "body")

Report = AggregateReport | FailureReport | TlsReport
# A report, its hash, its hash without line ends, and the bytes to keep where they are not those of the part.
_Found = tuple[Report, str, str, bytes | None]
Reader = Callable[[bytes, Bounds], mail.MailPart]


def read_mail(raw: bytes, bounds: Bounds = Bounds()) -> Reading:  # noqa: B008 - frozen
    """Every report in a mail, wherever it is, and every problem; "no_report" when there was nothing to read."""
    small = len(raw) <= mail.SMALL
    parse = mail.parts if small else mail.tree
    once = _CountedParser(parse)
    first, unforeseen, unsure = _guarded(lambda work, items: _mail(raw, work, "", 0, once, items), bounds)
    if first.items and not first.problems and not unsure:
        return first
    if small and not any(problem.reason == "mail_bytes" for problem in first.problems):
        # The other parsers decode broken base64, encodings and boundaries in their own way; the better reading counts.
        seen = None if unforeseen or once.calls != 1 else _contents(raw, bounds, parse)
        for again in (mail.slow_parts, mail.tree):
            if first.items and not first.problems and not unsure:
                break
            # If no part is itself a mail, equal parts give equal results, so the other parser adds nothing.
            if seen is None or seen != _contents(raw, bounds, again):
                first, unsure = _other_parser(raw, bounds, first, unforeseen, unsure, again)
    if first.items or first.problems:
        return first
    if (announced := hidden_multipart(raw)) is not None:
        hidden, _, _ = _guarded(lambda work, items: _mail(announced, work, "", 0, mail.tree, items), bounds)
        if hidden.items or hidden.problems:
            return hidden
    return Reading((), (_unread(raw, parse, bounds),))


def _other_parser(
    raw: bytes, bounds: Bounds, first: Reading, unforeseen: bool, unsure: bool, parse: Reader
) -> tuple[Reading, bool]:
    """The mail by another parser where that reads more of it, else what was read first; and whether that is unsure."""
    second, broken, doubt = _guarded(lambda work, items: _mail(raw, work, "", 0, parse, items), bounds)
    return (second, doubt) if not broken and _better(second, first, unforeseen) else (first, unsure)


class _CountedParser:
    """A parser of parts that counts the mails it is given."""

    def __init__(self, parse: Reader) -> None:
        self._parse = parse
        self.calls = 0

    def __call__(self, raw: bytes, bounds: Bounds) -> mail.MailPart:
        self.calls += 1
        return self._parse(raw, bounds)


def _contents(raw: bytes, bounds: Bounds, parse: Reader) -> list[object] | None:
    """Everything that reading uses of a mail's parts; None if the parser cannot determine them."""
    try:
        root = parse(raw, bounds)
        contents: list[object] = [root.over]
        for part in mail.leaves(root):
            contents.append((part.number, part.type, part.name, part.message, part.read()))
    # A comparison that fails, for whatever reason, leaves the parsers to be tried one by one.
    except Exception:
        return None
    return contents


def _unread(raw: bytes, parse: Reader, bounds: Bounds) -> Problem:
    try:
        parts = list(mail.leaves(parse(raw, bounds)))
    except Refused:
        parts = []
    return unread_mail(raw, parts, bounds)


def read_bytes(data: bytes, name: str = "", bounds: Bounds = Bounds()) -> Reading:  # noqa: B008 - frozen
    """Every report in a file (XML, JSON, gzip, zip, a mail), and every problem."""
    where = unpack.label(name) if name else "file"
    reading, _, _ = _guarded(
        lambda work, items: _bytes(data, name, where, work, 0, "", mail.parts, items, alone=True), bounds
    )
    return reading


def _guarded(read: Callable[[Work, list[Item]], None], bounds: Bounds) -> tuple[Reading, bool, bool]:
    """What is read, whether reading failed unexpectedly, and whether a part may have been decoded wrongly."""
    work = Work(bounds)
    items: list[Item] = []
    try:
        read(work, items)
    except Refused as refused:
        work.problem(refused.reason, "mail", refused.detail)
    # This package guarantees that no input makes reading raise. The raw mail is kept, and the problem shows the reason.
    except Exception as error:
        work.problem("internal", "mail", f"Reading failed: {type(error).__name__}: {error!s:.200}")
        return Reading((), tuple(work.problems)), True, False
    return Reading(tuple(items), tuple(work.problems)), False, work.unsure


def _better(second: Reading, first: Reading, unforeseen: bool) -> bool:
    if unforeseen:
        return True
    return (len(second.items), -len(second.problems)) > (len(first.items), -len(first.problems)) and bool(second.items)


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
    reports, evidence = failure_mail.failure_report(raw, parts, prefix, work)
    items.extend(reports)
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
            if part.type == "message/partial":
                work.problem("format_not_read", where, "The part is a piece of a larger mail (message/partial).")
                continue
            if part.message:
                work.nest(depth + 1)
                _mail(part.read(), work, where, depth + 1, parse, items)
                continue
            if part.name:
                where = f"{where} > {unpack.label(part.name)}"
            _bytes(transfer.recovered(part.read()), part.name, where, work, depth, part.type, parse, items)
        except Refused as refused:
            work.problem(refused.reason, where, refused.detail)


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
    if alike is None and not alone and archive.is_document(data):
        return
    first, before = len(items), len(work.problems)
    unread: UnreadFiles | None = None
    for leaf in unpack.leaves(data, name, where, work, depth) if alike is None else (alike,):
        try:
            head = sniff.look(leaf.head)
            if head.kind == "xml" and _about_feedback(head, leaf):
                part = _part(name, data, leaf.where)
                for report, digest, same in reader.read(leaf, head, work):
                    items.append(_item(report, part, digest, same))
            elif (other := _other(leaf, head, work, depth, kind, parse)) is None:
                if leaf.packed or alone or worth_a_look(kind, name, leaf.head):
                    unread = unread or UnreadFiles(name, kind, alone)
                    unread.add(leaf, head)
                elif is_binary(leaf.head):
                    work.unsure = True
            else:
                for other_report, digest, same, content in other:
                    part = _part(name, data if content is None else content, leaf.where)
                    items.append(_item(other_report, part, digest, same))
        except Refused as refused:
            if refused.reason == "no_report" and leaf.packed:
                # A mail without a report in an archive is a file next to the report as any other.
                unread = unread or UnreadFiles(name, kind, alone)
                unread.add(leaf, head)
            else:
                work.problem(refused.reason, leaf.where, refused.detail)
    if unread is not None:
        unread.into(items, first, len(work.problems) > before, work)


def _about_feedback(head: sniff.Head, leaf: unpack.Leaf) -> bool:
    root = head.root.lower()
    return root == "feedback" or (root not in _HTML and _inside(leaf.head))


def _other(
    leaf: unpack.Leaf, head: sniff.Head, work: Work, depth: int, kind: str, parse: Reader
) -> Iterator[_Found] | None:
    """The reports of what is no XML report: a TLS report or a mail; None for anything else."""
    if head.kind == "json" and tlsrpt.is_tls(leaf.head[: sniff.LOOKED_AT]):
        return _of_json(leaf, head, work)
    if head.kind == "mail" and is_mail_inside(leaf, kind):
        named = MAIL_NAME.search(leaf.name) is not None
        if leaf.packed and other_content(head, leaf) and not named and not _mail_like(leaf.head):
            return None
        return _of_mail(leaf, work, depth, parse, stated=leaf.packed or named or not kind)
    return None


def _mail_like(head: bytes) -> bool:
    """Whether the text begins with two header fields and not with prose that has a colon."""
    lines = head[:4096].lstrip(b"\r\n").splitlines()[:2]
    return len(lines) == 2 and all(b":" in line or line[:1].isspace() or line.startswith(b"From ") for line in lines)


def _of_json(leaf: unpack.Leaf, head: sniff.Head, work: Work) -> Iterator[_Found]:
    yield *tlsrpt.read(leaf, head, work), None


def _of_mail(leaf: unpack.Leaf, work: Work, depth: int, parse: Reader, stated: bool) -> Iterator[_Found]:
    """The reports in a mail; one without a report is a problem where it is `stated` that there should be one."""
    raw = _whole(leaf, work)
    if failure.is_feedback(raw):
        arf = failure.read_arf(raw, None, leaf.where, Notes(), work)
        yield arf, hashlib.sha256(raw + b"\0").hexdigest(), "", None
        return
    work.nest(depth + 1)
    before = len(work.problems)
    inside: list[Item] = []
    _mail(raw, work, leaf.where, depth + 1, parse, inside)
    for item in inside:
        yield item.report, item.digest, item.alike, item.part.content
    if stated and not inside and before == len(work.problems):
        raise Refused("no_report", "There is no report in this mail.")


def _inside(head: bytes) -> bool:
    return b"<feedback" in head[: sniff.LOOKED_AT].replace(b"\0", b"").lower()


def _whole(leaf: unpack.Leaf, work: Work) -> bytes:
    chunks: list[bytes] = []
    size = 0
    for chunk in leaf.open():
        size += len(chunk)
        if size > work.bounds.mail_bytes:
            raise Refused("mail_bytes", f"The mail is larger than the bound {work.bounds.named('mail_bytes')}.")
        chunks.append(chunk)
    return b"".join(chunks)

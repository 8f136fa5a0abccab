"""XML → `AggregateReport` (drafts, RFC 7489 Appendix C, RFC 9990), as a stream: each record is read, then released.

The file is tried unchanged, then decoded with replacements, then repaired (`recovery.py`); the report notes each
repair. Refused by name: any DOCTYPE, truncated or broken XML, no date range, no policy domain, more records or depth
than the bounds allow.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from lxml import etree

from dmarcworks.reports import values
from dmarcworks.reports.aggregate import fast_path, recovery
from dmarcworks.reports.aggregate.document import Broken, Document, at_once, stream
from dmarcworks.reports.aggregate.metadata import ReportMetadata, local, of_tree, policy_of
from dmarcworks.reports.alike import Digest, StreamHash, alike, alike_of_document
from dmarcworks.reports.bounds import Bounds
from dmarcworks.reports.closed import maker
from dmarcworks.reports.model import AggregateReport
from dmarcworks.reports.notes import Notes, Refused, Work
from dmarcworks.reports.sniff import Head
from dmarcworks.reports.unpack import Leaf

# A broken report up to this size is repaired as one text; a larger one is only decoded with replacements.
REPAIRED_CHARACTERS = 8 * 1024 * 1024
# Recovery takes a tree of the whole text.
RECOVERED = 1024 * 1024
# Up to here a document is parsed at once instead of as a stream.
_AT_ONCE = 256 * 1024
_REPORT_ID = 1024
_report = maker(AggregateReport)
_FEED = 64 * 1024


def read(leaf: Leaf, head: Head, work: Work) -> list[tuple[AggregateReport, str, str]]:
    """The reports in an XML file (several when they were put together), each with its SHA-256 and `alike`."""
    if head.doctype:
        raise Refused("doctype", "The report has a DOCTYPE; it was not parsed.")
    digest = _hash(leaf, head)
    notes = _begin(leaf, head)
    try:
        if head.root != "feedback" or head.codec.startswith("utf-32"):
            raise Broken(f"the root is {head.root!r}")
        document = fast_path.read(leaf, head, work.bounds, digest, notes)
        if document is None:
            digest, notes = _hash(leaf, head), _begin(leaf, head)
            document = _general(leaf, head, work, digest, notes)
        sha = digest.hexdigest()
        return [(_finish(document, leaf, sha, work), sha, _alike(leaf, head, digest))]
    except Broken as broken:
        return _again(leaf, head, work, broken)


def _hash(leaf: Leaf, head: Head) -> Digest:
    return hashlib.sha256() if leaf.whole else StreamHash(head.skip)


def _alike(leaf: Leaf, head: Head, digest: Digest) -> str:
    """The hash of the document without what transport may change of it, and without what stands around it."""
    if isinstance(digest, StreamHash):
        return digest.alike()
    if head.codec not in ("", "utf-8"):
        return alike(leaf.head, digest.hexdigest())
    return alike_of_document(leaf.head, head.skip, digest.hexdigest())


def _general(leaf: Leaf, head: Head, work: Work, digest: Digest, notes: Notes) -> Document:
    """By the general parser, as it stands."""
    if leaf.whole and len(leaf.head) <= _AT_ONCE:
        digest.update(leaf.head)
        return at_once(leaf.head[head.skip :], leaf.where, work.bounds, notes)
    return stream(_skip(_digested(leaf.open(), digest), head), leaf.where, work.bounds, notes)


def _begin(leaf: Leaf, head: Head) -> Notes:
    notes = Notes()
    if head.leading:
        notes.add("leading_text", leaf.where, f"{head.skip} bytes of other text before the XML.")
    return notes


def _again(leaf: Leaf, head: Head, work: Work, first: Broken) -> list[tuple[AggregateReport, str, str]]:
    """The second and third attempts: decoded with replacements, then repaired."""
    digest = _hash(leaf, head)
    notes = _begin(leaf, head)
    pieces: list[str] = []
    size = 0
    for piece in recovery.decoded(_digested(leaf.open(), digest), head, leaf.where, notes):
        size += len(piece)
        if size <= REPAIRED_CHARACTERS:
            pieces.append(piece)
        else:
            pieces.clear()
    sha = digest.hexdigest()
    if size > REPAIRED_CHARACTERS:
        try:
            chunks = (piece.encode() for piece in recovery.decoded(leaf.open(), head, leaf.where, Notes()))
            report = _finish(stream(chunks, leaf.where, work.bounds, notes, "utf-8"), leaf, sha, work)
            return [(report, sha, _alike(leaf, head, digest))]
        except Broken as broken:
            raise Refused("xml_broken", f"The XML is broken ({broken}) and too large to be repaired.") from None
    parts = recovery.documents("".join(pieces), leaf.where, notes)
    if "<!doctype" in parts.around.lower():
        raise Refused("doctype", "The report has a DOCTYPE; it was not read.")
    if not parts.documents:
        raise Refused("xml_truncated", f"The report's root element is not closed ({first}).")
    if parts.around:
        notes.add("text_outside", leaf.where, f"{len(parts.around)} characters of other text around the XML.")
    reports: list[tuple[AggregateReport, str, str]] = []
    for number, part in enumerate(parts.documents):
        where = leaf.where if len(parts.documents) == 1 else f"{leaf.where} > document {number + 1}"
        own = Notes()
        own.extend(notes)
        try:
            work.member()
            alone = len(parts.documents) == 1 and not parts.unfinished
            own_sha = sha if len(parts.documents) == 1 else _digest(part)
            report = _finish(_repaired(part, where, work.bounds, own), leaf, own_sha, work)
            same = alike(part.encode("utf-8", "replace"), _digest(part))
            if alone and leaf.whole and (parts.around or leaf.head.endswith(b"\0")):
                same = _alike(leaf, head, digest)
            reports.append((report, own_sha, same))
        except Broken as broken:
            work.problem("xml_broken", where, f"The XML is broken: {broken}.")
        except Refused as refused:
            work.problem(refused.reason, where, refused.detail)
            if refused.reason == "members":
                break
    if parts.unfinished:
        work.problem(
            "xml_truncated",
            leaf.where,
            "The file also contains an incomplete report, which lacks its beginning or its end.",
        )
    return reports


def _repaired(part: str, where: str, bounds: Bounds, notes: Notes) -> Document:
    """Strictly as it is, strictly after escaping, and at last with libxml2's recovery, if every record was found."""
    kept = Notes()
    kept.extend(notes)
    try:
        return stream(_pieces(part), where, bounds, kept, "utf-8")
    except Broken:
        pass
    repaired = recovery.escaped(part, where, notes)
    kept = Notes()
    kept.extend(notes)
    try:
        return stream(_pieces(repaired), where, bounds, kept, "utf-8")
    except Broken as broken:
        if len(repaired) > RECOVERED:
            raise
        notes.add("recovered", where, f"The XML is broken ({broken}); what could be recovered was read.")
    document = at_once(repaired.encode("utf-8", "replace"), where, bounds, notes, "utf-8", recover=True)
    stated, ended = recovery.count_records(repaired)
    if ended > stated:
        notes.add("records_lost", where, f"{ended - stated} records end that do not begin; they cannot be read.")
    if document.tally.seen != stated:
        raise Refused(
            "records_unclear",
            f"The XML is broken: {stated} records begin, but {document.tally.seen} could be read.",
        )
    return document


def _pieces(whole: str) -> Iterator[bytes]:
    data = whole.encode("utf-8", "replace")
    for start in range(0, len(data), _FEED):
        yield data[start : start + _FEED]


def _digest(part: str) -> str:
    return hashlib.sha256(part.encode("utf-8", "replace")).hexdigest()


def _digested(chunks: Iterable[bytes], digest: Digest) -> Iterator[bytes]:
    for chunk in chunks:
        digest.update(chunk)
        yield chunk


def _skip(chunks: Iterable[bytes], head: Head) -> Iterator[bytes]:
    """The chunks from where the XML begins; the parser reads a mark by itself."""
    skip = head.skip
    for chunk in chunks:
        if skip:
            chunk, skip = chunk[skip:], max(0, skip - len(chunk))
        yield chunk


def _finish(document: Document, leaf: Leaf, digest: str, work: Work) -> AggregateReport:
    """The report out of a parsed document; the records left out become problems."""
    tally = document.tally
    notes, where = tally.notes, tally.where
    notes.extend(leaf.notes)
    around = document.around
    if around is None:
        assert document.root is not None
        around = of_tree(document.root, notes, where, work.bounds.xml_depth)
    stated, published = around.stated, around.published
    begin, end = _dates(around, notes, where)
    domain = around.policy.domain if around.policy else values.domain(published.get("domain", ""))
    if not domain:
        _check_case(around.root)
        raise Refused("no_policy_domain", "The report does not state its policy domain (policy_published/domain).")
    if not tally.seen:
        _check_case(around.root)
        notes.add("no_records", where, "The report has no record.")
    elif tally.empty and not tally.counts:
        notes.add("no_mail_seen", where, "The report states that its reporter saw no mail: no address, a count of 0.")
    if "p" not in published:
        notes.add("no_p", where, "The published policy has no p.")
    report_id = stated.get("report_id", "")
    if not report_id:
        report_id = digest
        notes.add("no_report_id", where, "The report has no report_id; the hash of its bytes stands for it.")
    elif len(report_id) > _REPORT_ID:
        report_id = report_id[:_REPORT_ID]
        notes.add("report_id_cut", where, f"The report_id is longer than {_REPORT_ID} characters and was cut.")
    for name in ("org_name", "email"):
        if name not in stated:
            notes.add(f"no_{name}", where, f"The report has no {name}.")
    if tally.left_out:
        notes.add(
            "records_left_out", where, f"{tally.left_out} of {tally.seen} records were left out, see the problems."
        )
    for problem in tally.problems:
        work.problem(*problem)
    if tally.left_out > len(tally.problems):
        more = tally.left_out - len(tally.problems)
        work.problem("more_records_left_out", where, f"{more} more records of the report were left out.")
    return _report(
        stated.get("org_name"),
        stated.get("email"),
        stated.get("extra_contact_info"),
        report_id,
        begin,
        end,
        around.version,
        stated.get("generator"),
        around.errors,
        around.policy or policy_of(domain, published, notes, where),
        tally.records,
        notes.warnings(),
    )


def _dates(around: ReportMetadata, notes: Notes, where: str) -> tuple[int, int]:
    texts = around.dates
    if "begin" not in texts or "end" not in texts:
        _check_case(around.root)
        raise Refused(
            "no_date_range", "The report does not state which period it covers (date_range with begin and end)."
        )
    times: list[int] = []
    for name in ("begin", "end"):
        try:
            number, odd = values.instant(texts[name])
        except ValueError:
            raise Refused("bad_date_range", f"The date_range's {name} {texts[name][:60]!r} is no date.") from None
        if odd:
            notes.add("date_odd", where, f"The date_range's {name}: {odd}")
        times.append(number)
    if times[1] < times[0]:
        notes.add("end_before_begin", where, "The date_range ends before it begins.")
    return times[0], times[1]


def _check_case(root: etree._Element | None) -> None:
    """Raise `Broken` if an element name is in upper case: the missing element may be one that only the repair reads."""
    for element in () if root is None else root.iter():
        name = local(element)
        if name != name.lower() and name.lower() in recovery.WORDS:
            raise Broken("element names in upper case")

"""The parts of a report around its records (RFC 7489 Appendix C, RFC 9990): metadata, policy, version, as texts.

They are read from the document's tree, as tolerantly as the records; or, for the most common form, from the text itself
(`usual`; a property test checks that both agree). Texts are trimmed, empty ones are absent; of several, the first
counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lxml import etree

from dmarcworks.reports import values
from dmarcworks.reports.aggregate.parse_cache import ParseCache
from dmarcworks.reports.aggregate.record import namespace, text
from dmarcworks.reports.model import Policy
from dmarcworks.reports.notes import Notes

_LEAVES = r"(?:<([A-Za-z_]\w*+)>[^<>]*+</\{n}>\s*+)"
# XML declarations and root tags that do not affect how the rest is read; any other is left to the parser.
_OPENING = (
    r"(?:<\?xml version=(?:\"1\.0\"|'1\.0')(?: encoding=(?:\"(?:utf|UTF)-8\"|'(?:utf|UTF)-8'))? ?\?>\s*+)?"
    r"<feedback(?: xmlns=\"(?:urn:ietf:params:xml:ns:dmarc-2\.0|http://dmarc\.org/dmarc-xml/0\.[12])\""
    r"| xmlns:xsd=\"http://www\.w3\.org/2001/XMLSchema\" xmlns:xsi=\"http://www\.w3\.org/2001/XMLSchema-instance\""
    r"| xmlns:xsi=\"http://www\.w3\.org/2001/XMLSchema-instance\" xmlns:xsd=\"http://www\.w3\.org/2001/XMLSchema\")?>\s*+"
)
_HEAD = re.compile(
    _OPENING
    + r"(?:<version>([^<>]*+)</version>\s*+)?<report_metadata>\s*+((?:<date_range>\s*+"
    + _LEAVES.format(n=3)
    + r"*+</date_range>\s*+|"
    + _LEAVES.format(n=4)
    + r")*+)</report_metadata>\s*+<policy_published>\s*+("
    + _LEAVES.format(n=6)
    + r"*+)</policy_published>\s*+",
    re.ASCII,
)
# The order of the schema, which nearly all keep: read at one go, up to the published policy.
_IN_ORDER = re.compile(
    _OPENING + r"(?:<version>([^<>]*+)</version>\s*+)?<report_metadata>\s*+"
    r"<org_name>([^<>]*+)</org_name>\s*+<email>([^<>]*+)</email>\s*+"
    r"(?:<extra_contact_info>([^<>]*+)</extra_contact_info>\s*+)?<report_id>([^<>]*+)</report_id>\s*+<date_range>\s*+"
    r"<begin>([^<>]*+)</begin>\s*+<end>([^<>]*+)</end>\s*+</date_range>\s*+</report_metadata>\s*+<policy_published>\s*+",
    re.ASCII,
)
_POLICY = re.compile(_LEAVES.format(n=1) + r"*+", re.ASCII)
_POLICY_END = "</policy_published>"
_TAIL = re.compile(r"\s*+</feedback>\s*+", re.ASCII)
_LEAF = re.compile(r"<([A-Za-z_]\w*+)>([^<>]*+)</\1>", re.ASCII)
_DATES, _DATES_END = "<date_range>", "</date_range>"
# The texts of a published policy and the `Policy` that they state, if nothing in it is odd.
_PUBLISHED: ParseCache[tuple[dict[str, str], Policy | None]] = ParseCache(entries=1024)


@dataclass(slots=True)
class ReportMetadata:
    """The texts by name. `dates` are those of date_range; `root` is the tree that they were read from, if there is one;
    `policy` is the value of `published`, if it is already known.
    """

    stated: dict[str, str]
    published: dict[str, str]
    dates: dict[str, str]
    version: str | None
    errors: tuple[str, ...]
    root: etree._Element | None = None
    policy: Policy | None = None


def usual(head: str, tail: str) -> ReportMetadata | None:
    """Out of the text before and behind the records; None when a parser is needed. No control, no reference in it."""
    if _TAIL.fullmatch(tail) is None:
        return None
    if (match := _IN_ORDER.match(head)) is not None:
        start = match.end()
        stop = head.find(_POLICY_END, start)
        if stop >= 0 and not head[stop + len(_POLICY_END) :].strip(" \t\n"):
            return _in_order(match, head[start:stop])
    match = _HEAD.fullmatch(head)
    if match is None:
        return None
    version, metadata, _, _, text, _ = match.groups()
    published, policy = _PUBLISHED.get(text) or _published(text)
    if "domain" not in published:
        return None
    start = metadata.find(_DATES)
    stop = metadata.find(_DATES_END, start)
    if start < 0 or metadata.find(_DATES, stop) >= 0:
        return None
    leaves = _LEAF.findall(metadata, 0, start) + _LEAF.findall(metadata, stop)
    dates = _first(_LEAF.findall(metadata, start + len(_DATES), stop))
    if "begin" not in dates or "end" not in dates:
        return None
    stated = _first(leaves)
    errors: tuple[str, ...] = ()
    if "error" in stated:
        errors = tuple(value for name, content in leaves if name == "error" and (value := content.strip()))
    return ReportMetadata(stated, published, dates, _or_none(version), errors, None, policy)


def _in_order(match: re.Match[str], text: str) -> ReportMetadata | None:
    """The metadata from parts in the order of the schema; `text` is the content of the policy."""
    cached = _PUBLISHED.get(text)
    if cached is None:
        if _POLICY.fullmatch(text) is None:
            return None
        cached = _published(text)
    published, policy = cached
    version, name, email, contact, number, begin, end = [text and text.strip() for text in match.groups()]
    if not (begin and end) or "domain" not in published:
        return None
    values = (("org_name", name), ("email", email), ("extra_contact_info", contact), ("report_id", number))
    stated = {name: value for name, value in values if value}
    return ReportMetadata(stated, published, {"begin": begin, "end": end}, version or None, (), None, policy)


def _or_none(text: str | None) -> str | None:
    return (text or "").strip() or None


def _published(text: str) -> tuple[dict[str, str], Policy | None]:
    published = _first(_LEAF.findall(text))
    notes = Notes()
    domain = values.domain(published.get("domain", ""))
    policy = policy_of(domain, published, notes, "") if domain else None
    return _PUBLISHED.put(text, (published, None if notes.total else policy))


def _first(leaves: list[tuple[str, str]]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, content in leaves:
        if name not in fields and (value := content.strip()):
            fields[name] = value
    return fields


def of_tree(root: etree._Element, notes: Notes, where: str, bound: int) -> ReportMetadata:
    """Out of a tree; `bound` is the XML depth allowed."""
    metadata = _one(root, "report_metadata", notes, where)
    policy = _one(root, "policy_published", notes, where)
    # Some reporters put date_range next to report_metadata instead of inside it; it means the same.
    dates = _find(root if metadata is None else metadata, "date_range")
    if dates is None:
        dates = _find(root, "date_range")
    return ReportMetadata(
        stated={} if metadata is None else _texts(metadata, bound),
        published={} if policy is None else _texts(policy, bound),
        dates={} if dates is None else _texts(dates, bound),
        version=next(iter(_all(root, "version", bound)), None),
        errors=_all(metadata, "error", bound),
        root=root,
    )


def local(element: etree._Element) -> str:
    """The element's name without its namespace; "" for what is no element."""
    return str(element.tag).rpartition("}")[2] if isinstance(element.tag, str) else ""


def _find(above: etree._Element, name: str) -> etree._Element | None:
    for child in above:
        if local(child) == name:
            return child
    return next((element for element in above.iter(f"{{*}}{name}") if not _extended(element)), None)


def _extended(element: etree._Element) -> bool:
    return any(local(above) in ("extension", "record") for above in element.iterancestors())


def _one(root: etree._Element, name: str, notes: Notes, where: str) -> etree._Element | None:
    matching = [child for child in root if local(child) == name]
    if len(matching) > 1:
        notes.add("element_repeated", where, f"The report has {len(matching)} elements {name}; the first was read.")
    return matching[0] if matching else _find(root, name)


def _texts(element: etree._Element, bound: int) -> dict[str, str]:
    """The texts of its children by local name; the first that is not empty, empty ones absent."""
    own = namespace(element)
    texts: dict[str, str] = {}
    for child in element:
        name = local(child)
        if name not in texts and namespace(child) in (own, "") and (value := text(child, bound)):
            texts[name] = value
    return texts


def _all(element: etree._Element | None, name: str, bound: int) -> tuple[str, ...]:
    if element is None:
        return ()
    return tuple(value for child in element if local(child) == name and (value := text(child, bound)))


def policy_of(domain: str, published: dict[str, str], notes: Notes, where: str) -> Policy:
    """The policy that was published, of its texts; `domain` is theirs in its usual form."""
    words = {name: value.lower() for name, value in published.items()}
    pct: int | None = None
    if "pct" in words:
        try:
            pct = values.count(words["pct"])[0]
        except (ValueError, OverflowError):
            pct = -1
        if not 0 <= pct <= 100:
            notes.add("pct_odd", where, f"The pct {words['pct'][:40]!r} is no percentage and was left out.")
            pct = None
    # Mail.Ru writes "nil" for a subdomain policy that is not there.
    sp = words.get("sp")
    return Policy(
        domain=domain,
        adkim=words.get("adkim"),
        aspf=words.get("aspf"),
        p=words.get("p"),
        sp=None if sp == "nil" else sp,
        np=words.get("np"),
        fo=words.get("fo"),
        pct=pct,
        testing=words.get("testing"),
        discovery_method=words.get("discovery_method"),
    )

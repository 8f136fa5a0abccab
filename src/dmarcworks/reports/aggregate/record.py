"""A `<record>` element → the tally (RFC 7489 Appendix C, RFC 9990): by local names, in any order, absent as None."""

from __future__ import annotations

import re

from lxml import etree

from dmarcworks.reports.aggregate.tally import Tally
from dmarcworks.reports.notes import Refused

_KNOWN_TYPE = re.compile(
    r"(forwarded|sampled[_ -]out|trusted[_ -]forwarder|mailing[_ -]list|local[_ -]policy|policy[_ -]test[_ -]mode"
    r"|other)"
    r"(?:\s*[:;,]\s*(\S.{0,1000})|\s*\((.{1,1000})\))?",
    re.IGNORECASE | re.DOTALL,
)
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,60}")


class Names(dict[object, str]):
    """Tag → local name; "" for what is no element of the report's namespaces (comments, extensions)."""

    def __init__(self, *namespaces: str) -> None:
        super().__init__()
        self._namespaces = {"", *namespaces}
        self._others: dict[str, Names] = {}

    def __missing__(self, tag: object) -> str:
        local = ""
        if isinstance(tag, str):
            namespace, _, name = tag.rpartition("}")
            if namespace[1:] in self._namespaces:
                local = name
        self[tag] = local
        return local

    def of(self, element: etree._Element) -> Names:
        """The names that hold inside this element: its own namespace is the report's too."""
        space = namespace(element)
        if space in self._namespaces:
            return self
        return self._others.setdefault(space, Names(*self._namespaces, space))


def namespace(element: etree._Element) -> str:
    """The element's namespace, "" for none."""
    return str(element.tag).rpartition("}")[0][1:]


def text(element: etree._Element, bound: int) -> str:
    """All text in the element, trimmed; markup inside it may not lie deeper than the bound."""
    if len(element):
        check_depth(element, bound)
        return "".join(str(piece) for piece in element.itertext()).strip()
    content = element.text
    return content.strip() if content else ""


def check_depth(element: etree._Element, bound: int) -> None:
    """Refuse an element with descendants deeper in the document than the bound."""
    level = [element]
    depth = 1 + sum(1 for _ in element.iterancestors())
    while level:
        if depth > bound:
            raise Refused("xml_depth", f"The XML is nested deeper than the bound xml_depth = {bound}.")
        level = [child for parent in level if len(parent) for child in parent]
        depth += 1


class _Texts:
    """The texts of one record, as they are found in it."""

    def __init__(self, names: Names, bound: int) -> None:
        self._names = names
        self._bound = bound
        self.counts: list[str] = []
        self.rows = 0
        self.source_ip = ""
        self.evaluated: dict[str, str] = {}
        self.reasons: list[tuple[str | None, ...]] = []
        # Override reasons that are text.
        self.texts: list[str] = []
        self.identifiers: dict[str, str] = {}
        self.dkim: list[tuple[str | None, ...]] = []
        self.spf: list[tuple[str | None, ...]] = []

    def row(self, part: etree._Element) -> None:
        """Address, count and what was evaluated."""
        names, bound = self._names, self._bound
        self.rows += 1
        for field in part:
            key = names[field.tag]
            if key == "source_ip":
                self.source_ip = self.source_ip or text(field, bound)
            elif key == "count":
                self.counts.append(text(field, bound))
            elif key == "policy_evaluated":
                for word in field:
                    key = names[word.tag]
                    if key == "reason":
                        self.reasons.append(self._reason(word))
                    elif key:
                        self.evaluated.setdefault(key, text(word, bound))
            elif len(field):
                check_depth(field, bound)

    def _reason(self, element: etree._Element) -> tuple[str | None, ...]:
        """Type and comment; text without a type is the type where it is a word, and a comment where it is not."""
        reason = _fields(element, self._names, REASON, self._bound)
        stated = element.get("type", "").strip() or (element.text or "").strip()
        if reason[0] or not stated:
            return reason
        self.texts.append(stated)
        if (known := _KNOWN_TYPE.fullmatch(stated)) is not None:
            # The type in other words ("sampled out"), perhaps with the comment behind it ("local_policy: arc=pass").
            word = known[1].replace(" ", "_").replace("-", "_")
            return word, reason[1] or known[2] or known[3] or None
        return (stated, reason[1]) if _WORD.fullmatch(stated) else (None, reason[1] or stated)

    def auth_results(self, part: etree._Element) -> None:
        """The results of DKIM and SPF."""
        names, bound = self._names, self._bound
        for field in part:
            key = names[field.tag]
            if key == "dkim":
                self.dkim.append(_fields(field, names, DKIM, bound))
            elif key == "spf":
                self.spf.append(_fields(field, names, SPF, bound))
            elif len(field):
                check_depth(field, bound)


def read(element: etree._Element, names: Names, tally: Tally, bound: int) -> None:
    """Read one record element into the tally; `bound` is the XML depth allowed."""
    tally.begin()
    texts = _Texts(names, bound)
    for part in element:
        name = names[part.tag]
        if name == "row":
            texts.row(part)
        elif name in ("identifiers", "identities"):
            for field in part:
                texts.identifiers.setdefault(names[field.tag], text(field, bound))
        elif name == "auth_results":
            texts.auth_results(part)
        elif len(part):
            check_depth(part, bound)
    number = tally.number(texts.counts, texts.rows)
    if number is None or (not number and tally.no_sender(texts.source_ip)):
        return
    for stated in texts.texts:
        tally.reason_as_text(stated)
    evaluated, identifiers = texts.evaluated, texts.identifiers
    made = tally.make(
        (evaluated.get("disposition"), evaluated.get("dkim"), evaluated.get("spf")),
        tuple(texts.reasons),
        (identifiers.get("header_from"), identifiers.get("envelope_from"), identifiers.get("envelope_to")),
        tuple(texts.dkim),
        tuple(texts.spf),
    )
    tally.append(texts.source_ip, number, made)


REASON = {"type": 0, "comment": 1}
DKIM = {"domain": 0, "selector": 1, "result": 2, "human_result": 3}
SPF = {"domain": 0, "scope": 1, "result": 2, "human_result": 3}


def fields(pairs: list[tuple[str, str]], places: dict[str, int]) -> tuple[str | None, ...]:
    """Texts in their places: of several with one name the first that is not empty."""
    values: list[str | None] = [None] * len(places)
    for name, value in pairs:
        place = places.get(name)
        if place is not None and not values[place]:
            values[place] = value
    return tuple(values)


def _fields(element: etree._Element, names: Names, places: dict[str, int], bound: int) -> tuple[str | None, ...]:
    values: list[str | None] = [None] * len(places)
    for field in element:
        place = places.get(names[field.tag])
        if place is None:
            if len(field):
                check_depth(field, bound)
        elif not values[place]:
            values[place] = text(field, bound)
    return tuple(values)

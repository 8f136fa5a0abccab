"""An aggregate report's XML against RFC 7489 Appendix C, or RFC 9990 Appendix A where it claims to be one.

In: the document's bytes. Out: an `Outline` of its content, and findings with XPath and line. A DOCTYPE is a finding
and nothing after it is parsed. A document without a namespace is checked against RFC 7489; that is no deviation.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from lxml import etree

from dmarcworks.reports import sniff, values
from dmarcworks.reports.lint.finding import Findings, shown
from dmarcworks.reports.lint.schema import RFC_7489, RFC_9990, Group

NEW = "urn:ietf:params:xml:ns:dmarc-2.0"
OLD = "http://dmarc.org/dmarc-xml/0.1"
# Elements that only RFC 9990 knows (np alone may be RFC 9091).
_ONLY_NEW = ("testing", "discovery_method", "generator", "extension")
_DEPTH = 50
_LISTED_ERRORS = 5
# RFC 7489 requires a unique identifier and does not define its form.
_REPORT_ID_CLAUSE = "RFC 9990, section “Definition of Report-ID”"
_REPORT_ID = re.compile(r"<?[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,500}(?:@[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,255})?>?")


@dataclass(frozen=True, slots=True)
class Outline:
    """The document's description of the report, as text; "" for what is absent."""

    standard: str
    reporter: str
    contact: str
    report_id: str
    domain: str
    begin: str
    end: str


def lint(data: bytes, findings: Findings) -> Outline:
    """Judge one document."""
    head = sniff.look(data)
    before = data[: head.skip].decode(head.codec or "latin-1", "replace").lstrip("\ufeff")
    if before:
        findings.add(
            "XML 1.0 §2.1", "line 1", f"{len(before)} characters before the document", "the document alone", line=1
        )
    if head.doctype:
        findings.add("RFC 7489 Appendix C", "/", "a DOCTYPE", "a document without one; readers refuse it as an attack")
        return Outline("RFC 7489", "", "", "", "", "", "")
    root = _parsed(data[head.skip :] if before else data, findings)
    if root is None:
        return Outline("RFC 7489", "", "", "", "", "", "")
    space, _, local = str(root.tag).rpartition("}")
    space = space[1:]
    newer = space == NEW or any(next(root.iter(f"{{*}}{name}"), None) is not None for name in _ONLY_NEW)
    standard = "RFC 9990" if newer else "RFC 7489"
    clause = f"{standard} Appendix {'A' if newer else 'C'}"
    expected = NEW if newer else OLD
    if space != expected and (space or newer):
        what = f"the namespace {shown(space)}" if space else "no namespace"
        findings.add(clause, "/feedback", what, f"the namespace {expected}", "warning", _line(root))
    if local != "feedback":
        findings.add(clause, "/", f"the root element {shown(local)}", "feedback", line=_line(root))
    _Walk(RFC_9990 if newer else RFC_7489, clause, space, findings).group(root, "feedback", "/feedback", 1)
    return _outline(root, standard, clause, findings)


def _parsed(data: bytes, findings: Findings) -> etree._Element | None:
    """The tree, with libxml2's recovery where it is broken; what was broken is a finding."""
    for recover in (False, True):
        parser = etree.XMLParser(
            recover=recover,
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
        )
        try:
            root = etree.fromstring(data, parser)
        except etree.XMLSyntaxError as error:
            for entry in list(parser.error_log)[:_LISTED_ERRORS] if not recover else ():
                message = entry.message.strip()
                findings.add("XML 1.0", f"line {entry.line}", message, "well-formed XML", line=entry.line)
            if not recover and not len(parser.error_log):
                findings.add("XML 1.0", "/", str(error)[:200], "well-formed XML")
            continue
        if root is not None and root.getroottree().docinfo.internalDTD is None:
            return root
    return None


def _line(element: etree._Element) -> int | None:
    # The type stubs do not declare that the line may be None.
    return cast(int | None, element.sourceline)


class _Walk:
    """Compares elements with the groups of one standard."""

    def __init__(self, groups: Mapping[str, Group], clause: str, space: str, findings: Findings) -> None:
        self._groups = groups
        self._clause = clause
        self._spaces = {space, ""}
        self._findings = findings

    def group(self, element: etree._Element, name: str, path: str, depth: int) -> None:
        """An element that holds others."""
        group = self._groups[name]
        places = list(group.children)
        seen: dict[str, int] = {}
        reached = 0
        for child in element:
            space, _, local = str(child.tag).rpartition("}")
            if space[1:] not in self._spaces:
                if not group.open:
                    self._note(
                        child, path, f"the element {shown(local)} of another namespace", "only the schema's elements"
                    )
                continue
            known = group.children.get(local)
            if known is None:
                should = "one of " + ", ".join(places) if places else "elements of another namespace only"
                self._note(child, path, f"the element {shown(local)}", should, "warning")
                continue
            seen[local] = seen.get(local, 0) + 1
            below = f"{path}/{local}" + (f"[{seen[local]}]" if known.most > 1 else "")
            if seen[local] == known.most + 1:
                self._note(child, below, f"{local} more than once", "one")
            if group.ordered and places.index(local) < reached:
                self._note(child, below, f"{local} after {places[reached]}", f"{local} before it", "warning")
            else:
                reached = max(reached, places.index(local))
            if known.kind in self._groups:
                if depth < _DEPTH:
                    self.group(child, known.kind, below, depth + 1)
            else:
                self._value(child, known.kind, local, below)
        for local, known in group.children.items():
            if seen.get(local, 0) < known.least:
                self._note(element, f"{path}/{local}", f"no {local} in {name}", f"{local} is required", known.absent)

    def _note(self, element: etree._Element, path: str, found: str, should: str, severity: str = "error") -> None:
        self._findings.add(self._clause, path, found, should, severity, _line(element))

    def _value(self, element: etree._Element, kind: str, name: str, path: str) -> None:
        raw = "".join(str(piece) for piece in element.itertext())
        text = raw.strip()
        if kind.startswith("enum:"):
            words = kind[5:].split("|")
            if text not in words:
                near = text.lower() in words
                what = f"{name} {shown(text)}" if text else f"an empty {name}"
                self._note(
                    element, path, what, "one of " + ", ".join(words), "warning" if near or not text else "error"
                )
                return
        else:
            should = _CHECKS[kind](text)
            if should:
                what = f"{name} {shown(text)}" if text else f"an empty {name}"
                clause = _REPORT_ID_CLAUSE if kind == "report_id" and text else self._clause
                severity = "warning" if kind in _MILD else "error"
                self._findings.add(clause, path, what, should, severity, _line(element))
                return
        if raw != text and kind not in ("text", "filled"):
            self._note(element, path, f"white space around the value of {name}", "the value alone", "warning")


def _ip(text: str) -> str:
    try:
        good = "%" not in text and bool(ipaddress.ip_address(text))
    except ValueError:
        good = False
    return "" if good else "an IPv4 or IPv6 address"


def _count(text: str) -> str:
    try:
        odd = values.count(text)[1]
    except (ValueError, OverflowError):
        odd = True
    return "a whole number of messages" if odd else ""


def _time(text: str) -> str:
    if not re.fullmatch(r"\d{1,19}", text, re.ASCII):
        return "whole seconds since 1970-01-01 00:00 UTC"
    return "" if int(text) < 10**11 else "seconds since 1970-01-01 00:00 UTC, not milliseconds"


def _percent(text: str) -> str:
    return "" if re.fullmatch(r"\d{1,3}", text, re.ASCII) and int(text) <= 100 else "a whole number from 0 to 100"


def _report_id(text: str) -> str:
    if not text:
        return "a unique identifier"
    return "" if _REPORT_ID.fullmatch(text) else "dot-atom-text, optionally with @ and more, at most 755 characters"


_CHECKS: Mapping[str, Callable[[str], str]] = {
    "text": lambda text: "",
    "filled": lambda text: "" if text else "a value",
    "decimal": lambda text: "" if re.fullmatch(r"\d{1,9}(?:\.\d{0,9})?", text, re.ASCII) else "a decimal number",
    "one": lambda text: "" if text == "1.0" else "1.0",
    "ip": _ip,
    "count": _count,
    "time": _time,
    "percent": _percent,
    "report_id": _report_id,
}
_MILD = ("report_id", "decimal", "one", "percent", "filled")


def _outline(root: etree._Element, standard: str, clause: str, findings: Findings) -> Outline:
    def text(*names: str) -> str:
        at: etree._Element | None = root
        for name in names:
            at = (
                next((child for child in at if str(child.tag).rpartition("}")[2] == name), None)
                if at is not None
                else None
            )
        return "" if at is None else "".join(str(piece) for piece in at.itertext()).strip()

    begin, end = (text("report_metadata", "date_range", name) for name in ("begin", "end"))
    if not _time(begin) and not _time(end) and int(end) < int(begin):
        findings.add(
            clause, "/feedback/report_metadata/date_range", f"end {end} before begin {begin}", "end after begin"
        )
    return Outline(
        standard,
        text("report_metadata", "org_name"),
        text("report_metadata", "email"),
        text("report_metadata", "report_id"),
        text("policy_published", "domain"),
        begin,
        end,
    )

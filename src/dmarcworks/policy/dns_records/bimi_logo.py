"""The logo of BIMI (SVG Tiny PS) and its certificate. Pure; neither is trusted, and neither causes a look-up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from cryptography import x509
from lxml import etree

from dmarcworks.policy.dns_records.codes import finding_from
from dmarcworks.policy.dns_records.codes_more import BIMI_CODES
from dmarcworks.policy.dns_records.finding import DnsFinding

__all__ = ["certificate_findings", "logo_findings"]

_LOGO_BYTES = 32 * 1024
_SVG = "{http://www.w3.org/2000/svg}"
# What a picture needs no more than once to be refused: scripts, movement, other pictures, links.
_FORBIDDEN = frozenset(
    {"script", "animate", "animateColor", "animateMotion", "animateTransform", "set", "image", "foreignObject", "a"}
    | {"audio", "video", "animation", "handler", "listener", "style", "filter", "mask", "pattern", "switch"}
)
_NAMES = 5


def logo_findings(data: bytes) -> list[DnsFinding]:
    """What is right and wrong with a logo."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        return [_finding("svg-broken", reason=str(error)[:120])]
    findings = [*_root(root), *_elements(root)]
    if len(data) > _LOGO_BYTES:
        findings.append(_finding("svg-size", octets=f"{len(data):,}"))
    return findings or [_finding("svg-valid")]


def _root(root: Any) -> Iterator[DnsFinding]:
    if root.tag != f"{_SVG}svg" or root.get("version") != "1.2" or root.get("baseProfile") != "tiny-ps":
        yield _finding("svg-profile")
    title = root.find(f"{_SVG}title")
    if title is None or not (title.text or "").strip():
        yield _finding("svg-title")
    for name in ("x", "y"):
        if root.get(name) is not None:
            yield _finding("svg-attribute", value=name)
    box = (root.get("viewBox") or "").replace(",", " ").split()
    if len(box) == 4 and box[2] != box[3]:
        yield _finding("svg-square", value=" ".join(box))


def _elements(root: Any) -> Iterator[DnsFinding]:
    seen: set[str] = set()
    for element in root.iter():
        if not isinstance(element.tag, str):
            continue
        name = element.tag.rpartition("}")[2]
        if name in _FORBIDDEN and name not in seen:
            seen.add(name)
            yield _finding("svg-element", value=name)
        for attribute, value in element.attrib.items():
            plain = str(attribute).rpartition("}")[2]
            if plain.lower().startswith("on") and plain not in seen:
                seen.add(plain)
                yield _finding("svg-attribute", value=plain)
            if plain == "href" and not str(value).startswith("#"):
                yield _finding("svg-reference", value=str(value))


def certificate_findings(data: bytes, url: str, domain: str, now: datetime) -> list[DnsFinding]:
    """Whose certificate it is, for which domains and how long. The chain of its issuer is not verified."""
    try:
        certificate = x509.load_pem_x509_certificates(data)[0]
        names = _alternative_names(certificate)
        until = certificate.not_valid_after_utc
        issuer = certificate.issuer.rfc4514_string()
    except (ValueError, IndexError, TypeError) as error:
        return [_finding("certificate-broken", url=url, reason=str(error)[:120] or "it is not PEM")]
    day, shown = f"{until:%Y-%m-%d}", ", ".join(names[:_NAMES]) or "no domain"
    if until < now:
        return [_finding("certificate-expired", fix="Renew the certificate.", day=day)]
    plain = [name.lower().removeprefix("default._bimi.") for name in names]
    if not any(domain == name or domain.endswith(f".{name}") for name in plain):
        return [_finding("certificate-domain", names=shown, domain=domain)]
    return [_finding("certificate", issuer=issuer, names=shown, day=day)]


def _alternative_names(certificate: x509.Certificate) -> list[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return extension.value.get_values_for_type(x509.DNSName)


def _finding(code: str, *, fix: str = "", **values: object) -> DnsFinding:
    return finding_from(BIMI_CODES, f"bimi-{code}", record="", fix=fix, **values)

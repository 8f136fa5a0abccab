"""The text of an SPF record → its terms, with every fault by the grammar of RFC 7208 section 12. Pure."""

from __future__ import annotations

import functools
import ipaddress
import re
from dataclasses import dataclass

from dmarcworks.enrich.senders.model import IpBlock
from dmarcworks.enrich.spf.macros import MacroError, MacroString, ends_in_macro, macros_in, parse_macros
from dmarcworks.enrich.spf.model import SpfResultCode

__all__ = ["SpfFault", "SpfMechanism", "SpfModifier", "SpfRecord", "SpfTerm", "is_spf_record", "parse_record"]

_VERSION = re.compile(rb"v=spf1(?: |$)", re.IGNORECASE)
_MODIFIER = re.compile(r"([A-Za-z][A-Za-z0-9\-_.]*)=(.*)", re.DOTALL)
_MECHANISM = re.compile(r"([+\-?~]?)([A-Za-z][A-Za-z0-9\-_.]*)((?:[:/].*)?)", re.DOTALL)
_CIDR = re.compile(r"(?P<four>/(?P<ip4>0|[1-9]\d?))?(?P<six>//(?P<ip6>0|[1-9]\d{0,2}))?")
_TRAILING_CIDR = re.compile(r"((?:/\d*)?(?://\d*)?)$")
_HIDDEN = re.compile(r"[^!-~]")
_TOP_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?")
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]\d|\d)"
_IP4 = re.compile(rf"({_OCTET}(?:\.{_OCTET}){{3}})(?:/(0|[1-9]\d?))?")
_IP6 = re.compile(r"([0-9A-Fa-f:.]+)(?:/(0|[1-9]\d{0,2}))?")
_QUALIFIERS = {
    "": SpfResultCode.passed,
    "+": SpfResultCode.passed,
    "-": SpfResultCode.fail,
    "~": SpfResultCode.softfail,
    "?": SpfResultCode.neutral,
}
_WITH_TARGET = frozenset({"include", "exists", "ptr", "a", "mx"})
_QUERYING = frozenset({"include", "a", "mx", "ptr", "exists"})
# In names; in explanations all macros are allowed (section 7.2).
_ONLY_EXPLANATION = frozenset("crt")


@dataclass(frozen=True, slots=True)
class SpfMechanism:
    """A mechanism: `result` if it matches; its target name, networks and prefix lengths where it has them."""

    text: str
    result: SpfResultCode
    name: str
    target: MacroString = ()
    network: IpBlock | None = None
    prefix4: int = 32
    prefix6: int = 128

    @property
    def queries(self) -> bool:
        """Whether it counts in the limit of 10 terms that cause queries."""
        return self.name in _QUERYING


@dataclass(frozen=True, slots=True)
class SpfModifier:
    """a modifier, known or unknown (`name` in lower case)."""

    text: str
    name: str
    value: MacroString


SpfTerm = SpfMechanism | SpfModifier


@dataclass(frozen=True, slots=True)
class SpfFault:
    """A term that breaks the grammar, and why."""

    text: str
    problem: str


@dataclass(frozen=True, slots=True)
class SpfRecord:
    """A record: its terms in their order, and the faults; one fault makes every evaluation end in permerror."""

    text: str
    terms: tuple[SpfTerm, ...]
    faults: tuple[SpfFault, ...]

    @property
    def mechanisms(self) -> tuple[SpfMechanism, ...]:
        """The mechanisms in their order."""
        return tuple(term for term in self.terms if isinstance(term, SpfMechanism))

    def modifier(self, name: str) -> SpfModifier | None:
        """The modifier of that name, the first one."""
        return next((term for term in self.terms if isinstance(term, SpfModifier) and term.name == name), None)


def is_spf_record(text: bytes) -> bool:
    """Whether a TXT record is selected (section 4.5): "v=spf1" in any case, then a space or the end."""
    return _VERSION.match(text) is not None


@functools.lru_cache(maxsize=128)
def parse_record(record: bytes) -> SpfRecord:
    """The terms and faults of a record that `is_spf_record` selected. Never raises."""
    text = record.decode("utf-8", "replace")
    terms: list[SpfTerm] = []
    faults: list[SpfFault] = []
    for word in text.split(" ")[1:]:
        if not word:
            continue
        try:
            terms.append(_term(word))
        except ValueError as error:
            faults.append(SpfFault(word, str(error)))
    for name in ("redirect", "exp"):
        same = [term for term in terms if isinstance(term, SpfModifier) and term.name == name]
        faults += [SpfFault(term.text, f"{name}= occurs more than once") for term in same[1:]]
    return SpfRecord(text, tuple(terms), tuple(faults))


def _term(word: str) -> SpfTerm:
    if (hidden := _HIDDEN.search(word)) is not None:
        raise ValueError(f"it contains {hidden[0]!r}; only visible ASCII characters are allowed")
    if match := _MODIFIER.fullmatch(word):
        return _modifier(word, match[1].lower(), match[2])
    match = _MECHANISM.fullmatch(word)
    if match is None:
        raise ValueError("it is neither a mechanism nor a modifier")
    sign, name, rest = match.groups()
    name, result = name.lower(), _QUALIFIERS[sign]
    if name == "all":
        if rest:
            raise ValueError("all has no argument")
        return SpfMechanism(word, result, name)
    if name in ("ip4", "ip6"):
        return SpfMechanism(word, result, name, network=_network(name, rest))
    if name in _WITH_TARGET:
        return _with_target(word, result, name, rest)
    if name in ("redirect", "exp"):
        raise ValueError(f"{name} is a modifier and is written with an equals sign: {name}=")
    raise ValueError(f"there is no mechanism {name!r}")


def _modifier(word: str, name: str, value: str) -> SpfModifier:
    if name in ("redirect", "exp"):
        return SpfModifier(word, name, _domain_spec(value))
    return SpfModifier(word, name, parse_macros(value))


def _with_target(word: str, result: SpfResultCode, name: str, rest: str) -> SpfMechanism:
    prefix4, prefix6 = 32, 128
    if name in ("a", "mx"):
        cidr = _TRAILING_CIDR.search(rest)
        if cidr is not None and cidr[1]:
            rest = rest[: cidr.start()]
            prefix4, prefix6 = _prefixes(cidr[1])
    if not rest:
        if name in ("include", "exists"):
            raise ValueError(f"{name} needs a domain name: {name}:example.com")
        return SpfMechanism(word, result, name, prefix4=prefix4, prefix6=prefix6)
    if not rest.startswith(":"):
        raise ValueError(f"{rest!r} is not a prefix length" if name in ("a", "mx") else f"{name} has no prefix length")
    return SpfMechanism(word, result, name, _domain_spec(rest[1:]), None, prefix4, prefix6)


def _prefixes(text: str) -> tuple[int, int]:
    match = _CIDR.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a prefix length; write /24 for IPv4, //64 for IPv6, /24//64 for both")
    prefix4 = int(match["ip4"]) if match["ip4"] else 32
    prefix6 = int(match["ip6"]) if match["ip6"] else 128
    if prefix4 > 32:
        raise ValueError(f"the IPv4 prefix length {prefix4} is over 32")
    if prefix6 > 128:
        raise ValueError(f"the IPv6 prefix length {prefix6} is over 128")
    return prefix4, prefix6


def _network(name: str, rest: str) -> IpBlock:
    """The network of `ip4:` or `ip6:`; bits after the prefix are ignored (section 5.6)."""
    version, pattern, most = (4, _IP4, 32) if name == "ip4" else (6, _IP6, 128)
    match = pattern.fullmatch(rest[1:]) if rest.startswith(":") else None
    if match is None:
        raise ValueError(f"{name} needs an IPv{version} address, with or without a prefix length")
    prefix = int(match[2]) if match[2] else most
    if prefix > most:
        raise ValueError(f"the prefix length {prefix} is over {most}")
    try:
        if version == 4:
            return ipaddress.IPv4Network((match[1], prefix), strict=False)
        return ipaddress.IPv6Network((match[1], prefix), strict=False)
    except ValueError:
        raise ValueError(f"{match[1]!r} is not an IPv{version} address") from None


def _domain_spec(text: str) -> MacroString:
    """A name that may have macros in it: it ends in a macro, or in a dot and a top label (section 7.1)."""
    if not text:
        raise ValueError("the domain name is missing")
    parts = parse_macros(text)
    if refused := sorted(macros_in(parts) & _ONLY_EXPLANATION):
        raise MacroError(f"the macro %{{{refused[0]}}} is allowed in the text of an explanation only")
    if ends_in_macro(text):
        return parts
    before, dot, last = text.removesuffix(".").rpartition(".")
    # Equal to `toplabel` of the RFC: one of digits only is none, one with a hyphen may have no other characters.
    is_label = _TOP_LABEL.fullmatch(last) is not None and not last.isdigit()
    if not dot or not is_label:
        if is_label and not before:
            raise ValueError(f"{text!r} is a single label; a full domain name is needed")
        raise ValueError(f"{text!r} does not end in a top-level domain")
    return parts

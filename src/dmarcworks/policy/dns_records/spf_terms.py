"""Judges the terms of one SPF record by themselves: what each of them allows, and what has no effect. Pure."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterator

from dmarcworks.enrich.spf.macros import MacroExpand, MacroString, macros_in
from dmarcworks.enrich.spf.model import SpfResultCode
from dmarcworks.enrich.spf.record import SpfMechanism, SpfModifier, SpfRecord, SpfTerm
from dmarcworks.policy.dns_records.finding import DnsFinding
from dmarcworks.policy.dns_records.spf_codes import spf_finding
from dmarcworks.policy.dns_records.spf_slips import corrected_record, is_mistaken_modifier

__all__ = ["all_of", "removal", "term_findings", "without_terms"]

# Prefix lengths of networks that are larger than what one domain's servers need.
_LARGE4, _LARGE6 = 8, 19
_PRIVATE4 = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "100.64.0.0/10")
_PRIVATE = tuple(map(ipaddress.ip_network, (*_PRIVATE4, "fc00::/7", "fe80::/10", "::1/128")))
_MEANINGS = {
    "s": "the sender's address",
    "l": "the local part of the sender's address",
    "o": "the domain of the sender's address",
    "d": "the domain of this record",
    "i": "the address of the sending server",
    "p": "the host name of the sending server (deprecated)",
    "v": "in-addr for IPv4, ip6 for IPv6",
    "h": "the HELO name",
    "c": "the address of the sending server as text",
    "r": "the name of the receiving server",
    "t": "the current time",
}


def term_findings(domain: str, record: SpfRecord) -> Iterator[DnsFinding]:
    """The findings about the terms of a record without syntax errors."""
    yield from _about_all(domain, record)
    yield from _about_modifiers(record)
    for mechanism in record.mechanisms:
        yield from _about_mechanism(mechanism, record)
    for term in record.terms:
        if meaning := _meaning(_target(term)):
            yield spf_finding("spf-macro", record=record.text, term=term.text, meaning=meaning)
    counted = Counter(term.text.lower() for term in record.terms)
    for text, count in counted.items():
        if count > 1:
            yield spf_finding("spf-duplicate", record=record.text, fix=_once(record), term=text, count=count)


def all_of(record: SpfRecord) -> SpfMechanism | None:
    """The first `all`."""
    return next((term for term in record.mechanisms if term.name == "all"), None)


def without_terms(record: SpfRecord, *texts: str) -> str:
    """The record without the terms of these texts."""
    return " ".join(["v=spf1", *(term.text for term in record.terms if term.text not in texts)])


def removal(record: SpfRecord, term: str) -> str:
    """How to publish the record without a term; in words when no server would pass any more."""
    if _lets_pass(record, but=term):
        return without_terms(record, term)
    return f"Replace {term} by terms for the servers that send mail, such as ip4:."


def _lets_pass(record: SpfRecord, but: str = "") -> bool:
    """Whether a record names a server, or another record that may, by a term other than one."""
    return any(
        term.text != but
        and (
            term.name == "redirect"
            if isinstance(term, SpfModifier)
            else term.result is SpfResultCode.passed and term.name != "all"
        )
        for term in record.terms
    )


def _ending(record: SpfRecord, changed: str, end: str) -> str:
    """The record as changed; in words when it names no server at all."""
    return changed if _lets_pass(record) else f"Name the servers that send mail, then end with {end}."


def _about_all(domain: str, record: SpfRecord) -> Iterator[DnsFinding]:
    everything, redirect = all_of(record), record.modifier("redirect")
    text = record.text
    if everything is None:
        if redirect is None:
            yield spf_finding("spf-no-all", record=text, fix=_ending(record, f"{text.rstrip()} -all", "-all"))
        return
    end = "-all" if everything.result is SpfResultCode.neutral else "~all"
    changed = _ending(record, _with_all(record, everything, end), end)
    if everything.result is SpfResultCode.passed:
        yield spf_finding("spf-pass-all", record=text, fix=changed, term=everything.text, domain=domain)
    elif everything.result is SpfResultCode.neutral:
        yield spf_finding("spf-neutral-all", record=text, fix=changed, term=everything.text)
    after = [term.text for term in record.mechanisms[record.mechanisms.index(everything) + 1 :]]
    if after:
        fix = _all_last(record, everything)
        yield spf_finding("spf-after-all", record=text, fix=fix, term=everything.text, terms=" ".join(after))
    if redirect is not None:
        fix = without_terms(record, redirect.text)
        yield spf_finding("spf-redirect-ignored", record=text, fix=fix, term=redirect.text)


def _with_all(record: SpfRecord, everything: SpfMechanism, changed: str) -> str:
    return " ".join(["v=spf1", *(changed if term is everything else term.text for term in record.terms)])


def _all_last(record: SpfRecord, everything: SpfMechanism) -> str:
    """The record with its first `all` at the end and no other one."""
    texts = [term.text for term in record.terms if not (isinstance(term, SpfMechanism) and term.name == "all")]
    return " ".join(["v=spf1", *texts, everything.text])


def _about_modifiers(record: SpfRecord) -> Iterator[DnsFinding]:
    for term in record.terms:
        if not isinstance(term, SpfModifier) or term.name in ("redirect", "exp"):
            continue
        if is_mistaken_modifier(term.text):
            yield spf_finding(
                "spf-mistaken-modifier", record=record.text, fix=corrected_record(record.text), term=term.text
            )
        else:
            fix = without_terms(record, term.text)
            yield spf_finding("spf-unknown-modifier", record=record.text, fix=fix, term=term.text)


def _about_mechanism(term: SpfMechanism, record: SpfRecord) -> Iterator[DnsFinding]:
    replaced = f"Replace {term.text} by the addresses that send mail, with ip4: and ip6:."
    if term.name == "ptr":
        yield spf_finding("spf-ptr", record=record.text, fix=replaced, term=term.text)
    if term.name == "exists":
        name = term.text.partition(":")[2]
        yield spf_finding("spf-exists", record=record.text, term=term.text, name=name)
    if term.result is not SpfResultCode.passed:
        return
    for version, prefix in _prefixes(term):
        if prefix == 0:
            yield spf_finding("spf-whole-internet", record=record.text, fix=replaced, term=term.text)
            return
        if prefix <= (_LARGE4 if version == 4 else _LARGE6):
            count = f"2^{(32 if version == 4 else 128) - prefix}"
            yield spf_finding("spf-large-range", record=record.text, fix=replaced, term=term.text, count=count)
            return
    network = term.network
    if network is not None and any(
        network.version == private.version and network.subnet_of(private)  # type: ignore[arg-type]
        for private in _PRIVATE
    ):
        yield spf_finding("spf-private-address", record=record.text, fix=removal(record, term.text), term=term.text)


def _prefixes(term: SpfMechanism) -> list[tuple[int, int]]:
    if term.network is not None:
        return [(term.network.version, term.network.prefixlen)]
    return [(4, term.prefix4), (6, term.prefix6)] if term.name in ("a", "mx") else []


def _target(term: SpfTerm) -> MacroString:
    return term.value if isinstance(term, SpfModifier) else term.target


def _meaning(target: MacroString) -> str:
    """What the macros of a term stand for."""
    used = macros_in(target)
    names = [part.name for part in target if isinstance(part, MacroExpand)]
    return ", ".join(f"%{{{name}}} is {_MEANINGS[name]}" for name in dict.fromkeys(names) if name in used)


def _once(record: SpfRecord) -> str:
    texts = {term.text.lower(): term.text for term in reversed(record.terms)}
    return " ".join(["v=spf1", *dict.fromkeys(texts[term.text.lower()] for term in record.terms)])

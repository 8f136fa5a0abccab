"""The ARC chain of a mail (RFC 8617 §5.2), without its keys: whether it is whole, and what its keys must have signed.

The seal of every instance and the message signature of the newest one are claims; each set's fields are hashed once.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass

from dmarcworks.enrich.dkim.message import CanonicalMail, HeaderField, relaxed_field, unsigned
from dmarcworks.enrich.dkim.signature import Claim, algorithm, claim, read_tags
from dmarcworks.enrich.dkim.tags import BrokenError, domain, from_base64

INSTANCES = 50
RESULTS, SIGNATURE, SEAL = b"arc-authentication-results", b"arc-message-signature", b"arc-seal"


@dataclass(frozen=True, slots=True)
class Chain:
    """`result` is "none", "fail" or "" when all of `claims` must hold; `newest`: the highest instance, 0 without one;
    `ended`: its seal states that the chain failed, so that nobody may extend it."""

    result: str
    newest: int = 0
    claims: tuple[Claim, ...] = ()
    ended: bool = False


def chain(mail: CanonicalMail) -> Chain:
    """The chain of a mail."""
    try:
        sets = arc_sets(mail)
    except BrokenError:
        return Chain("fail", INSTANCES)
    if not sets:
        return Chain("none")
    newest = len(sets)
    try:
        seals = [read_tags(seal) for _, _, seal in sets]
        if seals[-1].get("cv", "").lower() == "fail":
            return Chain("fail", newest, ended=True)
        if any(seal.get("cv", "").lower() != ("pass" if place else "none") for place, seal in enumerate(seals)):
            raise BrokenError("cv= does not state an unbroken chain")
        claims = (_message(mail, sets[-1][1]), *_sealed(sets, seals))
    except (BrokenError, KeyError):
        return Chain("fail", newest)
    return Chain("", newest, claims)


def arc_sets(mail: CanonicalMail) -> list[tuple[HeaderField, HeaderField, HeaderField]]:
    """Results, signature and seal of each instance from the first; `BrokenError` when a field is missing or twice."""
    sets: dict[int, dict[bytes, HeaderField]] = defaultdict(dict)
    for field in mail.fields:
        if field.name in (RESULTS, SIGNATURE, SEAL):
            fields = sets[instance(field)]
            if field.name in fields:
                raise BrokenError("an instance has a field twice")
            fields[field.name] = field
    if sorted(sets) != list(range(1, len(sets) + 1)) or any(len(fields) != 3 for fields in sets.values()):
        raise BrokenError("the chain has a gap")
    return [(sets[i][RESULTS], sets[i][SIGNATURE], sets[i][SEAL]) for i in sorted(sets)]


def instance(field: HeaderField) -> int:
    """Its i=."""
    if field.name == RESULTS:
        name, _, number = field.value.partition(b";")[0].partition(b"=")
        text = number.strip(b" \t").decode("ascii", "replace") if name.strip(b" \t").lower() == b"i" else ""
    else:
        text = read_tags(field).get("i", "")
    if not (text.isascii() and text.isdigit() and len(text) <= 2 and 1 <= int(text) <= INSTANCES):
        raise BrokenError("no instance")
    return int(text)


def _message(mail: CanonicalMail, field: HeaderField) -> Claim:
    values = read_tags(field)
    if "arc-seal" in [name.strip().lower() for name in values["h"].split(":")]:
        raise BrokenError("a message signature must not cover seals")
    # Its i= is a number of the chain, no identity.
    tags = {name: value for name, value in values.items() if name not in ("i", "v")}
    covered = claim(mail, field, {"c": "relaxed/relaxed", **tags}, domain(values["d"]), domain(values["s"]))
    if isinstance(covered, str):
        raise BrokenError("the body was changed")
    return covered


def _sealed(sets: list[tuple[HeaderField, HeaderField, HeaderField]], seals: list[dict[str, str]]) -> list[Claim]:
    """A claim per seal: over all sets up to its own, in order, without its own b=."""
    claims = []
    below = hashlib.sha256()
    for (results, signature, seal), seal_tags in zip(sets, seals, strict=True):
        if "h" in seal_tags:
            raise BrokenError("a seal has no h=")
        below.update(relaxed_field(results) + relaxed_field(signature))
        own = below.copy()
        own.update(relaxed_field(unsigned(seal)).removesuffix(b"\r\n"))
        below.update(relaxed_field(seal))
        where = domain(seal_tags["d"]), domain(seal_tags["s"])
        claims.append(Claim(*where, algorithm(seal_tags), own.digest(), from_base64(seal_tags["b"])))
    return claims

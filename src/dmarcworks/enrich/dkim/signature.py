"""Signatures of a mail, without their keys: what each claims, and the hashes that its key must have signed.

In: a mail. Out: for each signature its domain, selector and a `Claim` to verify with the key, or the result that is
known already. Pure: the caller queries DNS for `Claim.key_name`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dmarcworks.enrich.dkim.message import CanonicalMail, HeaderField, header_hash
from dmarcworks.enrich.dkim.tags import BrokenError, domain, from_base64, tags, without_space

SIGNATURES = 5
NAMES = 1_000
_FIELD_BYTES = 100_000
# Clocks of other people may be wrong by that much.
_SLOP_SECONDS = 36_000
_ALGORITHMS = {"rsa-sha256": "rsa", "ed25519-sha256": "ed25519"}
_NUMBER = re.compile(r"[0-9]{1,76}")
_CANONICAL = {"simple": False, "relaxed": True}


@dataclass(frozen=True, slots=True)
class Claim:
    """That the key at `selector._domainkey.domain` has signed this SHA-256; `below`: for a domain below its own."""

    domain: str
    selector: str
    kind: str
    digest: bytes
    signature: bytes
    below: bool = False

    @property
    def key_name(self) -> str:
        """Where the key is published."""
        return f"{self.selector}._domainkey.{self.domain}"


@dataclass(frozen=True, slots=True)
class Signed:
    """A DKIM signature: `claim` is left to verify, or `result` is known without a key (RFC 8601 words)."""

    domain: str
    selector: str
    result: str = ""
    claim: Claim | None = None


def signatures(mail: CanonicalMail, now: float) -> tuple[Signed, ...]:
    """The first signatures from the top, at most five; `now` in unix seconds."""
    return tuple(_signed(mail, field, now) for field in mail.all(b"dkim-signature")[:SIGNATURES])


def _signed(mail: CanonicalMail, field: HeaderField, now: float) -> Signed:
    try:
        tag_values = read_tags(field)
        signer, selector = domain(tag_values["d"]), domain(tag_values["s"])
    except (BrokenError, KeyError):
        return Signed("", "", "permerror")
    try:
        if tag_values.get("v") != "1":
            raise BrokenError("v= is not 1")
        _check_times(tag_values, now)
        covered = claim(mail, field, tag_values, signer, selector)
    except (BrokenError, KeyError):
        return Signed(signer, selector, "permerror")
    if isinstance(covered, str):
        return Signed(signer, selector, covered)
    return Signed(signer, selector, claim=covered)


def read_tags(field: HeaderField) -> dict[str, str]:
    """The tags of a signature's field."""
    if len(field.raw) > _FIELD_BYTES:
        raise BrokenError("the field is too long")
    return tags(field.raw.partition(b":")[2].decode("utf-8", "replace"))


def claim(
    mail: CanonicalMail, field: HeaderField, tag_values: dict[str, str], signer: str, selector: str
) -> Claim | str:
    """The claim to verify with the key, or a result when the body decides it. For DKIM and ARC message signatures."""
    kind = algorithm(tag_values)
    header, body = canonical(tag_values.get("c", "simple/simple"))
    names = [name.strip(" \t\r\n").lower().encode() for name in tag_values["h"].split(":", NAMES + 1)]
    if len(names) > NAMES or b"from" not in names:
        raise BrokenError("h= names too much, or not From")
    if tag_values.get("q", "dns/txt").lower() not in ("dns/txt", "dns"):
        raise BrokenError("q= is not dns/txt")
    below = _identity(tag_values, signer)
    length = _length(tag_values)
    whole = len(mail.body(body))
    if length is not None and length > whole:
        raise BrokenError("l= is longer than the body")
    if mail.body_hash(body, length) != from_base64(tag_values["bh"]):
        return "fail"
    if length is not None and length < whole:
        # Anybody may have added the rest, such as an attachment: valid, and not acceptable (RFC 8601 §2.7.1).
        return "policy"
    # A second From field that nobody signed must not pass as the signer's.
    digest = header_hash(mail, [*names, b"from"], field, header)
    return Claim(signer, selector, kind, digest, from_base64(tag_values["b"]), below)


def algorithm(tag_values: dict[str, str]) -> str:
    """The key's kind that a= wants; SHA-1 is refused (RFC 8301)."""
    kind = _ALGORITHMS.get(without_space(tag_values["a"]).lower())
    if kind is None:
        raise BrokenError("a= is no algorithm that is accepted")
    return kind


def canonical(text: str) -> tuple[bool, bool]:
    """Whether header and body are relaxed."""
    header, slash, body = without_space(text).lower().partition("/")
    try:
        return _CANONICAL[header], _CANONICAL[body if slash else "simple"]
    except KeyError:
        raise BrokenError("c= is no canonical form") from None


def _identity(tag_values: dict[str, str], signer: str) -> bool:
    """Whether i= names a domain below d=; `BrokenError` when it is another's."""
    if "i" not in tag_values:
        return False
    name = domain(without_space(tag_values["i"]).rpartition("@")[2])
    if name != signer and not name.endswith("." + signer):
        raise BrokenError("i= is not of d=")
    return name != signer


def _length(tag_values: dict[str, str]) -> int | None:
    return _number(tag_values["l"]) if "l" in tag_values else None


def _check_times(tag_values: dict[str, str], now: float) -> None:
    made = _number(tag_values["t"]) if "t" in tag_values else None
    if made is not None and made > now + _SLOP_SECONDS:
        raise BrokenError("t= is in the future")
    if "x" in tag_values:
        ends = _number(tag_values["x"])
        if ends < now - _SLOP_SECONDS or (made is not None and ends < made):
            raise BrokenError("x= is past")


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise BrokenError("no number")
    return int(text)

"""What a mail itself states about its sender, and whether its claims hold: the arithmetic of the checks, without DNS.

Runs in an isolated process, since it works on a stranger's bytes: `facts` parses the mail and computes its hashes,
`verify` checks its signatures with their keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import getaddresses

from dmarcworks.enrich.dkim.arc import Chain, chain
from dmarcworks.enrich.dkim.keys import verified
from dmarcworks.enrich.dkim.message import CanonicalMail, TooLargeError
from dmarcworks.enrich.dkim.signature import Claim, Signed, signatures
from dmarcworks.enrich.dkim.tags import BrokenError, domain

_FROM_BYTES = 10_000


@dataclass(frozen=True, slots=True)
class Facts:
    """The author's domain ("" for none or several), DKIM signatures from the top, the ARC chain; `too_large` when the
    header was not examined."""

    author: str
    signatures: tuple[Signed, ...]
    chain: Chain
    too_large: bool = False


def facts(raw: bytes, now: float) -> Facts:
    """Parse a mail; `now` in unix seconds."""
    try:
        mail = CanonicalMail(raw)
    except TooLargeError:
        return Facts("", (), Chain("fail"), too_large=True)
    return Facts(author(mail), signatures(mail, now), chain(mail))


def author(mail: CanonicalMail) -> str:
    """The domain of the one author; "" when there is none or several (no verdict is possible then)."""
    fields = mail.all(b"from")
    if len(fields) != 1 or len(fields[0].raw) > _FROM_BYTES:
        return ""
    try:
        addresses = [address for _, address in getaddresses([fields[0].value.decode("utf-8", "replace")])]
        domains = {domain(address.rpartition("@")[2]) for address in addresses if "@" in address}
    # The library recurses into comments; a field that nests hundreds of them names nobody.
    except (BrokenError, RecursionError, ValueError, IndexError):
        return ""
    return domains.pop() if len(domains) == 1 else ""


def verify(claims: Sequence[tuple[Claim, Sequence[bytes]]]) -> list[str]:
    """The result of each claim by the records of its key's name."""
    return [verified(claim, records) for claim, records in claims]

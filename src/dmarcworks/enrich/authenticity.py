"""What was found of a mail by SPF (RFC 7208), DKIM (RFC 6376), ARC (RFC 8617) and from them DMARC (RFC 9989).

In the words of RFC 8601, never an error: "temperror" when DNS did not answer within the time box, "none" where nothing
was signed or published. A mail whose check had to be stopped is "not_checked" by DMARC, and never genuine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dmarcworks.enrich.dmarc_policy import DmarcPolicy

UNABLE = "temperror"
STOPPED = "not_checked"


@dataclass(frozen=True, slots=True)
class MailToCheck:
    """A mail with its envelope and who sent it from where."""

    raw: bytes
    peer: str
    helo: str
    sender: str


@dataclass(frozen=True, slots=True)
class CheckedSignature:
    """A DKIM signature: d=, s= and what became of it."""

    domain: str
    selector: str
    result: str


@dataclass(frozen=True, slots=True)
class Authenticity:
    """The results; `policy` is what the From domain requests for mail that fails ("" without a record)."""

    spf: str
    dkim: str
    dmarc: str
    arc: str
    from_domain: str = ""
    spf_domain: str = ""
    policy: str = ""
    signatures: tuple[CheckedSignature, ...] = ()

    @property
    def genuine(self) -> bool | None:
        """True or False by DMARC; None when DMARC has no verdict."""
        return {"pass": True, "fail": False, "permerror": False}.get(self.dmarc)

    @property
    def temporary(self) -> bool:
        """Whether another try may find more."""
        return self.dmarc == UNABLE

    @property
    def header(self) -> str:
        """The results as the value of an Authentication-Results field, without the name of the checking host."""
        signed = [f"dkim={s.result} header.d={s.domain} header.s={s.selector}" for s in self.signatures if s.domain]
        results = signed or [f"dkim={self.dkim}"]
        results.append(f"spf={self.spf}" + (f" smtp.mailfrom={self.spf_domain}" if self.spf_domain else ""))
        dmarc = UNABLE if self.dmarc == STOPPED else self.dmarc
        results.append(f"dmarc={dmarc}" + (f" header.from={self.from_domain}" if self.from_domain else ""))
        return "; ".join([*results, f"arc={self.arc}"])


UNKNOWN = Authenticity(UNABLE, UNABLE, UNABLE, UNABLE)
NOT_CHECKED = Authenticity(UNABLE, UNABLE, STOPPED, UNABLE)


@dataclass(frozen=True, slots=True)
class Identifier:
    """A domain that SPF or DKIM speaks of: the result, and whether it is aligned with the author's (None: unknown)."""

    result: str
    aligned: bool | None


def dmarc_result(author: str, policy: DmarcPolicy | None, identifiers: Sequence[Identifier]) -> str:
    """DMARC's result (RFC 9989).

    A mail without one author's domain ("") is "permerror": with a second From field anyone could show one author to the
    reader and have no policy applied (RFC 7489 §6.6.1). Otherwise only an aligned identifier makes it "pass", and only
    one that is or may be aligned makes it "temperror". A stranger's domain changes nothing.
    """
    if not author:
        return "permerror"
    if policy is None:
        return "none"
    if any(one.result == "pass" and one.aligned for one in identifiers):
        return "pass"
    if any(one.result in ("pass", UNABLE) and one.aligned is not False for one in identifiers):
        # Here a pass is one whose alignment is not known.
        return UNABLE
    return "fail"


def overall(signatures: Sequence[CheckedSignature]) -> str:
    """One result of all signatures: the best."""
    results = [signature.result for signature in signatures]
    return next((result for result in ("pass", UNABLE, "policy", "fail", "permerror") if result in results), "none")

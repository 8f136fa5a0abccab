"""Is a mail genuine? SPF (RFC 7208), DKIM (RFC 6376), ARC (RFC 8617) and from them DMARC (RFC 9989).

In: the raw mail, its envelope and a resolver. Out: results in the words of RFC 8601, never an error: "temperror" when
DNS did not answer within the time box, "none" where nothing was signed or published. Runs in a thread, off the way of
whoever waits for a reply.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from email.policy import compat32
from email.utils import getaddresses
from typing import Any

import dkim
import spf
import structlog

from dmarcworks.enrich.dmarc_policy import DmarcPolicy, PolicyFinder
from dmarcworks.enrich.resolver import NoAnswerError, Resolver

log = structlog.get_logger("dmarcworks.authenticity")

SIGNATURES = 5
UNABLE = "temperror"
# Longer than that it waited for somebody.
QUICK_SECONDS = 0.05
# The library says with any of these that a signature is broken; broken ones are common.
_BROKEN = (dkim.DKIMException, ValueError, KeyError, IndexError, AttributeError, TypeError)


@dataclass(frozen=True, slots=True)
class Signature:
    """A DKIM signature: d=, s= and what became of it."""

    domain: str
    selector: str
    result: str


@dataclass(frozen=True, slots=True)
class Authenticity:
    """What was found; `policy` is what the From domain asks to do with mail that fails ("" without a record)."""

    spf: str
    dkim: str
    dmarc: str
    arc: str
    from_domain: str = ""
    spf_domain: str = ""
    policy: str = ""
    signatures: tuple[Signature, ...] = ()

    @property
    def genuine(self) -> bool | None:
        """True or False by DMARC; None when that says nothing."""
        return {"pass": True, "fail": False}.get(self.dmarc)

    @property
    def header(self) -> str:
        """The results as an Authentication-Results field tells them, without the name of who checked."""
        signed = [f"dkim={s.result} header.d={s.domain} header.s={s.selector}" for s in self.signatures if s.domain]
        found = signed or [f"dkim={self.dkim}"]
        found.append(f"spf={self.spf}" + (f" smtp.mailfrom={self.spf_domain}" if self.spf_domain else ""))
        found.append(f"dmarc={self.dmarc}" + (f" header.from={self.from_domain}" if self.from_domain else ""))
        return "; ".join([*found, f"arc={self.arc}"])


UNKNOWN = Authenticity(UNABLE, UNABLE, UNABLE, UNABLE)


@dataclass(frozen=True, slots=True)
class MailToCheck:
    """A mail with its envelope and who sent it from where; the checks may take `seconds`."""

    raw: bytes
    peer: str
    helo: str
    sender: str
    resolver: Resolver
    seconds: float = 5.0


def checked_while_quick(mails: Sequence[MailToCheck]) -> list[Authenticity]:
    """Of mails from the first on, in the caller's thread; ends behind the first that had to wait for DNS."""
    found: list[Authenticity] = []
    for mail in mails:
        began = time.monotonic()
        found.append(_examined(mail, began + mail.seconds))
        if time.monotonic() - began > QUICK_SECONDS:
            break
    return found


async def check(mail: MailToCheck, executor: Executor | None = None) -> Authenticity:
    """Everything about one mail within its seconds, in a thread of `executor`; `UNKNOWN` when that was not enough."""
    deadline = time.monotonic() + mail.seconds
    try:
        # The questions end at the deadline; the second more is for the arithmetic after them.
        async with asyncio.timeout(mail.seconds + 1.0):
            return await asyncio.get_running_loop().run_in_executor(executor, _examined, mail, deadline)
    except TimeoutError:
        return UNKNOWN


def _examined(mail: MailToCheck, deadline: float) -> Authenticity:
    try:
        return examine(mail.raw, mail.peer, mail.helo, mail.sender, mail.resolver, deadline)
    # Mail of strangers in three libraries: whatever one of them trips over is no verdict and no reason to stop.
    except Exception as error:
        log.warning("authenticity could not be checked", error=repr(error))
        return UNKNOWN


def examine(raw: bytes, peer: str, helo: str, sender: str, resolver: Resolver, deadline: float) -> Authenticity:
    """The same in the caller's thread; `deadline` in seconds of time.monotonic."""
    author = _author(raw)
    spf_result, spf_domain = _spf(peer, helo, sender, resolver, deadline)
    signatures = _dkim(raw, resolver, deadline)
    arc = _arc(raw, resolver, deadline)
    finder = PolicyFinder(resolver, deadline)
    policy: DmarcPolicy | None = None
    try:
        policy = finder.policy(author) if author else None
        aligned = policy is not None and _aligned(author, policy, spf_result, spf_domain, signatures, finder)
        unsure = UNABLE in (spf_result, *(signature.result for signature in signatures))
        dmarc = "none" if policy is None else "pass" if aligned else UNABLE if unsure else "fail"
    except NoAnswerError:
        dmarc = UNABLE
    return Authenticity(
        spf=spf_result,
        dkim=_overall(signatures),
        dmarc=dmarc,
        arc=arc,
        from_domain=author,
        spf_domain=spf_domain,
        policy="" if policy is None else policy.action,
        signatures=signatures,
    )


def _author(raw: bytes) -> str:
    """The domain of the one author; "" when there is none or several (no verdict is possible then)."""
    fields = [str(value) for value in _head(raw).get_all("From", [])]
    addresses = [address for _, address in getaddresses(fields) if "@" in address] if len(fields) == 1 else []
    domains = {address.rpartition("@")[2].strip().rstrip(".").lower() for address in addresses}
    return domains.pop() if len(domains) == 1 else ""


def _head(raw: bytes) -> Any:
    end = raw.find(b"\r\n\r\n", 0, 1 << 20)
    return BytesHeaderParser(policy=compat32).parsebytes(raw[: end + 2] if end >= 0 else raw[: 1 << 20])


class _Spf(spf.query):  # type: ignore[misc]  # the library has no types
    """The library's evaluation over our resolver."""

    def ask_with(self, resolver: Resolver, deadline: float) -> None:
        """Ask this one from now on."""
        self._resolver, self._deadline = resolver, deadline
        self._known: dict[tuple[str, str], list[Any]] = {}

    def dns(self, name: str, qtype: str, cnames: Any = None, ignore_void: bool = False) -> list[Any]:
        """The library's one way to DNS."""
        name = str(name).rstrip(".").lower()
        if not name or any(not 0 < len(label) < 64 for label in name.split(".")) or qtype == "SPF":
            return []
        if (name, qtype) not in self._known:
            try:
                found = self._resolver(name, qtype, self._deadline)
            except NoAnswerError as error:
                raise spf.TempError(str(error)) from None
            self._known[name, qtype] = [(text,) for text in found] if qtype == "TXT" else found
        found = self._known[name, qtype]
        if not found and not ignore_void:
            self.void_lookups += 1
            if self.void_lookups > spf.MAX_VOID_LOOKUPS:
                raise spf.PermError(f"Void lookup limit of {spf.MAX_VOID_LOOKUPS} exceeded")
        return found


def _spf(peer: str, helo: str, sender: str, resolver: Resolver, deadline: float) -> tuple[str, str]:
    domain = (sender.rpartition("@")[2] or helo).strip("[]").rstrip(".").lower()
    if not peer or not domain:
        return "none", domain
    query = _Spf(peer, sender or f"postmaster@{helo}", helo)
    query.ask_with(resolver, deadline)
    result = str(query.check()[0])
    return {"ambiguous": "permerror", "unknown": "permerror", "error": UNABLE}.get(result, result), domain


def _dkim(raw: bytes, resolver: Resolver, deadline: float) -> tuple[Signature, ...]:
    found = []
    for index in range(min(len(_head(raw).get_all("DKIM-Signature", [])), SIGNATURES)):
        mail = dkim.DKIM(raw, logger=_Silent())
        try:
            result = "pass" if mail.verify(idx=index, dnsfunc=_keys(resolver, deadline)) else "fail"
        except NoAnswerError:
            result = UNABLE
        except dkim.ValidationError as error:
            # The library tells a changed body in the same way as a field that makes no sense.
            result = "fail" if "mismatch" in str(error) else "permerror"
        except _BROKEN:
            result = "permerror"
        found.append(Signature(_text(mail.domain).lower(), _text(mail.selector), result))
    return tuple(found)


def _arc(raw: bytes, resolver: Resolver, deadline: float) -> str:
    if "ARC-Seal" not in _head(raw):
        return "none"
    try:
        chain, _, _ = dkim.ARC(raw, logger=_Silent()).verify(dnsfunc=_keys(resolver, deadline))
    except NoAnswerError:
        return UNABLE
    except _BROKEN:
        return "fail"
    return {b"pass": "pass", b"none": "none"}.get(chain, "fail")


def _keys(resolver: Resolver, deadline: float) -> Any:
    def ask(name: bytes, timeout: float = 5) -> bytes | None:
        found = resolver(_text(name).rstrip("."), "TXT", deadline)
        return found[0] if found else None

    return ask


def _aligned(
    author: str,
    policy: DmarcPolicy,
    spf_result: str,
    spf_domain: str,
    signatures: tuple[Signature, ...],
    finder: PolicyFinder,
) -> bool:
    by_dkim = [one.domain for one in signatures if one.result == "pass"]
    if any(finder.aligned(author, domain, policy.strict_dkim) for domain in by_dkim):
        return True
    return spf_result == "pass" and finder.aligned(author, spf_domain, policy.strict_spf)


def _overall(signatures: tuple[Signature, ...]) -> str:
    results = [signature.result for signature in signatures]
    return next((result for result in ("pass", UNABLE, "fail", "permerror") if result in results), "none")


def _text(value: Any) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value or "")


class _Silent:
    """The library logs what strangers wrote; we keep results only."""

    def debug(self, *_: Any) -> None:
        """Nothing."""

    info = warning = error = debug

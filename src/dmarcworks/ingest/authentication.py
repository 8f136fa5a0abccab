"""The step between reading and archiving: is each report mail genuine, and what happens to one that is not.

`accept` marks it and counts on; `quarantine` keeps its reports apart, noted and not counted; `reject` leaves them in
the raw mail, with a problem. Only a DMARC "fail" is a verdict: without DNS or a record, reports are counted. The sender
has its 250 long since. When nobody answers at all, checks pause for five minutes, so reading does not wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace

import structlog

from dmarcworks.catalogue.authenticity import AuthenticityCatalogue, AuthenticityRow
from dmarcworks.enrich.authenticity import QUICK_SECONDS, UNABLE, Authenticity, MailToCheck, check, checked_while_quick
from dmarcworks.enrich.resolver import Resolver
from dmarcworks.ingest.steps import Mail
from dmarcworks.reports.model import Problem, Reading

log = structlog.get_logger("dmarcworks.authenticity")

ACCEPT, QUARANTINE, REJECT, OFF = "accept", "quarantine", "reject", "off"
_PAUSE = 300.0
_THREADS = 16


@dataclass(slots=True)
class ReportAuthenticator:
    """Checks mails side by side; `mode` is one of the four above, `seconds` the time box of each mail."""

    proofs: AuthenticityCatalogue
    resolver: Resolver
    mode: str = ACCEPT
    seconds: float = 5.0
    clock: Callable[[], float] = time.monotonic
    _paused: float = 0.0
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_THREADS, "authenticity"))

    async def prove(self, mails: Sequence[Mail]) -> None:
        """Find out, note it, and apply the mode."""
        # What was uploaded or imported came by no conversation whose other end could be asked about.
        asked = [mail for mail in mails if mail.raw and mail.reading.items and "helo" in mail.body]
        if not asked or self.mode == OFF or self.clock() < self._paused:
            return
        found = await self._all(asked)
        if all(UNABLE in (one.dmarc, one.spf) for one in found):
            log.warning("DNS gives no answers, so report mails are not checked for a while", mails=len(found))
            self._paused = self.clock() + _PAUSE
        known = []
        for mail, one in zip(asked, found, strict=True):
            if one.dmarc == UNABLE:
                continue
            mail.proof = one.dmarc
            detail = {"from": one.from_domain, "mail_from": one.spf_domain, "policy": one.policy}
            detail["signatures"] = [asdict(signature) for signature in one.signatures]  # type: ignore[assignment]
            known.append(AuthenticityRow(mail.body["mail_id"], one.spf, one.dkim, one.dmarc, one.arc, detail))
            if one.genuine is False:
                self._not_genuine(mail, one)
        await self.proofs.record(known)

    async def _all(self, mails: Sequence[Mail]) -> list[Authenticity]:
        """Of each mail. Those of one reporter ask the same of DNS: they go one after the other in one thread as long as
        the answers are at hand, and side by side from the first on that had to wait for one."""
        reporters: dict[tuple[str, str], list[int]] = {}
        for place, mail in enumerate(mails):
            reporters.setdefault((mail.body["sender"].rpartition("@")[2], mail.body["peer"]), []).append(place)
        found: dict[int, Authenticity] = {}
        loop = asyncio.get_running_loop()

        async def one(place: int) -> None:
            found[place] = await check(self._asked(mails[place]), self._threads)

        async def some(places: Sequence[int]) -> None:
            # The first asks what all of them want to know.
            await one(places[0])
            quick: list[Authenticity] = []
            if len(places) > 1:
                work = [self._asked(mails[place]) for place in places[1:]]
                with contextlib.suppress(TimeoutError):  # the one that takes so long shows below
                    async with asyncio.timeout(self.seconds + 1.0 + QUICK_SECONDS * len(work)):
                        quick = await loop.run_in_executor(self._threads, checked_while_quick, work)
            found.update(zip(places[1:], quick, strict=False))
            await asyncio.gather(*(one(place) for place in places[1 + len(quick) :]))

        await asyncio.gather(*(some(places) for places in reporters.values()))
        return [found[place] for place in range(len(mails))]

    def _asked(self, mail: Mail) -> MailToCheck:
        body = mail.body
        return MailToCheck(
            raw=mail.raw,
            peer=body["peer"],
            helo=body.get("helo", ""),
            sender=body["sender"],
            resolver=self.resolver,
            seconds=self.seconds,
        )

    def _not_genuine(self, mail: Mail, found: Authenticity) -> None:
        if self.mode == ACCEPT:
            return
        told = f"The mail says that it is from {found.from_domain} and does not pass DMARC (SPF {found.spf}, "
        told += f"DKIM {found.dkim}). "
        if self.mode == QUARANTINE:
            mail.quarantined = True
            told += "Its reports are kept and not counted; the setting report_auth decides."
            mail.reading = replace(mail.reading, problems=(*mail.reading.problems, _problem(told)))
            return
        told += "Its reports were not taken from it; the setting report_auth decides."
        mail.reading = Reading((), (*mail.reading.problems, _problem(told)))

    def close(self) -> None:
        """Ask nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _problem(told: str) -> Problem:
    return Problem("not_genuine", "mail", told)

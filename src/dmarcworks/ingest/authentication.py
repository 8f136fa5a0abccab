"""The step between reading and archiving: is each report mail genuine, and what happens to one that is not.

`accept` marks it and counts on; `quarantine` keeps its reports apart, noted and not counted; `reject` leaves them in
the raw mail, with a problem. A DMARC "fail" is a verdict, and so is "permerror" (no author, or several); "none" is not,
and is counted. While DNS gives no answer (temperror), `accept` counts and records that nothing is known; `quarantine`
and `reject` let the mail wait in the queue, with growing pauses and at most `wait`, and then keep its reports apart, as
they do when the check had to be stopped.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta

import structlog

from dmarcworks.catalogue.authenticity import AuthenticityCatalogue, AuthenticityRow
from dmarcworks.enrich.authenticity import STOPPED, UNKNOWN, Authenticity, MailToCheck
from dmarcworks.enrich.checking import Checker
from dmarcworks.ingest.steps import PipelineMail
from dmarcworks.process.metrics import Metrics
from dmarcworks.reports.model import Problem, Reading

log = structlog.get_logger("dmarcworks.authenticity")

ACCEPT, QUARANTINE, REJECT, OFF = "accept", "quarantine", "reject", "off"
# Seconds that no mail is checked once DNS did not even answer a question of our own.
_PAUSE = 60.0
_AT_ONCE = 200
_FIRST_DELAY, _LONGEST_DELAY = 2.0, 1800.0


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class ReportAuthenticator:
    """Checks mails side by side; `mode` is one of the four above, `seconds` how long a batch may begin new checks
    where mails can wait, `wait` how long a mail waits at most for a result."""

    proofs: AuthenticityCatalogue
    checker: Checker
    mode: str = ACCEPT
    seconds: float = 5.0
    wait: timedelta = timedelta(hours=24)
    metrics: Metrics | None = None
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = _now
    _paused: float = field(default=0.0)

    async def prove(self, mails: Sequence[PipelineMail]) -> None:
        """Find out, note it, and apply the mode."""
        # Uploaded and imported mail came by no conversation, so there is no client to check.
        unchecked = [mail for mail in mails if mail.raw and mail.reading.items and mail.item.helo is not None]
        if not unchecked or self.mode == OFF:
            return
        results = [UNKNOWN] * len(unchecked) if self.clock() < self._paused else await self._all(unchecked)
        if all(one.temporary for one in results) and self.clock() >= self._paused and not await self.checker.alive():
            # No stranger has a part in that question: it is DNS itself that is unavailable.
            log.warning("DNS gives no answers, so report mails are not checked for a while", mails=len(results))
            self._paused = self.clock() + _PAUSE
        verdicts = [self._judged(mail, one) for mail, one in zip(unchecked, results, strict=True)]
        await self.proofs.record([proof for proof in verdicts if proof is not None])

    def _judged(self, mail: PipelineMail, checked: Authenticity) -> AuthenticityRow | None:
        """Apply the mode to one mail; what is to be noted of it."""
        if self.metrics is not None:
            self.metrics.checked.labels(checked.dmarc).inc()
        if checked.temporary:
            if self.mode == ACCEPT:
                return None
            if self.now() - mail.message.timestamp < self.wait:
                delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** min(mail.message.deliveries - 1, 20))
                delay *= 0.5 + random.random() / 2  # noqa: S311 - jitter, no secret
                mail.waits = True
                mail.message.retry(error="DNS gives no answer about this mail", temporary=True, delay_seconds=delay)
                return None
            hours = self.wait / timedelta(hours=1)
            self._keep_apart(mail, f"DNS gave no answer about this mail ({_claimed(checked)}) for {hours:g} hours.")
        elif checked.dmarc == STOPPED:
            if self.mode != ACCEPT:
                self._keep_apart(mail, "The check of this mail exceeded its limits and was stopped.")
        else:
            mail.proof = checked.dmarc
            if checked.genuine is False:
                self._not_genuine(mail, checked)
        detail: dict[str, object] = {
            "from": checked.from_domain,
            "mail_from": checked.spf_domain,
            "policy": checked.policy,
        }
        detail["signatures"] = [asdict(signature) for signature in checked.signatures]
        return AuthenticityRow(mail.item.mail_id, checked.spf, checked.dkim, checked.dmarc, checked.arc, detail)

    async def _all(self, mails: Sequence[PipelineMail]) -> list[Authenticity]:
        """Of each mail, concurrently. Reporters alternate, so that one with many mails does not come before others;
        where mails can wait, those that could not be begun in time do."""
        mails_by_reporter: dict[tuple[str, str], int] = {}
        order: list[tuple[int, int]] = []
        for place, mail in enumerate(mails):
            reporter = (mail.item.sender.rpartition("@")[2], mail.item.peer)
            mails_by_reporter[reporter] = mails_by_reporter.get(reporter, 0) + 1
            order.append((mails_by_reporter[reporter], place))
        results = [UNKNOWN] * len(mails)
        limit = asyncio.Semaphore(_AT_ONCE)
        latest = time.monotonic() + self.seconds

        async def one(place: int) -> None:
            async with limit:
                if self.mode == ACCEPT or time.monotonic() < latest:
                    results[place] = await self.checker.check(_mail_to_check(mails[place]))

        await asyncio.gather(*(one(place) for _, place in sorted(order)))
        return results

    def _keep_apart(self, mail: PipelineMail, reason: str) -> None:
        mail.quarantined = True
        explanation = f"{reason} Its reports are kept and not counted; retry counts them without a check."
        mail.reading = replace(
            mail.reading, problems=(*mail.reading.problems, Problem("unverified", "mail", explanation))
        )

    def _not_genuine(self, mail: PipelineMail, checked: Authenticity) -> None:
        if self.mode == ACCEPT:
            return
        if checked.from_domain:
            detail = f"The mail claims to be from {checked.from_domain} and does not pass DMARC (SPF {checked.spf}, "
            detail += f"DKIM {checked.dkim}). "
        else:
            detail = (
                "The mail does not have exactly one author's domain in one From field, so DMARC cannot be checked. "
            )
        if self.mode == QUARANTINE:
            mail.quarantined = True
            detail += "Its reports are kept and not counted; retry counts them without a check."
            mail.reading = replace(mail.reading, problems=(*mail.reading.problems, _problem(detail)))
            return
        detail += "Its reports were not accepted; the setting report_auth decides."
        mail.reading = Reading((), (*mail.reading.problems, _problem(detail)))


def _mail_to_check(mail: PipelineMail) -> MailToCheck:
    item = mail.item
    return MailToCheck(raw=mail.raw, peer=item.peer, helo=item.helo or "", sender=item.sender)


def _claimed(checked: Authenticity) -> str:
    return f"from {checked.from_domain}" if checked.from_domain else "whose author is not known"


def _problem(detail: str) -> Problem:
    return Problem("not_genuine", "mail", detail)

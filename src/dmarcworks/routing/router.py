"""A mail at the front door: rule → action → SMTP reply, with a line in the activity log for each recipient.

In: what SMTP, LMTP or the inject endpoint took. Out: the whole reply. Handing to a worker is 250, 550 or 451 as its
outcome says; forward is 250, or the next server's own refusal; drop is 250; a rule that rejects is 550 at RCPT. When a
store is away everything is 451, never 250.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import structlog

from dmarcworks.catalogue.activity import Activity, ActivityLine
from dmarcworks.catalogue.routes import Routes
from dmarcworks.enrich.authenticity import Authenticity
from dmarcworks.errors import DmarcworksError, RefusedError
from dmarcworks.ingest.item import NO_DOMAIN, POSTMASTER
from dmarcworks.process.metrics import Metrics
from dmarcworks.reports import headers
from dmarcworks.reports.bounds import Bounds
from dmarcworks.routing import rules
from dmarcworks.routing.smtp import STORE_AWAY, Peer
from dmarcworks.workers.message import Message, Post, SentMail
from dmarcworks.workers.outcome import ACCEPTED, TRY_LATER, Delivered

log = structlog.get_logger("dmarcworks.routing")

NO_WORKER = "451 4.3.5 The worker for this address is not there now, try again later"
TOO_MANY_HOPS = "554 5.4.6 Too many hops, the mail runs in a circle"
HOPS = 50
LOOP_HEADER = "X-Dmarcworks-Forwarded-For"
_LONGEST_FIELD = 2000
_BOUNDS = Bounds()
_RECEIVED = re.compile(rb"^received:", re.IGNORECASE | re.MULTILINE)
_FIELD = {
    name: re.compile(rb"^%b:[ \t]*(.*(?:\r?\n[ \t].*)*)" % name.encode(), re.IGNORECASE | re.MULTILINE)
    for name in ("subject", "message-id")
}


class WorkerHandle(Protocol):
    """A worker as the router sees it."""

    async def recipient(self, address: str) -> bool:
        """Asked at RCPT: does the worker take mail for this address?"""

    async def deliver(self, message: Message) -> Delivered:
        """Run its `email()`; whatever it does comes back as an outcome."""


@dataclass(frozen=True, slots=True)
class Routed:
    """What became of a mail: the whole SMTP reply, the outcome for the log, the reason, and what was sent on."""

    reply: str
    outcome: str
    error: str = ""
    mail_id: str = ""
    sent: tuple[SentMail, ...] = ()


class OutgoingMail(Post, Protocol):
    """How mail leaves, with the way back for rewritten senders."""

    async def bounce(self, message: Message, to: str) -> str:
        """Send a mail back to who a rewritten sender stands for."""

    async def send(self, account_id: str, recipient: str, raw: bytes) -> None:
        """Send a mail of the house itself."""

    def reverse(self, address: str) -> str | None:
        """Who a rewritten sender of ours stands for; None for any other address."""


Gate = Callable[[str], Awaitable[Mapping[str, str] | None]]
"""The KV entry of a rua address: account_id, domain_id, domain; None for an address that is none."""


Sure = Callable[[], Awaitable[None]]
"""`StoreError` while the database may not know every address: nobody is told then that there is no such recipient."""


class Router:
    """`recipient` answers RCPT, `deliver` a mail."""

    def __init__(
        self,
        *,
        hostname: str,
        subaddressing: bool,
        routes: Routes,
        gate: Gate,
        hands: Mapping[str, WorkerHandle],
        activity: Activity,
        metrics: Metrics,
        way: OutgoingMail | None = None,
        sure: Sure | None = None,
        postmaster: str = "",
        operator: Callable[[], Awaitable[str]] | None = None,
    ) -> None:
        self._postmaster = postmaster
        self._operator = operator
        self._sure = sure
        self._hostname = hostname.lower().rstrip(".")
        self._subaddressing = subaddressing
        self._routes = routes
        self._gate = gate
        self._hands = hands
        self._activity = activity
        self._metrics = metrics
        self._way = way

    @property
    def way(self) -> OutgoingMail | None:
        """How mail leaves; None when the settings name no relay."""
        return self._way

    @property
    def hostname(self) -> str:
        """This host's name."""
        return self._hostname

    async def recipient(self, address: str) -> str | None:
        """None to accept, else the whole reply."""
        to = self._normal(address)
        try:
            match, gate = await self._match(to)
            if gate is not None:
                return None
            if isinstance(match.action, rules.ToWorker):
                if match.rule is not None and match.action.worker == rules.DMARC_WORKER:
                    return None  # the rule names whose reports these are
                hand = self._hands.get(match.action.worker)
                if hand is None:
                    return NO_WORKER
                if await hand.recipient(to):
                    return None
                match = await self._certain(rules.Match(rules.UNKNOWN_RECIPIENT))
        except DmarcworksError:
            return STORE_AWAY
        # A worker's `recipient` is other people's code: what it raises is "later" for the sender.
        except Exception as error:
            log.exception("a worker failed at RCPT", error=repr(error))
            return TRY_LATER
        if not isinstance(match.action, rules.Reject):
            return None
        if match.rule is None:
            self._metrics.refused.inc()
        else:
            now = datetime.now(UTC)
            routed = Routed(match.action.status, "rejected", match.action.status)
            self._note(routed, match, gate, "", to, b"", Peer("", ""), now, 0.0)
        return match.action.status

    async def deliver(self, sender: str, to: str, raw: bytes, peer: Peer) -> str:
        """The whole reply to a mail."""
        return (await self.route(sender, to, raw, peer)).reply

    async def route(self, sender: str, to: str, raw: bytes, peer: Peer) -> Routed:
        """The same with everything that became of it."""
        now, started = datetime.now(UTC), time.perf_counter()
        address = self._normal(to)
        try:
            match, gate = await self._match(address)
        except DmarcworksError as error:
            match, gate = rules.Match(rules.Reject(STORE_AWAY)), None
            routed, checked = Routed(STORE_AWAY, "failed", str(error)), None
        else:
            account_id, domain_id = _whose(match, gate)
            message = Message(
                sender,
                address,
                raw,
                peer=peer.address,
                helo=peer.helo,
                account_id=account_id,
                domain_id=domain_id,
                post=self._way,
            )
            routed = await self._act(match.action, message)
            checked = message.authenticity
        self._note(routed, match, gate, sender, address, raw, peer, now, time.perf_counter() - started, checked)
        return routed

    async def belongs(self, address: str) -> tuple[str, str]:
        """The account and the domain that an address belongs to; "" for both when it is nobody's."""
        to = rules.normal_address(address)
        match, gate = await self._match(to)
        account_id, domain_id = _whose(match, gate)
        if account_id:
            return account_id, domain_id
        zone = await self._routes.responsible(rules.mail_domain(to))
        return ("", "") if zone is None else (zone.account_id, zone.domain_id)

    async def _match(self, address: str) -> tuple[rules.Match, Mapping[str, str] | None]:
        domain = rules.mail_domain(address)
        if not domain or not address.isascii():
            return rules.Match(rules.UNKNOWN_RECIPIENT), None
        here = domain == self._hostname or domain in await self._routes.zones.hosts()
        if here and self._way is not None:
            # Senders that were rewritten under an earlier name of this host find their way back as well.
            original = self._way.reverse(f"{address.rpartition('@')[0]}@{self._hostname}")
            if original is not None:
                return rules.Match(rules.Return(original)), None
        like_rua = rules.looks_like_rua(address)
        gate = await self._gate(address) if here or like_rua else None
        if gate is None and like_rua and (takes := await self._routes.zones.report_address(address)) is not None:
            # A rua address of ours that takes no mail now is no other rule's prey. Its gate is missing only until the
            # domain's two writes are done, or the next start.
            return rules.Match(rules.Reject(STORE_AWAY) if takes else rules.UNKNOWN_RECIPIENT), None
        held = () if gate is not None else await self._routes.effective(domain)
        match = rules.route(address, held, rua=gate is not None, subaddressing=self._subaddressing)
        if match == rules.Match(rules.UNKNOWN_RECIPIENT) and (here or held) and address == f"{POSTMASTER}@{domain}":
            return await self._for_postmaster()
        return await self._certain(match), gate

    def _normal(self, address: str) -> str:
        """The address as it is looked up; postmaster may be named without a domain (RFC 5321 §4.5.1)."""
        normal = rules.normal_address(address)
        return f"{POSTMASTER}@{self._hostname}" if normal == POSTMASTER else normal

    async def _for_postmaster(self) -> tuple[rules.Match, Mapping[str, str] | None]:
        """Mail to the host's postmaster, which no rule is for: to the setting's address, or kept for the operator."""
        account_id = "" if self._operator is None else await self._operator()
        gate = {"account_id": account_id, "domain_id": NO_DOMAIN, "domain": self._hostname}
        if self._postmaster and self._way is not None:
            return rules.Match(rules.Forward(self._postmaster)), gate
        return rules.Match(rules.ToWorker(rules.DMARC_WORKER)), gate

    async def _certain(self, match: rules.Match) -> rules.Match:
        """The same; `StoreError` when it refuses an address that an emptied database has forgotten."""
        if self._sure is not None and match.rule is None and isinstance(match.action, rules.Reject):
            await self._sure()
        return match

    async def _act(self, action: rules.Action, message: Message) -> Routed:
        if isinstance(action, rules.Drop):
            return Routed(ACCEPTED, "dropped")
        if isinstance(action, rules.Reject):
            return Routed(action.status, "rejected", action.status)
        if isinstance(action, rules.Forward):
            return await self._leave(message.forward(action.destination), message)
        if isinstance(action, rules.Return):
            assert self._way is not None
            return await self._leave(self._way.bounce(message, action.original), message)
        hand = self._hands.get(action.worker)
        if hand is None:
            return Routed(NO_WORKER, "failed", f"there is no worker {action.worker}")
        done = await hand.deliver(message)
        sent = tuple(message.sent)
        if done.reply.startswith("2"):
            kinds = {one.kind for one in sent}
            outcome = "forwarded" if "forward" in kinds else "replied" if "reply" in kinds else "handled"
            return Routed(done.reply, outcome, mail_id=done.word if _is_id(done.word) else "", sent=sent)
        rejected = done.reply.startswith("5")
        if rejected and action.worker == rules.DMARC_WORKER and self._sure is not None:
            try:
                await self._sure()
            except DmarcworksError as error:
                return Routed(STORE_AWAY, "failed", str(error))
        why = message.reject_reason if rejected and message.reject_reason is not None else done.word
        return Routed(done.reply, "rejected" if rejected else "failed", why, sent=sent)

    async def _leave(self, leaving: Awaitable[str], message: Message) -> Routed:
        try:
            await leaving
        except RefusedError as error:
            return Routed(error.reply, "failed" if error.temporary else "rejected", error.reply)
        except DmarcworksError as error:
            return Routed(TRY_LATER, "failed", str(error))
        return Routed(ACCEPTED, "forwarded", sent=tuple(message.sent))

    def _note(
        self,
        routed: Routed,
        match: rules.Match,
        gate: Mapping[str, str] | None,
        sender: str,
        to: str,
        raw: bytes,
        peer: Peer,
        now: datetime,
        seconds: float,
        checked: Authenticity | None = None,
    ) -> None:
        """A line in the log and the counters; no store is asked."""
        self._metrics.mails.labels(routed.outcome).inc()
        self._metrics.mail_bytes.inc(len(raw))
        if raw:
            self._metrics.accept_seconds.observe(seconds)
        head = raw[:65_536].partition(b"\r\n\r\n")[0]
        account_id, domain_id = _whose(match, gate)
        self._activity.note(
            ActivityLine(
                time=now,
                sender=sender,
                recipient=to,
                peer=peer.address,
                helo=peer.helo,
                tls=peer.tls,
                size=len(raw),
                rule=match.rule.label if match.rule else "rua address" if gate else "",
                action=_word(match.action),
                outcome=routed.outcome,
                status=routed.reply[:3],
                account_id=account_id,
                domain_id=domain_id,
                mail_id=routed.mail_id,
                error=routed.error,
                message_id=field(head, "message-id"),
                subject=field(head, "subject"),
                seconds=round(seconds, 6),
                spf="" if checked is None else checked.spf,
                dkim="" if checked is None else checked.dkim,
                dmarc="" if checked is None else checked.dmarc,
                arc="" if checked is None else checked.arc,
            )
        )


def loops(message: Message) -> bool:
    """Whether a mail was here before or has come too far to be sent on."""
    if len(_RECEIVED.findall(message.head)) > HOPS:
        return True
    return any(value.strip().lower() == message.to for value in message.headers.get_all(LOOP_HEADER))


def field(head: bytes, name: str) -> str:
    """A header field for the log: unfolded, decoded (RFC 2047), printable; far faster than a whole parser."""
    found = _FIELD[name].search(head)
    if found is None:
        return ""
    text = headers.words(" ".join(found[1].decode("utf-8", "replace").split())[:_LONGEST_FIELD], _BOUNDS)
    if not text.isprintable():
        text = "".join(char if char.isprintable() else " " for char in text)
    return text.strip()


def _whose(match: rules.Match, gate: Mapping[str, str] | None) -> tuple[str, str]:
    """Account and domain: those of the rule, else of the rua address; "" for mail that is nobody's."""
    if match.rule is not None:
        return match.rule.account_id, match.rule.domain_id
    return ("", "") if gate is None else (gate["account_id"], gate["domain_id"])


def _word(action: rules.Action) -> str:
    if isinstance(action, rules.ToWorker):
        return f"worker {action.worker}"
    return type(action).__name__.lower()


def _is_id(word: str) -> bool:
    return len(word) == 32 and word.isalnum()

"""THE worker: a DMARC report mail becomes archived originals, catalogue rows and exact figures.

It has the handlers of any worker. `email()` is the first half: the recipient's KV entry names account and domain; the
raw mail goes to Objects and an item into the queue, and only then the sender reads 250. `queue()` is the second half:
read every report in the mail, archive each attachment as received, note it in the catalogue, publish its rows,
acknowledge. What cannot be read stays under `inbox/` and is listed under Problems.
"""

from __future__ import annotations

from dmarcworks.ingest.accept import accept, new_item
from dmarcworks.ingest.environment import Env
from dmarcworks.ingest.item import NO_DOMAIN, POSTMASTER, Gate, MailItem
from dmarcworks.ingest.processing import LeasedMail, process
from dmarcworks.workers.batch import Batch, BatchMessage
from dmarcworks.workers.context import Context
from dmarcworks.workers.message import Message

__all__ = ["dead", "email", "queue", "recipient"]

ADDRESS_LENGTH = 320


async def recipient(address: str, env: Env) -> bool:
    """Whether the address is a rua address of ours (called at RCPT)."""
    return await gate_of(address, env) is not None


async def email(message: Message, env: Env, ctx: Context) -> str:
    """Accept a mail durably: raw mail into Objects, an item into the queue; the mail's id."""
    # Looked at again, also where RCPT was answered a moment ago: a domain may have been switched off since.
    gate = await gate_of(message.to, env) or await _gate_of_rule(message, env)
    if gate is None:
        message.set_reject("This address accepts no reports")
        return "unknown rua address"
    raw = await message.raw()
    item = new_item(
        gate,
        raw,
        env.now(),
        recipient=message.to,
        sender=message.from_,
        peer=message.peer,
        helo=message.helo,
    )
    await accept(item, raw, objects=env.objects, queue=env.queue)
    return item.mail_id


async def queue(batch: Batch, env: Env, ctx: Context) -> None:
    """Read, archive, note and publish a batch of mails; each is acknowledged once its rows are in Analytics."""
    await process([LeasedMail(message, MailItem.from_json(message.leased.body)) for message in batch.messages], env)


async def dead(message: BatchMessage, error: str, env: Env) -> None:
    """A mail is dead-lettered: a person sees why, and the raw mail stays."""
    item, failures = MailItem.from_json(message.leased.body), message.attempts
    await env.problems.reopen_mail(item.mail_id)
    await env.problems.add(
        account_id=item.account_id,
        domain_id=item.domain_id,
        mail_id=item.mail_id,
        reason="gave_up",
        where="mail",
        detail=f"Reading this mail failed {failures} time{'' if failures == 1 else 's'}; the last error was: {error}",
        object_key=item.object_key,
        letter=message.leased.id,
    )


async def _gate_of_rule(message: Message, env: Env) -> Gate | None:
    """Whose reports a routing rule brings: those of its account, for its domain unless a report names another."""
    # A rua address whose gate is gone since RCPT accepts nothing: it was disabled or removed.
    if not message.domain_id or message.rua:
        return None
    local, _, host = message.to.rpartition("@")
    if message.domain_id == NO_DOMAIN and local == POSTMASTER:
        return Gate(message.account_id, NO_DOMAIN, host)
    name = (await env.arrivals.domain_names([message.domain_id])).get(message.domain_id)
    return None if name is None else Gate(message.account_id, message.domain_id, name)


async def gate_of(address: str, env: Env) -> Gate | None:
    """The KV entry of a rua address; None for an address that is none."""
    if not address.isascii() or len(address) > ADDRESS_LENGTH:
        return None  # none of our addresses looks like this, so no store is queried
    entry = await env.kv.get(f"dmarc:{address.strip('<>').lower()}")
    return None if entry is None else Gate.from_json(entry)

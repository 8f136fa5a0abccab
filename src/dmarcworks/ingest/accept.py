"""The one entrance: a mail becomes an object under `inbox/` and an item in the queue, and only then is it accepted.

SMTP, LMTP, `deliver`, uploads, imports, mailboxes and whatever is processed once more all call `accept`. When it
returns, raw mail and item are on disk. Refused with `StoreError` while a store is unavailable; the caller answers 451.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from dmarcworks.bindings.contracts import SYSTEM_QUEUE, Objects, Queue
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.catalogue.stores import Stores
from dmarcworks.errors import BoundError, StoreError
from dmarcworks.ingest.backpressure import never_full
from dmarcworks.ingest.item import Gate, MailItem
from dmarcworks.ingest.own_mail import new_mail
from dmarcworks.ingest.report_rows import inbox_key, safe_name
from dmarcworks.process import failpoints
from dmarcworks.reports.sniff import like_mail

__all__ = ["Intake", "accept", "new_item", "wrapped"]

# An XML report shrinks to a twentieth; what is larger than this is worth it.
_COMPRESS = 1 << 20


def new_item(
    gate: Gate,
    raw: bytes,
    received: datetime,
    *,
    recipient: str,
    sender: str = "",
    peer: str = "",
    helo: str | None = None,
    mail_id: str = "",
    object_key: str = "",
    again: bool = False,
) -> MailItem:
    """The item of a raw mail for the domain of `gate`; a new mail id and its inbox key unless they are given."""
    mail_id = mail_id or uuid.uuid4().hex
    return MailItem(
        mail_id=mail_id,
        object_key=object_key or inbox_key(mail_id, gate.domain_id, received),
        account_id=gate.account_id,
        domain_id=gate.domain_id,
        domain=gate.domain,
        recipient=recipient,
        received=received.timestamp(),
        size=len(raw),
        sha256=hashlib.sha256(raw).hexdigest(),
        sender=sender,
        peer=peer,
        helo=helo,
        again=again,
    )


async def accept(item: MailItem, raw: bytes | None, *, objects: Objects, queue: Queue) -> None:
    """Store the raw mail and queue its item, durably when this returns; `raw` is None when the object exists."""
    if raw is not None:
        await objects.put(item.object_key, raw, create_only=True)
        failpoints.hit("accept.put")
    await queue.send(SYSTEM_QUEUE, [item.message()])
    failpoints.hit("accept.sent")


class Intake:
    """Bytes for a domain that came by another way than SMTP: a mail, or a report file, which is wrapped in a mail."""

    def __init__(
        self,
        stores: Stores,
        mail_bytes: int,
        full: Callable[[], Awaitable[str]] = never_full,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._full = full
        self._stores = stores
        self._mail_bytes = mail_bytes
        self._clock = clock

    async def mail(
        self, gate: Gate, raw: bytes, recipient: str, peer: str, *, mail_id: str, received: float, again: bool = False
    ) -> None:
        """Accept a mail that was fetched; the same id and time of receipt make the same object. Refused as `take`."""
        if full := await self._full():
            raise StoreError(f"the inbox is full: {full}")
        moment = datetime.fromtimestamp(received, UTC)
        item = new_item(gate, raw, moment, recipient=recipient, peer=peer, mail_id=mail_id, again=again)
        await accept(item, raw, objects=self._stores.objects, queue=self._stores.queue)

    async def take(
        self, domain: Domain, data: bytes, name: str, peer: str, *, mail_id: str = "", again: bool = False
    ) -> str:
        """Accept a mail or a report file for a domain; the mail's id. `again`: it may have been read before.

        `BoundError` for what is larger than a mail may be, wrapped and compressed; `StoreError` while the inbox is
        full.
        """
        received = datetime.fromtimestamp(self._clock(), UTC)
        raw = data if like_mail(data) else wrapped(data, name, domain.rua, received)
        if len(raw) > self._mail_bytes:
            raise BoundError(f"{name or 'it'} is larger than the bound mail_bytes = {self._mail_bytes} as a mail")
        if full := await self._full():
            raise StoreError(f"the inbox is full: {full}")
        gate = Gate(domain.account_id, domain.id, domain.name)
        item = new_item(gate, raw, received, recipient=domain.rua, peer=peer, mail_id=mail_id, again=again)
        await accept(item, raw, objects=self._stores.objects, queue=self._stores.queue)
        return item.mail_id


def wrapped(data: bytes, name: str, to: str, now: datetime) -> bytes:
    """A report file as a mail with one attachment; a large plain one is compressed on the way, as reporters do."""
    name = safe_name(name)
    if len(data) > _COMPRESS and data[:2] not in (b"\x1f\x8b", b"PK"):
        data, name = gzip.compress(data, 6, mtime=0), f"{name}.gz"
    mail = new_mail(None, to, "Report file", now)
    mail.add_header("Content-Type", "application/octet-stream", name=name)
    mail.add_header("Content-Disposition", "attachment", filename=name)
    mail.add_header("Content-Transfer-Encoding", "base64")
    # Encoded here at once: the library would copy a large file line by line.
    return mail.as_bytes() + base64.encodebytes(data).replace(b"\n", b"\r\n")

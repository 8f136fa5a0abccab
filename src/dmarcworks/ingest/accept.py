"""Other ways in than SMTP, to the same accept: bytes for a domain become a mail in Objects and an item in the Queue.

In: a mail, or a report file (XML, JSON, gzip, zip) that is wrapped in a mail so that the same worker reads it. Out: the
mail's id, once both are on disk. Refused with `BoundError`: what is larger than a mail may be, wrapped and compressed;
with `StoreError`: while the inbox is full.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import format_datetime

from dmarcworks.catalogue.accounts import Domain
from dmarcworks.catalogue.stores import Stores
from dmarcworks.errors import BoundError, StoreError
from dmarcworks.ingest.backpressure import never_full
from dmarcworks.ingest.report_rows import inbox_key, safe_name
from dmarcworks.reports.sniff import like_mail
from dmarcworks.workers.fields import header

__all__ = ["Intake", "wrapped"]

# An XML report shrinks to a twentieth; what is larger than this is worth it.
_COMPRESS = 1 << 20


class Intake:
    """Takes bytes for domains."""

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

    async def take(
        self, domain: Domain, data: bytes, name: str, peer: str, *, mail_id: str = "", again: bool = False
    ) -> str:
        """Take a mail or a report file for a domain; the mail's id. `again`: it may have been read before."""
        received = datetime.fromtimestamp(self._clock(), UTC)
        raw = data if like_mail(data) else wrapped(data, name, domain.rua, received)
        if len(raw) > self._mail_bytes:
            raise BoundError(f"{name or 'it'} is larger than the bound mail_bytes = {self._mail_bytes} as a mail")
        if full := await self._full():
            raise StoreError(f"the inbox is full: {full}")
        mail_id = mail_id or uuid.uuid4().hex
        key = inbox_key(mail_id, domain.id, received)
        await self._stores.objects.put(key, raw, create_only=True)
        body = {
            "mail_id": mail_id,
            "object_key": key,
            "account_id": domain.account_id,
            "domain_id": domain.id,
            "domain": domain.name,
            "recipient": domain.rua,
            "sender": "",
            "peer": peer,
            "received": received.timestamp(),
            "size": len(raw),
            "sha256": hashlib.sha256(raw).hexdigest(),
        }
        await self._stores.queue.send(body | {"again": True} if again else body)
        return mail_id


def wrapped(data: bytes, name: str, to: str, now: datetime) -> bytes:
    """A report file as a mail with one attachment; a large plain one is compressed on the way, as reporters do."""
    name = safe_name(name)
    if len(data) > _COMPRESS and data[:2] not in (b"\x1f\x8b", b"PK"):
        data, name = gzip.compress(data, 6, mtime=0), f"{name}.gz"
    head = header(
        [
            ("From", "<>"),
            ("To", f"<{to}>"),
            ("Subject", "Report file"),
            ("Date", format_datetime(now)),
            ("MIME-Version", "1.0"),
            ("Content-Type", f'application/octet-stream; name="{name}"'),
            ("Content-Disposition", f'attachment; filename="{name}"'),
            ("Content-Transfer-Encoding", "base64"),
        ]
    )
    return head + b"\r\n" + base64.encodebytes(data).replace(b"\n", b"\r\n")

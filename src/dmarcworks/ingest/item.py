"""The queued item: one accepted mail, from the moment that its sender reads 250 until its reports are published.

Every way in makes a `MailItem`, and only this module knows how it is written into the queue. `from_json` also reads
the items that the version before wrote, so that an upgrade may find mail waiting.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from dmarcworks.bindings.contracts import OutgoingMessage
from dmarcworks.errors import UsageError

__all__ = ["NO_DOMAIN", "POSTMASTER", "VERSION", "Gate", "MailItem"]

# 1: the items that had no version. 2: this field.
VERSION = 2
# In place of a domain's id, for mail to the host itself.
NO_DOMAIN = "0" * 32
# The local part that every mail server accepts (RFC 5321 §4.5.1).
POSTMASTER = "postmaster"
# An address for reports: 32 hex digits at this host.
_RUA = re.compile(r"<?[0-9a-f]{32}@.+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Gate:
    """Whose reports an rua address accepts: the KV entry `dmarc:<address>`."""

    account_id: str
    domain_id: str
    domain: str

    def to_json(self) -> str:
        """The entry as text."""
        return json.dumps({"account_id": self.account_id, "domain_id": self.domain_id, "domain": self.domain})

    @classmethod
    def from_json(cls, text: str) -> Gate:
        """The entry that `to_json` wrote."""
        entry = json.loads(text)
        return cls(entry["account_id"], entry["domain_id"], entry["domain"])


@dataclass(frozen=True, slots=True)
class MailItem:
    """One accepted mail; its raw bytes are the object `object_key`.

    `received` in unix seconds, `size` in bytes, `sha256` in hex. `helo` is None when the mail came by no SMTP
    conversation, so that its authenticity cannot be checked. `again`: it may have been read before, so what is in
    Analytics already is looked up. `adopt`: keys of reports that a person assigned to a domain, by its id.
    """

    mail_id: str
    object_key: str
    account_id: str
    domain_id: str
    domain: str
    recipient: str
    received: float
    size: int
    sha256: str | None = None
    sender: str = ""
    peer: str = ""
    helo: str | None = None
    again: bool = False
    adopt: Mapping[str, str] = field(default_factory=dict)

    @property
    def received_at(self) -> datetime:
        """When the mail came, UTC."""
        return datetime.fromtimestamp(self.received, UTC)

    @property
    def by_rule(self) -> bool:
        """Whether it came to another address than one for reports: then each report's policy domain decides which of
        the account's domains it counts for."""
        return _RUA.fullmatch(self.recipient) is None

    def to_json(self) -> bytes:
        """The item as the queue holds it; what is absent is left out."""
        values: dict[str, Any] = {
            "version": VERSION,
            "mail_id": self.mail_id,
            "object_key": self.object_key,
            "account_id": self.account_id,
            "domain_id": self.domain_id,
            "domain": self.domain,
            "recipient": self.recipient,
            "sender": self.sender,
            "peer": self.peer,
            "received": self.received,
            "size": self.size,
            "sha256": self.sha256,
        }
        if self.helo is not None:
            values["helo"] = self.helo
        if self.again:
            values["again"] = True
        if self.adopt:
            values["adopt"] = dict(self.adopt)
        return json.dumps(values, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, data: bytes | str) -> MailItem:
        """The item that this version or the one before wrote; `UsageError` for one of a newer version."""
        values = json.loads(data)
        if values.get("version", 1) > VERSION:
            raise UsageError(
                f"a queued mail was written by a newer dmarcworks (item version {values['version']}, this one reads"
                f" {VERSION}); run that version again, or restore a backup"
            )
        return cls(
            mail_id=values["mail_id"],
            object_key=values["object_key"],
            account_id=values["account_id"],
            domain_id=values["domain_id"],
            domain=values["domain"],
            recipient=values["recipient"],
            received=values["received"],
            size=int(values["size"]),
            sha256=values.get("sha256"),
            sender=values.get("sender", ""),
            peer=values.get("peer", ""),
            helo=values.get("helo"),
            again=bool(values.get("again")),
            adopt=values.get("adopt") or {},
        )

    def message(self) -> OutgoingMessage:
        """The item as a message to send to the system's queue."""
        return OutgoingMessage("json", self.to_json())

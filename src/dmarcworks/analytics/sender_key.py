"""The key of a sender: on what evidence the rows of a group belong together, and the value of that evidence. Pure.

A row belongs to exactly one group: the first of `SenderBasis` for which it has a value. The key as one text (`id`) is
what addresses, commands and decisions name; it contains no slash and no control character, whatever strangers write.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from dataclasses import dataclass
from enum import StrEnum

from dmarcworks.errors import NotFoundError

__all__ = ["ID_CHARACTERS", "OWN_KIND", "SECOND_LEVEL", "VALUE_CHARACTERS", "SenderBasis", "SenderKey"]

# The kind of a sender that the account named itself.
OWN_KIND = "own"
# Longer values of evidence are cut, in the engine as well: strangers write them.
VALUE_CHARACTERS = 300
# The longest id: a basis, a separator, and 300 characters of up to four bytes in base64.
ID_CHARACTERS = 1700
# Labels below a country's top-level domain under which names are registered (co.uk, com.br, ne.jp). The engine has no
# public suffix list; a name that this misjudges makes a group larger or smaller, never a name.
SECOND_LEVEL = frozenset(
    (
        "ac", "ad", "asn", "co", "com", "ed", "edu", "firm", "gen", "go", "gob", "gouv", "gov", "govt", "gr", "id",
        "ind", "inf", "info", "lg", "ltd", "me", "mil", "ne", "net", "nic", "nom", "or", "org", "plc", "res", "sch",
        "school", "web",
    )
)  # fmt: skip
_PLAIN = re.compile(r"[A-Za-z0-9._+&()\-: ]{1,300}")


class SenderBasis(StrEnum):
    """The evidence that a group is made by, the strongest first."""

    name = "name"
    dkim = "dkim"
    own = "self"
    envelope = "envelope"
    ptr = "ptr"
    network = "network"
    block = "block"


_WORDS = {
    SenderBasis.name: "named from the stored evidence",
    SenderBasis.dkim: "grouped by the domain of its DKIM signature, which passed",
    SenderBasis.own: "grouped by the selector of your domain's own DKIM signature, which passed",
    SenderBasis.envelope: "grouped by the domain of its return path, for which SPF passed",
    SenderBasis.ptr: "grouped by its confirmed host name (PTR)",
    SenderBasis.network: "grouped by the network that its addresses belong to",
    SenderBasis.block: "grouped by its block of addresses; nothing else about it is known",
}


@dataclass(frozen=True, slots=True)
class SenderKey:
    """A group of rows. `value` is a name, a DKIM domain, `selector._domainkey.domain`, an envelope domain and so on."""

    basis: SenderBasis
    value: str

    @property
    def id(self) -> str:
        """The key as one text, for addresses and commands; `parse` is its reverse."""
        if _PLAIN.fullmatch(self.value) and self.value.strip() == self.value:
            return f"{self.basis}:{self.value}"
        data = self.value.encode("utf-8", "replace")
        return f"{self.basis}~{base64.urlsafe_b64encode(data).decode().rstrip('=')}"

    @classmethod
    def parse(cls, text: str) -> SenderKey:
        """The key of an id; `NotFoundError` for text that is none."""
        match = re.fullmatch(r"([a-z]+)([:~])(.*)", text, re.DOTALL)
        try:
            if match is None or len(text) > ID_CHARACTERS:
                raise ValueError
            basis, value = SenderBasis(match[1]), match[3]
            if match[2] == "~":
                value = base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True).decode()
            key = cls(basis, value)
            # Each key has one id only.
            if key.id != text:
                raise ValueError
        except ValueError:
            raise NotFoundError(f"there is no sender {text[:100]!r}") from None
        return key

    @property
    def label(self) -> str:
        """What a person calls a group that has no name."""
        if self.basis is SenderBasis.own:
            selector, _, domain = self.value.partition("._domainkey.")
            return f"Signed by {domain}, selector {selector}" if selector else f"Signed by {domain}"
        return self.block if self.basis is SenderBasis.block else self.value

    @property
    def block(self) -> str:
        """A block of addresses with its prefix length; text that is no address as reported."""
        try:
            address = ipaddress.ip_address(self.value)
        except ValueError:
            return self.value
        return f"{self.value}/{24 if address.version == 4 else 64}"

    @property
    def because(self) -> str:
        """How the group came to be, in words."""
        return _WORDS[self.basis]

"""Names the senders of rows by the accounts' own names, the sender catalogue and the file of base domains."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Mapping, Sequence
from pathlib import Path

from dmarcworks.analytics.enrichment import Identified, Identify, SourceEvidence
from dmarcworks.analytics.sender_key import OWN_KIND
from dmarcworks.catalogue.senders import OwnName
from dmarcworks.enrich.senders.base_domains import NO_BASE_DOMAINS, load_base_domains
from dmarcworks.enrich.senders.identify import SenderIdentifier
from dmarcworks.enrich.senders.index import BlockRepresentatives
from dmarcworks.enrich.senders.load import catalogue
from dmarcworks.enrich.senders.model import Evidence, Identification, IpBlock, OwnDkim, OwnSender
from dmarcworks.enrich.senders.own import OwnIndex

__all__ = ["own_names_first", "representatives", "sender_names"]


def sender_names(sender_file: str) -> Identify:
    """What names the sender behind the evidence of a row; `sender_file` is the setting, "" for none.

    `SettingsError` when the file cannot be read.
    """
    identifier = SenderIdentifier(base_domains=load_base_domains(Path(sender_file)) if sender_file else NO_BASE_DOMAINS)

    def identify(source: SourceEvidence, _account_id: str) -> Identification:
        return identifier.identify(Evidence._make(source))

    return identify


def own_names_first(identify: Identify, own: Mapping[str, Sequence[OwnName]]) -> Identify:
    """The names that accounts give to their own systems, by account, and else what `identify` answers."""
    indexes = {account_id: OwnIndex([_own_sender(name) for name in names]) for account_id, names in own.items()}

    def identify_own(source: SourceEvidence, account_id: str) -> Identified:
        index = indexes.get(account_id)
        match = None if index is None else index.find(Evidence._make(source))
        if match is None:
            return identify(source, account_id)
        return Identification(match.sender.name, OWN_KIND, 1.0, False, (match.reason,))

    return identify_own if indexes else identify


def representatives(own: Mapping[str, Sequence[OwnName]]) -> BlockRepresentatives:
    """One address for all those that are in the same blocks of services and of these own systems."""
    mine = [ipaddress.ip_network(one.value) for names in own.values() for one in names if one.evidence == "block"]
    return BlockRepresentatives([*_blocks(), *mine]) if mine else _of_services()


@functools.cache
def _of_services() -> BlockRepresentatives:
    return BlockRepresentatives(_blocks())


def _blocks() -> list[IpBlock]:
    return [block for service in catalogue() for block in service.blocks]


def _own_sender(own: OwnName) -> OwnSender:
    match own.evidence:
        case "block":
            return OwnSender(own.name, blocks=(ipaddress.ip_network(own.value),))
        case "dkim":
            return OwnSender(own.name, dkim=(OwnDkim(own.value, own.selector or None),))
        case "envelope":
            return OwnSender(own.name, envelope=(own.value,))
        case _:
            return OwnSender(own.name, ptr=(own.value,))

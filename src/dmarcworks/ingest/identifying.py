"""Names the senders of rows by the sender catalogue and the file of base domains."""

from __future__ import annotations

from pathlib import Path

from dmarcworks.analytics.enrichment import Identify, SourceEvidence
from dmarcworks.enrich.senders.base_domains import NO_BASE_DOMAINS, load_base_domains
from dmarcworks.enrich.senders.identify import SenderIdentifier
from dmarcworks.enrich.senders.model import Evidence, Identification

__all__ = ["sender_names"]


def sender_names(sender_file: str) -> Identify:
    """What names the sender behind the evidence of a row; `sender_file` is the setting, "" for none.

    `SettingsError` when the file cannot be read.
    """
    identifier = SenderIdentifier(base_domains=load_base_domains(Path(sender_file)) if sender_file else NO_BASE_DOMAINS)

    def identify(source: SourceEvidence, _account_id: str) -> Identification:
        return identifier.identify(Evidence._make(source))

    return identify

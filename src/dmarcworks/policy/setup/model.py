"""What the set-up of a domain consists of: each thing with its state, why, and what to do. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from dmarcworks.catalogue.setup_records import DnsRecord
from dmarcworks.policy.record_difference import RecordPiece, record_difference

__all__ = ["DomainSetup", "SetupChange", "SetupItem", "SetupState", "SetupStatus"]


class SetupStatus(StrEnum):
    """The state of one thing."""

    done = "done"
    change = "change"  # it works, and should be changed
    missing = "missing"
    unknown = "unknown"  # DNS gave no answer
    unchecked = "unchecked"  # nobody has looked yet


class SetupState(StrEnum):
    """The state of the whole."""

    unchecked = "unchecked"
    unknown = "unknown"  # DNS gave no answer about something that is needed
    publish = "publish"  # something is missing
    waiting = "waiting"  # everything is published; the first report has not arrived
    receiving = "receiving"


@dataclass(frozen=True, slots=True)
class SetupChange:
    """A record to publish at a name; `before` is what is there now, "" for nothing."""

    name: str
    type: str
    before: str
    after: str

    @property
    def pieces(self) -> tuple[RecordPiece, ...]:
        """The difference, to mark."""
        return record_difference(self.before, self.after)


@dataclass(frozen=True, slots=True)
class SetupItem:
    """One thing. `message` is what is so and why, `fix` what to do ("" for nothing), `changes` the records to publish.

    An `optional` thing is not needed for reports to arrive.
    """

    code: str
    title: str
    status: SetupStatus
    message: str
    fix: str = ""
    changes: tuple[SetupChange, ...] = ()
    optional: bool = False


@dataclass(frozen=True, slots=True)
class DomainSetup:
    """The set-up of a domain as of `checked`; `records` are all that it needs, as they should be;
    `challenge` proves it without a change of the others.

    `checking`: a check is requested or running; `due` is when the next one is. `notes` are facts to know.
    """

    domain: str
    state: SetupState
    items: tuple[SetupItem, ...]
    records: tuple[DnsRecord, ...]
    challenge: DnsRecord
    notes: tuple[str, ...] = ()
    checked: datetime | None = None
    checking: bool = False
    due: datetime | None = None
    resolver: str = ""
    proven: datetime | None = None
    evidence: str = ""

    @property
    def open_items(self) -> tuple[SetupItem, ...]:
        """What somebody has to do."""
        return tuple(one for one in self.items if one.fix and one.status is not SetupStatus.done and not one.optional)

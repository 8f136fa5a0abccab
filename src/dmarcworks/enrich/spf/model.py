"""The values of an SPF evaluation: the client, the queries that it causes, and what came of it."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from dmarcworks.enrich.senders.names import IpAddress

__all__ = [
    "MAX_ADDRESS_NAMES",
    "MAX_LOOKUPS",
    "MAX_VOID_LOOKUPS",
    "DnsRecordSet",
    "Needed",
    "SpfClient",
    "SpfEvaluation",
    "SpfResultCode",
    "SpfSteps",
]

# RFC 7208 section 4.6.4: terms that cause queries, queries without an answer, and names per `mx` and `ptr`.
MAX_LOOKUPS = 10
MAX_VOID_LOOKUPS = 2
MAX_ADDRESS_NAMES = 10


class SpfResultCode(StrEnum):
    """The results of RFC 7208 section 2.6."""

    none = "none"
    neutral = "neutral"
    passed = "pass"
    fail = "fail"
    softfail = "softfail"
    temperror = "temperror"
    permerror = "permerror"


@dataclass(frozen=True, slots=True)
class SpfClient:
    """Who sends: the address, the domain to check, the sender's local part, HELO, and our host that receives.

    `unix_time` is for the macro `%{t}`. Made by `spf_client`, which knows the domain that is to be checked.
    """

    ip: IpAddress
    domain: str
    local: str = "postmaster"
    helo: str = ""
    receiver: str = "unknown"
    unix_time: int = 0


@dataclass(frozen=True, slots=True)
class Needed:
    """The next query to run."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class SpfEvaluation:
    """The result of `check_host()` and how it came about.

    `mechanism` is the one that matched in the checked domain's record or in the record that `redirect=` led to, as it
    is written there, and `domain` is where that record is published; both are "" when none matched. `matched` leads
    from there through the includes to the mechanism that matched in the end: (domain, mechanism) each. `explanation`
    is the text of `exp=` for a fail ("" without one). `problem` explains temperror and permerror.
    """

    result: SpfResultCode
    mechanism: str = ""
    domain: str = ""
    matched: tuple[tuple[str, str], ...] = ()
    explanation: str = ""
    lookups: int = 0
    void_lookups: int = 0
    problem: str = ""
    trace: tuple[str, ...] = ()


DnsRecordSet = Sequence[Any] | None
"""The records as `enrich.resolver` returns them, empty when there are none; None when DNS gave no answer."""

SpfSteps = Generator[Needed, DnsRecordSet, SpfEvaluation]
"""An evaluation in progress: it yields each query that it needs, and is sent the answer."""

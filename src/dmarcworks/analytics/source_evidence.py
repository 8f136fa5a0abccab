"""The evidence about the source of some messages, as identification is given it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from dmarcworks.reports.aggregate.records import DkimResult, SpfResult

__all__ = ["SignatureEvidence", "SourceEvidence", "evidence_of", "evidence_of_results"]


class SignatureEvidence(NamedTuple):
    """A DKIM signature and its result as the report states it."""

    domain: str
    selector: str | None
    result: str


class SourceEvidence(NamedTuple):
    """What identification is given about the source of some messages."""

    ip: str | None = None
    ptr: str | None = None
    ptr_confirmed: bool = False
    dkim: tuple[SignatureEvidence, ...] = ()
    spf_domain: str | None = None
    spf_result: str = "none"
    header_from: str | None = None
    asn: int | None = None


def evidence_of(
    header_from: str | None,
    dkim: Sequence[tuple[str | None, str | None, str | None]],
    spf: Sequence[tuple[str | None, str | None, str | None]],
) -> SourceEvidence:
    """Evidence from the stored values: signatures as (domain, selector, result), SPF as (domain, scope, result)."""
    signatures = tuple(
        SignatureEvidence(domain, selector, result or "none") for domain, selector, result in dkim if domain
    )
    # RFC 7489 reports may hold HELO and MAIL FROM; the envelope's domain is the evidence.
    checks = [(domain, result) for domain, scope, result in spf if domain and scope != "helo"]
    domain, result = checks[0] if checks else (None, None)
    return SourceEvidence(dkim=signatures, spf_domain=domain, spf_result=result or "none", header_from=header_from)


def evidence_of_results(
    header_from: str | None, dkim: Sequence[DkimResult], spf: Sequence[SpfResult]
) -> SourceEvidence:
    """The same from the results of a record."""
    return evidence_of(
        header_from,
        [(one.domain, one.selector, one.result) for one in dkim],
        [(one.domain, one.scope, one.result) for one in spf],
    )

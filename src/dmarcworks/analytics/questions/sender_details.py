"""One sender of a domain in detail: addresses, selectors, pairs of domains, reporters, samples of failure reports."""

# ruff: noqa: S608 - the pieces put together here are our own constants; values are bound as {name:Type}
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from dmarcworks.analytics.questions.execute import QueryRunner
from dmarcworks.analytics.questions.scope import NAMED_SUMS, PAGE, Counted, counted, day, printable
from dmarcworks.analytics.questions.sender_rows import SenderRows
from dmarcworks.analytics.sender_key import SenderKey

__all__ = [
    "FailureSample",
    "SenderAddress",
    "SenderAddressPage",
    "SenderDetailQuestions",
    "SenderPair",
    "SenderReporter",
    "SenderSelector",
]


@dataclass(frozen=True, slots=True)
class SenderAddress(Counted):
    """An address that a sender uses; `dkim_valid` and `spf_valid` are messages that pass for any domain."""

    source_ip: str
    ptr: str
    ptr_confirmed: bool
    network: str
    asn: int | None
    country: str
    # Which IP data gave network and country, "" for none.
    ip_data: str
    dkim_valid: int
    spf_valid: int
    first_day: date
    last_day: date


@dataclass(frozen=True, slots=True)
class SenderAddressPage:
    """Some addresses by messages, most first, and how many there are."""

    rows: tuple[SenderAddress, ...]
    total: int


@dataclass(frozen=True, slots=True)
class SenderSelector:
    """Messages with a signature of a domain and selector; `valid` where it verified, `aligned` where DKIM aligned."""

    domain: str
    selector: str
    messages: int
    valid: int
    aligned: int


@dataclass(frozen=True, slots=True)
class SenderPair(Counted):
    """Messages by the domain of the return path and the domain in From; "" where reports state none."""

    envelope_from: str
    header_from: str
    spf_valid: int


@dataclass(frozen=True, slots=True)
class SenderReporter(Counted):
    """What one reporter saw of a sender."""

    org_name: str


@dataclass(frozen=True, slots=True)
class FailureSample:
    """A failure report about an address of a sender; the reported message itself is not in it."""

    report_key: str
    day: date
    org_name: str
    source_ip: str
    auth_failure: str
    header_from: str
    original_mail_from: str
    subject: str


_DKIM_VALID = "sumIf(toUInt128(count), notEmpty(signed)) AS dkim_valid"
_SPF_VALID = "sumIf(toUInt128(count), notEmpty(envelopes)) AS spf_valid"
_SAMPLE = ("report_key", "org_name", "source_ip", "auth_failure", "header_from", "original_mail_from", "subject")
_PAIR = (
    "if(ifNull(envelope_from, '') != '', assumeNotNull(toString(envelope_from)),"
    " ifNull(toString(arrayFirst(s -> ifNull(s.scope != 'helo', 1), spf).1), ''))"
)


class SenderDetailQuestions(QueryRunner):
    """Questions about one sender; `rows` are those of an account, its domains and days, with the account's rules."""

    async def sender_addresses(
        self, rows: SenderRows, key: SenderKey, *, limit: int = 100, offset: int = 0
    ) -> SenderAddressPage:
        """The sender's addresses by messages, with what is stored about their host, network and country."""
        where, parameters = rows.of_sender(key)
        answer = await self._query(
            f"SELECT source_ip, {NAMED_SUMS}, {_DKIM_VALID}, {_SPF_VALID},"
            " argMax(ifNull(toString(ptr), ''), (ifNull(ptr, '') != '', day)) AS ptr_,"
            " max(host != '') AS confirmed, max(owner) AS owner_, max(asn) AS asn_,"
            " argMax(ifNull(toString(country), ''), (ifNull(country, '') != '', day)) AS country_,"
            " max(ifNull(toString(ip_data), '')) AS ip_data_,"
            f" min(day) AS first_day, max(day) AS last_day, count() OVER () AS total FROM {where}"
            f" GROUP BY source_ip ORDER BY messages DESC, source_ip {PAGE}",
            parameters | {"limit": limit, "offset": offset},
        )
        return SenderAddressPage(tuple(map(_address, answer)), int(answer[0]["total"]) if answer else 0)

    async def sender_selectors(
        self, rows: SenderRows, key: SenderKey, *, limit: int = 100
    ) -> tuple[SenderSelector, ...]:
        """The signatures on the sender's messages by domain and selector, also those that did not verify."""
        where, parameters = rows.of_sender(key)
        answer = await self._query(
            f"SELECT {printable('one.domain')} AS signer, {printable('one.selector')} AS selector_,"
            " sum(toUInt128(count)) AS messages, sumIf(toUInt128(count), one.result = 'pass') AS valid,"
            " sumIf(toUInt128(count), one.result = 'pass' AND dkim_aligned = 'pass') AS aligned"
            f" FROM (SELECT count, dkim_aligned, arrayJoin(dkim) AS one FROM {where})"
            " GROUP BY signer, selector_ ORDER BY messages DESC, signer, selector_ LIMIT {limit:UInt32}",
            parameters | {"limit": limit},
        )
        return tuple(
            SenderSelector(
                row["signer"], row["selector_"], int(row["messages"]), int(row["valid"]), int(row["aligned"])
            )
            for row in answer
        )

    async def sender_pairs(self, rows: SenderRows, key: SenderKey, *, limit: int = 100) -> tuple[SenderPair, ...]:
        """The sender's messages by return-path domain and From domain, most first."""
        where, parameters = rows.of_sender(key)
        answer = await self._query(
            f"SELECT {_PAIR} AS envelope, {printable('header_from')} AS author, {NAMED_SUMS}, {_SPF_VALID} FROM {where}"
            " GROUP BY envelope, author ORDER BY messages DESC, envelope, author LIMIT {limit:UInt32}",
            parameters | {"limit": limit},
        )
        return tuple(
            SenderPair(
                **counted(row), envelope_from=row["envelope"], header_from=row["author"],
                spf_valid=int(row["spf_valid"]),
            )
            for row in answer
        )  # fmt: skip

    async def sender_reporters(
        self, rows: SenderRows, key: SenderKey, *, limit: int = 100
    ) -> tuple[SenderReporter, ...]:
        """What each reporter saw of the sender, most messages first."""
        where, parameters = rows.of_sender(key)
        answer = await self._query(
            f"SELECT {printable('org_name')} AS reporter, {NAMED_SUMS} FROM {where}"
            " GROUP BY reporter ORDER BY messages DESC, reporter LIMIT {limit:UInt32}",
            parameters | {"limit": limit},
        )
        return tuple(SenderReporter(**counted(row), org_name=row["reporter"]) for row in answer)

    async def sender_failures(self, rows: SenderRows, key: SenderKey, *, limit: int = 10) -> tuple[FailureSample, ...]:
        """The newest failure reports about addresses of the sender, in the same account, domains and days."""
        where, parameters = rows.of_sender(key)
        columns = ", ".join(f"{printable(name)} AS {name}_" for name in _SAMPLE)
        answer = await self._query(
            f"SELECT day, {columns} FROM failure_reports WHERE {rows.scope.where}"
            f" AND source_ip IN (SELECT source_ip FROM {where})"
            " ORDER BY day DESC, received DESC, report_key LIMIT {limit:UInt32}",
            parameters | {"limit": limit},
        )
        return tuple(
            FailureSample(day=day(row["day"]), **{name: row[f"{name}_"] for name in _SAMPLE}) for row in answer
        )


def _address(row: Mapping[str, Any]) -> SenderAddress:
    return SenderAddress(
        **counted(row),
        source_ip=row["source_ip"],
        ptr=row["ptr_"],
        ptr_confirmed=bool(row["confirmed"]),
        network=row["owner_"],
        asn=None if row["asn_"] is None else int(row["asn_"]),
        country=row["country_"],
        ip_data=row["ip_data_"],
        dkim_valid=int(row["dkim_valid"]),
        spf_valid=int(row["spf_valid"]),
        first_day=day(row["first_day"]),
        last_day=day(row["last_day"]),
    )

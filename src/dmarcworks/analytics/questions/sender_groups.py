"""Who sends as a domain: its rows by sender, each row in exactly one group, so that sums equal the domain's totals."""

# ruff: noqa: S608 - the pieces put together here are our own constants; values are bound as {name:Type}
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from dmarcworks.analytics.questions.execute import QueryRunner
from dmarcworks.analytics.questions.scope import NAMED_SUMS, PAGE, Counted, Domains, counted, day
from dmarcworks.analytics.questions.sender_rows import OwnRule, SenderRows
from dmarcworks.analytics.sender_key import SenderBasis, SenderKey

__all__ = [
    "DISPOSITION",
    "DISPOSITIONS",
    "REASONS",
    "REASON_LIST",
    "SenderDay",
    "SenderGroup",
    "SenderGroupPage",
    "SenderGroupQuestions",
    "word_sums",
]

DISPOSITIONS = ("none", "quarantine", "reject", "pass")
# RFC 9990 §3.1.1.9; what strangers write instead is counted as "other".
REASONS = (
    "forwarded", "sampled_out", "trusted_forwarder", "mailing_list", "local_policy", "policy_test_mode", "other",
)  # fmt: skip
# Countries and networks that are listed by name; they are counted exactly.
LISTED = 300
# Keys without a name under which the rows of a named sender would stand: decisions on them are found again.
EARLIER = 100


@dataclass(frozen=True, slots=True)
class SenderGroup(Counted):
    """The messages of one sender. `dispositions` and `reasons` are messages by word, "" where reports state none.

    Of the messages that fail DMARC: `overrides` by reason, `arc` with a reason that names a passing ARC chain, `srs`
    with an envelope that a forwarder rewrote. `survived`: aligned by DKIM alone, with SPF failing for the domain
    itself or such an envelope. `with_ptr`: from addresses that have a PTR, or whose PTR was not looked up yet.
    `earlier`: the keys that the rows have without the name.
    """

    key: SenderKey
    kind: str
    confidence: float
    addresses: int
    countries: tuple[str, ...]
    networks: int
    network_names: tuple[str, ...]
    reporters: int
    dispositions: Mapping[str, int]
    reasons: Mapping[str, int]
    overrides: Mapping[str, int]
    arc: int
    srs: int
    survived: int
    with_ptr: int
    first_day: date
    last_day: date
    earlier: tuple[SenderKey, ...]


@dataclass(frozen=True, slots=True)
class SenderGroupPage:
    """Some senders by messages, most first, and how many there are."""

    rows: tuple[SenderGroup, ...]
    total: int


@dataclass(frozen=True, slots=True)
class SenderDay:
    """A sender's messages of a day, and those of them that passed DMARC."""

    day: date
    messages: int
    passed: int

    @property
    def failed(self) -> int:
        """Those that did not."""
        return self.messages - self.passed


def _words(expression: str, words: Sequence[str]) -> str:
    """A word of strangers as one of ours: the word, "" for none, "other" for any other."""
    listed = ", ".join(f"'{word}'" for word in ("", *words))
    return f"if({expression} IN ({listed}), {expression}, 'other')"


DISPOSITION = _words("ifNull(toString(disposition), '')", DISPOSITIONS)
_REASON = _words("ifNull(toString(r.type), '')", REASONS)
REASON_LIST = f"arrayDistinct(arrayMap(r -> {_REASON}, reasons))"
# Without an answer of DNS the confirmation is NULL: it is not known whether there is a name.
_HOST = "(ifNull(ptr, '') != '' OR isNull(ptr_confirmed))"
_FAILED = "dmarc = 'fail'"
_ARC = "arrayExists(r -> positionCaseInsensitive(ifNull(r.comment, ''), 'arc=pass') > 0, reasons)"
# Reports state the domain of the return path, some the whole address: SRS0=… or a domain that is named after it.
_SRS = "match(lowerUTF8(ifNull(envelope_from, '')), '^srs[01][=+-]|(^|[.@])srs[0-9]*[.-]')"
_OWN_SPF_FAILED = (
    "arrayExists(s -> ifNull(s.result != 'pass', 1) AND (lowerUTF8(ifNull(s.domain, '')) = domain"
    " OR endsWith(lowerUTF8(ifNull(s.domain, '')), concat('.', domain))), spf)"
)
_SURVIVED = (
    "ifNull(dkim_aligned = 'pass', 0) AND ifNull(spf_aligned = 'pass', 0) = 0"
    f" AND own_signer.1 != '' AND ({_OWN_SPF_FAILED} OR {_SRS})"
)
_GROUP = (
    f"SELECT key.1 AS basis, key.2 AS value, {NAMED_SUMS}, max(kind_) AS kind, min(confidence_) AS confidence,"
    " uniqExact(source_ip) AS addresses, uniqExact(ifNull(org_name, '')) AS reporters,"
    f" arraySort(groupUniqArrayIf({LISTED})(ifNull(toString(country), ''), ifNull(country, '') != '')) AS countries,"
    " uniqExactIf(network, network != '') AS networks,"
    f" arraySort(groupUniqArrayIf({LISTED})(network, network != '')) AS network_names,"
    f" sumMap([{DISPOSITION}], [toUInt128(count)]) AS dispositions_,"
    f" sumMap({REASON_LIST}, arrayMap(r -> toUInt128(count), {REASON_LIST})) AS reasons_,"
    f" sumMapIf({REASON_LIST}, arrayMap(r -> toUInt128(count), {REASON_LIST}), {_FAILED}) AS overrides_,"
    f" sumIf(toUInt128(count), {_FAILED} AND {_ARC}) AS arc, sumIf(toUInt128(count), {_FAILED} AND {_SRS}) AS srs,"
    f" sumIf(toUInt128(count), {_SURVIVED}) AS survived, sumIf(toUInt128(count), {_HOST}) AS with_ptr,"
    " min(day) AS first_day, max(day) AS last_day,"
    f" groupUniqArrayIf({EARLIER})(evidence, named != '') AS earlier"
)


class SenderGroupQuestions(QueryRunner):
    """Questions about the senders of a domain."""

    async def sender_groups(
        self,
        account_id: str,
        domain_id: Domains,
        first: date,
        last: date,
        *,
        own: Sequence[OwnRule] = (),
        limit: int = 100,
        offset: int = 0,
    ) -> SenderGroupPage:
        """The senders of a period by messages, most first; `own` are the account's own rules."""
        rows = SenderRows.of(account_id, domain_id, first, last, own)
        answer = await self._query(
            f"{_GROUP}, count() OVER () AS total FROM {rows.select} GROUP BY basis, value"
            f" ORDER BY messages DESC, basis, value {PAGE}",
            rows.parameters | {"limit": limit, "offset": offset},
        )
        return SenderGroupPage(tuple(map(_group, answer)), int(answer[0]["total"]) if answer else 0)

    async def sender_group(
        self,
        account_id: str,
        domain_id: Domains,
        first: date | None,
        last: date | None,
        key: SenderKey,
        *,
        own: Sequence[OwnRule] = (),
    ) -> SenderGroup | None:
        """One sender; None when it has no row in the period."""
        where, parameters = SenderRows.of(account_id, domain_id, first, last, own).of_sender(key)
        answer = await self._query(f"{_GROUP} FROM {where} GROUP BY basis, value", parameters)
        return _group(answer[0]) if answer else None

    async def sender_days(
        self,
        account_id: str,
        domain_id: Domains,
        first: date,
        last: date,
        keys: Sequence[SenderKey],
        *,
        own: Sequence[OwnRule] = (),
    ) -> dict[SenderKey, tuple[SenderDay, ...]]:
        """The series of these senders by day, in day order; days without a report are absent."""
        if not keys:
            return {}
        rows = SenderRows.of(account_id, domain_id, first, last, own)
        answer = await self._query(
            "SELECT key.1 AS basis, key.2 AS value, day, sum(toUInt128(count)) AS messages,"
            f" sumIf(toUInt128(count), dmarc = 'pass') AS passed FROM {rows.select}"
            " WHERE has({bases:Array(String)}, key.1) AND has({values:Array(String)}, key.2)"
            " GROUP BY basis, value, day ORDER BY day",
            rows.parameters
            | {"bases": sorted({str(key.basis) for key in keys}), "values": sorted({key.value for key in keys})},
        )
        series: dict[SenderKey, list[SenderDay]] = {key: [] for key in keys}
        for row in answer:
            days = series.get(_key(row["basis"], row["value"]))
            if days is not None:
                days.append(SenderDay(day(row["day"]), int(row["messages"]), int(row["passed"])))
        return {key: tuple(days) for key, days in series.items()}


def _key(basis: str, value: str) -> SenderKey:
    return SenderKey(SenderBasis(basis), value)


def word_sums(pair: Sequence[Sequence[Any]]) -> dict[str, int]:
    """Messages by word, of two parallel lists as the engine returns them; zero is left out."""
    return {str(word): int(messages) for word, messages in zip(pair[0], pair[1], strict=True) if int(messages)}


def _group(row: Mapping[str, Any]) -> SenderGroup:
    return SenderGroup(
        **counted(row),
        key=_key(row["basis"], row["value"]),
        kind=row["kind"],
        confidence=float(row["confidence"]),
        addresses=int(row["addresses"]),
        countries=tuple(row["countries"]),
        networks=int(row["networks"]),
        network_names=tuple(row["network_names"]),
        reporters=int(row["reporters"]),
        dispositions=word_sums(row["dispositions_"]),
        reasons=word_sums(row["reasons_"]),
        overrides=word_sums(row["overrides_"]),
        **{name: int(row[name]) for name in ("arc", "srs", "survived", "with_ptr")},
        first_day=day(row["first_day"]),
        last_day=day(row["last_day"]),
        earlier=tuple(sorted((_key(*pair) for pair in row["earlier"]), key=lambda key: key.id)),
    )

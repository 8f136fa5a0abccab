"""What the policy does: messages by disposition and by override reason, and what each published policy met.

`failed_through` are messages that failed DMARC and were delivered anyway: under p=none all that a stricter policy
would stop, under a stricter one those that receivers let pass, with their reasons.
"""

# ruff: noqa: S608 - the pieces put together here are our own constants; values are bound as {name:Type}
from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from dmarcworks.analytics.questions.execute import QueryRunner
from dmarcworks.analytics.questions.scope import NAMED_SUMS, Counted, Domains, Scope, counted, day, printable


@dataclass(frozen=True, slots=True)
class DispositionVolume:
    """Messages that receivers treated alike; `disposition` is "" where they state none."""

    disposition: str
    messages: int
    passed: int


@dataclass(frozen=True, slots=True)
class ReasonVolume:
    """Messages that receivers treated otherwise than the policy requests, by the reason that they give."""

    type: str
    comment: str
    messages: int
    failed: int


@dataclass(frozen=True, slots=True)
class PolicyEffect(Counted):
    """What a published policy (`p`, "" where reports name none) met, on which days."""

    p: str
    failed_through: int
    first_day: date
    last_day: date


@dataclass(frozen=True, slots=True)
class PublishedPolicy:
    """A policy as a reporter found it published; None where the report does not name a tag."""

    domain: str
    p: str | None
    sp: str | None
    np: str | None
    adkim: str | None
    aspf: str | None
    pct: int | None

    @property
    def tags(self) -> str:
        """The policy as tags of a DMARC record: p first, others where they differ from their defaults.

        Reporters are strangers: a value that DMARC does not know is left out, so that no record is made of their text.
        """
        p = self.p if self.p in _POLICIES else "none"
        tags = [f"p={p}"]
        # Receivers fill in sp from p: it has no meaning of its own then.
        tags += [f"{name}={value}" for name, value in (("sp", self.sp), ("np", self.np)) if value in _POLICIES - {p}]
        tags += [f"{name}=s" for name, value in (("adkim", self.adkim), ("aspf", self.aspf)) if value == "s"]
        if self.pct is not None and 0 <= self.pct < 100:
            tags.append(f"pct={self.pct}")
        return "; ".join(tags)


_POLICIES = {"none", "quarantine", "reject"}
_TAGS = "p, sp, np, adkim, aspf"

_THROUGH = "sumIf(toUInt128(count), dmarc = 'fail' AND ifNull(disposition, 'none') NOT IN ('quarantine', 'reject'))"


class PolicyQuestions(QueryRunner):
    """Questions about policies."""

    async def dispositions(
        self, account_id: str, domain_id: Domains, first: date, last: date
    ) -> tuple[DispositionVolume, ...]:
        """Messages by what receivers did with them, most first."""
        scope = Scope.of(account_id, domain_id, first, last)
        rows = await self._query(
            f"SELECT {printable('disposition')} AS done, sum(toUInt128(count)) AS messages,"
            " sumIf(toUInt128(count), dmarc = 'pass') AS passed"
            f" FROM dmarc_reports WHERE {scope.where} GROUP BY done ORDER BY messages DESC, done",
            scope.parameters,
        )
        return tuple(DispositionVolume(row["done"], int(row["messages"]), int(row["passed"])) for row in rows)

    async def published_policies(
        self,
        account_id: str,
        domain_id: Domains,
        first: date,
        last: date,
        *,
        report_key: str | None = None,
        policy_domain: str | None = None,
    ) -> tuple[PublishedPolicy, ...]:
        """The policies that reports found published, the newest and most often reported first; ten at most."""
        scope = Scope.of(account_id, domain_id, first, last)
        for name, value in (("report_key", report_key), ("policy_domain", policy_domain)):
            if value is not None:
                scope = scope.narrowed(f"{name} = {{{name}:String}}", **{name: value})
        rows = await self._query(
            f"SELECT policy_domain AS domain, {_TAGS}, pct, max(day) AS newest, uniqExact(report_key) AS reports"
            f" FROM dmarc_reports WHERE {scope.where} GROUP BY domain, {_TAGS}, pct"
            f" ORDER BY newest DESC, reports DESC, domain, {_TAGS}, pct LIMIT 10",
            scope.parameters,
        )
        return tuple(PublishedPolicy(**{name: row[name] for name in PublishedPolicy.__slots__}) for row in rows)

    async def reasons(
        self, account_id: str, domain_id: Domains, first: date, last: date, *, limit: int = 100
    ) -> tuple[ReasonVolume, ...]:
        """Messages by override reason and its comment, most first; a message with two reasons counts under each."""
        scope = Scope.of(account_id, domain_id, first, last).narrowed("notEmpty(reasons)")
        rows = await self._query(
            f"SELECT {printable('one.type')} AS type, {printable('one.comment')} AS comment,"
            " sum(toUInt128(count)) AS messages, sumIf(toUInt128(count), dmarc = 'fail') AS failed FROM"
            f" (SELECT count, dmarc, arrayJoin(reasons) AS one FROM dmarc_reports WHERE {scope.where})"
            " GROUP BY type, comment ORDER BY messages DESC, type, comment LIMIT {limit:UInt32}",
            scope.parameters | {"limit": limit},
        )
        return tuple(
            ReasonVolume(row["type"], row["comment"], int(row["messages"]), int(row["failed"])) for row in rows
        )

    async def policy_effect(
        self, account_id: str, domain_id: Domains, first: date, last: date
    ) -> tuple[PolicyEffect, ...]:
        """What each policy met that reports saw published, in the order in which they were first seen."""
        scope = Scope.of(account_id, domain_id, first, last)
        rows = await self._query(
            f"SELECT {printable('p')} AS policy, {NAMED_SUMS}, {_THROUGH} AS failed_through, min(day) AS first_day,"
            f" max(day) AS last_day FROM dmarc_reports WHERE {scope.where} GROUP BY policy ORDER BY first_day, policy",
            scope.parameters,
        )
        return tuple(
            PolicyEffect(
                **counted(row),
                p=row["policy"],
                failed_through=int(row["failed_through"]),
                first_day=day(row["first_day"]),
                last_day=day(row["last_day"]),
            )
            for row in rows
        )

"""The changes of DNS records that we propose for a domain, each with before, after, why, risk and way back. Pure.

Everything that is proposed anywhere comes through here: the next policy, our address in rua, a corrected record, a
trimmed SPF record, a parked domain. Nothing here changes a record; its owner does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dmarcworks.policy.advice import PolicyAdvice
from dmarcworks.policy.dns_records.dmarc_record import dmarc_record
from dmarcworks.policy.dns_records.dmarc_repair import repaired_record, resembles_dmarc
from dmarcworks.policy.record_builder import BuiltRecord, parked_to_publish
from dmarcworks.policy.record_difference import RecordPiece, record_difference
from dmarcworks.policy.record_edit import policy_of_record, with_policy
from dmarcworks.policy.record_place import RecordPlace
from dmarcworks.policy.replay import PolicyReplay
from dmarcworks.policy.rua import append_rua, has_rua
from dmarcworks.policy.spf_prune import SpfPrune
from dmarcworks.policy.tags import DomainPolicy

__all__ = ["ChangePlan", "ChangeRisk", "PlanInput", "RecordChange", "SenderAtRisk", "change_plan"]

# Senders that are named with a change; the rest is counted.
NAMED = 20


@dataclass(frozen=True, slots=True)
class SenderAtRisk:
    """A sender of whose messages of the period the change affects some; `yours` by the owner's decisions."""

    name: str
    yours: bool
    messages: int
    affected: int


@dataclass(frozen=True, slots=True)
class ChangeRisk:
    """What a change may do to mail, in words; with `replayed` the figures are those of a replay of the period."""

    summary: str
    replayed: bool = False
    messages: int = 0
    affected: int = 0
    yours_affected: int = 0
    senders: tuple[SenderAtRisk, ...] = ()
    more_senders: int = 0


@dataclass(frozen=True, slots=True)
class RecordChange:
    """A change of one record. `before` are the records at the name now that it replaces, empty for none; `after` is
    the record to publish. `obstacle`: an alias or a foreign zone in the way, in words, "" for none."""

    code: str
    name: str
    type: str
    before: tuple[str, ...]
    after: str
    why: str
    risk: ChangeRisk
    obstacle: str = ""

    @property
    def difference(self) -> tuple[RecordPiece, ...]:
        """Before and after as pieces; several records before are put together by a space."""
        return record_difference(" ".join(self.before), self.after)

    @property
    def back(self) -> str:
        """How to go back, in words; the records to publish again are those of `before`."""
        if not self.before:
            return f"Delete the {self.type} record at {self.name}; there was none before."
        one = len(self.before) == 1
        return f"Publish the {self.type} record{'' if one else 's'} of before at {self.name} again."


@dataclass(frozen=True, slots=True)
class ChangePlan:
    """The changes in the order in which to make them, and in words what is waited for or not proposed."""

    domain: str
    changes: tuple[RecordChange, ...]
    notes: tuple[str, ...]
    prune: SpfPrune | None = None


@dataclass(frozen=True, slots=True)
class PlanInput:
    """What a plan rests on. `step` is the replay of the next policy. `mx`, `spf` and `wildcard_keys` are needed for a
    parked domain only, whose replay with p=reject is `parked`."""

    domain: str
    rua: str
    dmarc: RecordPlace
    advice: PolicyAdvice
    step: PolicyReplay | None = None
    prune: SpfPrune | None = None
    spf: RecordPlace | None = None
    mx: RecordPlace | None = None
    wildcard_keys: RecordPlace | None = None
    parked: PolicyReplay | None = None


def change_plan(known: PlanInput) -> ChangePlan:
    """All changes that can be proposed, and why others are not."""
    changes: list[RecordChange] = []
    notes: list[str] = []
    parts = [_parked(known)] if known.parked is not None else [_dmarc(known), _spf(known)]
    for part in parts:
        for one in part:
            if isinstance(one, str):
                notes.append(one)
            else:
                changes.append(one)
    return ChangePlan(known.domain, tuple(changes), tuple(notes), known.prune)


def _dmarc(known: PlanInput) -> Iterator[RecordChange | str]:
    place = known.dmarc
    if not place.answered:
        yield place.obstacle
        return
    records = [text for text in place.records if dmarc_record(text) is not None]
    meant = records or [text for text in place.records if resembles_dmarc(text)]
    if not meant:
        yield _first_record(known)
        return
    if len(records) != 1 or policy_of_record(records[0]) is None:
        yield _repaired(known, meant)
        yield "Publish the corrected DMARC record first; the next step of the policy follows after that."
        return
    if not has_rua(records[0], known.rua):
        yield _appended(known, records[0])
    yield from _policy(known, records[0])


def _first_record(known: PlanInput) -> RecordChange:
    after = f"v=DMARC1; p=none; rua=mailto:{known.rua}"
    why = "The domain has no DMARC record. With this one, receivers report about its mail and treat it as before."
    risk = ChangeRisk("None: p=none affects no mail.")
    return RecordChange("dmarc-first", known.dmarc.name, "TXT", (), after, why, risk, known.dmarc.obstacle)


def _repaired(known: PlanInput, meant: list[str]) -> RecordChange:
    """One valid record with what the texts were meant as; of several the first decides."""
    after = append_rua(repaired_record(meant[0]), known.rua)
    several = len(meant) > 1
    why = (
        f"There are {len(meant)} DMARC records, so receivers discard all of them: keep one."
        if several
        else "Receivers do not recognise the DMARC record, or not its policy: this is what it was most likely meant as."
    )
    policy = policy_of_record(after)
    strict = policy is not None and policy.applied(policy.p) != "none"
    words = (
        f"Receivers begin to apply {policy.text if policy else 'the policy'}. See its replay before you publish it."
        if strict
        else "None: p=none affects no mail."
    )
    place = known.dmarc
    return RecordChange("dmarc-repair", place.name, "TXT", tuple(meant), after, why, ChangeRisk(words), place.obstacle)


def _appended(known: PlanInput, record: str) -> RecordChange:
    why = "Reports do not come here by this record: our address is not in its rua. All else in it stays as it is."
    risk = ChangeRisk("None: how mail is treated does not change. Reports may be sent to one more address.")
    after = append_rua(record, known.rua)
    return RecordChange("dmarc-rua", known.dmarc.name, "TXT", (record,), after, why, risk, known.dmarc.obstacle)


def _policy(known: PlanInput, record: str) -> Iterator[RecordChange | str]:
    """The next step when it is ready, p=none when the policy in force loses mail; else what is waited for."""
    advice, published = known.advice, policy_of_record(record)
    force = advice.in_force
    if force is None or published is None:
        yield "No report states the policy of this domain yet; the next step needs reports."
    elif _requested(published) != _requested(force.policy):
        yield (
            f"The record requests {published.text} now; the newest reports, about {force.newest}, found"
            f" {force.policy.text}. The next step is checked when reports show the record of now."
        )
    elif not advice.stay:
        yield _relaxed(known, record)
    elif advice.next is None:
        yield advice.summary
    elif not advice.ready or known.step is None:
        yield f"No change of the policy is proposed: {advice.summary}"
    else:
        why = f"{advice.summary} Reports show {force.policy.text} since {force.since}."
        risk = replayed_risk(known.step)
        after = with_policy(record, advice.next)
        yield RecordChange("policy-step", known.dmarc.name, "TXT", (record,), after, why, risk, known.dmarc.obstacle)


def _relaxed(known: PlanInput, record: str) -> RecordChange:
    after = with_policy(record, DomainPolicy())
    risk = ChangeRisk("Mail that fails is delivered again, also that of strangers, until the policy is raised.")
    return RecordChange(
        "policy-relax", known.dmarc.name, "TXT", (record,), after, known.advice.summary, risk, known.dmarc.obstacle
    )


def _requested(policy: DomainPolicy) -> tuple[str, str, bool, int]:
    """What reports state of every policy; not all of them state np, adkim and aspf."""
    return policy.p, policy.subdomains, policy.t, policy.pct


def replayed_risk(replay: PolicyReplay) -> ChangeRisk:
    """The risk of a policy by its replay: the messages of which senders it would have affected."""
    affected = [one for one in replay.senders if one.effect.affected]
    affected.sort(key=lambda one: (not one.yours, -one.effect.affected, one.key.id))
    total, yours = replay.total, replay.yours
    summary = (
        f"{replay.policy.text} would have affected {total.affected:,} of {total.messages:,} messages from"
        f" {replay.first} to {replay.last}, {yours.affected:,} of them from senders that are yours."
    )
    named = tuple(
        SenderAtRisk(one.name, one.yours, one.effect.messages, one.effect.affected) for one in affected[:NAMED]
    )
    return ChangeRisk(
        summary, True, total.messages, total.affected, yours.affected, named, max(len(affected) - NAMED, 0)
    )


def _spf(known: PlanInput) -> Iterator[RecordChange | str]:
    prune, place = known.prune, known.spf
    if prune is None or not prune.trimmed or place is None:
        return
    saved = f" It saves {prune.saved} DNS look-ups." if prune.saved > 1 else ""
    saved = " It saves one DNS look-up." if prune.saved == 1 else saved
    why = f"{prune.summary}{saved}"
    risk = ChangeRisk(
        f"{prune.proof} A sender that sent no mail in this period and uses one of the removed terms later fails SPF."
    )
    yield RecordChange("spf-prune", place.name, "TXT", (prune.record,), prune.trimmed, why, risk, place.obstacle)


def _parked(known: PlanInput) -> Iterator[RecordChange | str]:
    """The records of a domain without mail, as far as they are not published yet."""
    assert known.parked is not None
    risk = replayed_risk(known.parked)
    places = {place.name + place.type: place for place in (known.mx, known.spf, known.wildcard_keys) if place}
    places[known.dmarc.name + "TXT"] = known.dmarc
    for built in parked_to_publish(known.domain, (known.rua,)):
        place = places.get(built.record.name + built.record.type)
        if place is None:
            continue
        if not place.answered:
            yield place.obstacle
        elif (change := _parked_change(known, built, place, risk)) is not None:
            yield change
    if known.parked.yours.messages:
        yield (
            f"Senders that are yours sent {known.parked.yours.messages:,} messages in this period: the domain is in"
            " use. Publish these records only if that mail is to end."
        )


def _parked_change(known: PlanInput, built: BuiltRecord, place: RecordPlace, risk: ChangeRisk) -> RecordChange | None:
    record = built.record
    before = tuple(_replaced(record.value, place))
    after = record.value
    if place is known.dmarc and len(before) == 1 and dmarc_record(before[0]) is not None:
        # Whom the record reports to, and all else in it, stays.
        after = with_policy(append_rua(before[0], known.rua), DomainPolicy("reject"))
    if before == (after,):
        return None
    why = f"A domain that neither sends nor receives mail: {' '.join(built.choices[:1])}"
    return RecordChange("parked", record.name, record.type, before, after, why, risk, place.obstacle)


def _replaced(value: str, place: RecordPlace) -> Iterable[str]:
    """The records at a name that a new one replaces: all MX, of the TXT records those of the same kind."""
    if place.type == "MX":
        return place.records
    version = value.partition(" ")[0].rstrip(";").lower()
    return [text for text in place.records if text.lower().startswith(version)]

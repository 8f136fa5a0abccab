"""The next step of a domain's policy: ready, or not yet and why; and whether to keep the policy in force. Pure.

No step is advised whose own replay loses mail of a sender that is yours: more of its messages than the step's threshold
allows. Everything is checked on the stored rows of a period.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from dmarcworks.policy.conditions import Condition, PolicyThresholds, conditions, losing
from dmarcworks.policy.in_force import PolicyInForce
from dmarcworks.policy.replay import PolicyReplay
from dmarcworks.policy.steps import plan, strictest
from dmarcworks.policy.tags import DomainPolicy

__all__ = ["PlanStep", "PolicyAdvice", "PolicyEvidence", "advise", "effect_on_strangers"]


@dataclass(frozen=True, slots=True)
class PolicyEvidence:
    """What a piece of advice rests on. `step` and `present` are the replays of the next policy and of that in force."""

    domain: str
    today: date
    in_force: PolicyInForce | None
    step: PolicyReplay | None
    present: PolicyReplay | None
    reporters: int
    subdomain_mail: bool


@dataclass(frozen=True, slots=True)
class PlanStep:
    """A policy of the plan; `state` is in_force, next or later."""

    policy: DomainPolicy
    state: str


@dataclass(frozen=True, slots=True)
class PolicyAdvice:
    """The next step, or None when there is none, and whether all its conditions are met.

    `stay` is False when the policy in force loses mail of your senders; `summary` is the whole in one or two sentences.
    """

    domain: str
    in_force: PolicyInForce | None
    next: DomainPolicy | None
    ready: bool
    stay: bool
    because: tuple[Condition, ...]
    summary: str
    plan: tuple[PlanStep, ...]


def advise(evidence: PolicyEvidence, thresholds: PolicyThresholds) -> PolicyAdvice:
    """The advice on a domain."""
    force = evidence.in_force
    if force is None:
        return _without_policy(evidence)
    steps = plan(force.policy, subdomain_mail=evidence.subdomain_mail)
    present = _present(evidence, thresholds)
    stay = present is None or present.met
    because: tuple[Condition, ...] = (present,) if present is not None else ()
    if evidence.step is not None:
        because += tuple(conditions(force, evidence.step, evidence.reporters, evidence.today, thresholds))
    else:
        because += (Condition("complete", f"{force.policy.text} leaves no stricter step.", True),)
    ready = evidence.step is not None and all(one.met for one in because)
    return PolicyAdvice(
        domain=evidence.domain,
        in_force=force,
        next=evidence.step.policy if evidence.step else None,
        ready=ready,
        stay=stay,
        because=because,
        summary=_summary(force, evidence.step, ready, stay, because),
        plan=_plan(steps),
    )


def effect_on_strangers(policy: DomainPolicy | None, *, several: bool = False) -> str:
    """What the policy in force does to messages that fail and are not yours, as the end of a sentence about one sender
    or `several`."""
    if policy is None or policy.p == "none":
        return f"a policy of quarantine or reject stops {'them' if several else 'it'}."
    name, messages = f"p={policy.p}", f"{'their' if several else 'its'} messages"
    if policy.t:
        lowered = policy.applied(policy.p)
        return f"your policy {name} with t=y applies to {messages} as p={lowered}; without t=y it applies in full."
    if policy.pct < 100:
        return f"your policy {name} applies to {policy.pct} % of {messages}; without pct it applies to all."
    return f"your policy {name} already applies to {messages}."


def _without_policy(evidence: PolicyEvidence) -> PolicyAdvice:
    first = DomainPolicy()
    message = f"No report of the last year states a policy of {evidence.domain}; p=none affects no mail."
    return PolicyAdvice(
        domain=evidence.domain,
        in_force=None,
        next=first,
        ready=True,
        stay=True,
        because=(Condition("no_policy_seen", message, True),),
        summary=f"Publish p=none. {message}",
        plan=(PlanStep(first, "next"), *_plan(plan(first, subdomain_mail=evidence.subdomain_mail))[1:]),
    )


def _present(evidence: PolicyEvidence, thresholds: PolicyThresholds) -> Condition | None:
    """Whether the policy in force keeps the mail of your senders; None for one that affects no mail."""
    replay = evidence.present
    if replay is None or strictest(replay.policy) == "none":
        return None
    lossy = losing(replay, thresholds)
    if not lossy:
        message = f"{replay.policy.text}, the policy in force, loses no mail of your senders beyond the threshold."
        return Condition("in_force", message, True)
    worst = max(lossy, key=lambda one: one.effect.affected)
    message = (
        f"{replay.policy.text}, the policy in force, affects {worst.effect.affected:,} of {worst.effect.messages:,}"
        f" messages of {worst.name}, which is yours. Fix it, or publish p=none until it is fixed."
    )
    return Condition("in_force", message, False)


def _summary(
    force: PolicyInForce, step: PolicyReplay | None, ready: bool, stay: bool, because: tuple[Condition, ...]
) -> str:
    if not stay:
        return next(one.message for one in because if one.code == "in_force")
    if step is None:
        return f"Stay at {force.policy.text}: there is no stricter step."
    if ready:
        return f"Ready for {step.policy.text}: all {len(because)} conditions are met."
    missing = [one for one in because if not one.met]
    more = f" {len(missing) - 1} more conditions are not met." if len(missing) > 2 else ""
    more = " One more condition is not met." if len(missing) == 2 else more
    return f"Stay at {force.policy.text}. Not yet ready for {step.policy.text}: {missing[0].message}{more}"


def _plan(steps: tuple[DomainPolicy, ...]) -> tuple[PlanStep, ...]:
    states = ("in_force", "next")
    return tuple(PlanStep(one, states[place] if place < 2 else "later") for place, one in enumerate(steps))

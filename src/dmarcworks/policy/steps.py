"""The staged plan of a policy: none, quarantine, reject, then subdomains, then names that do not exist. Pure."""

from __future__ import annotations

from dataclasses import replace

from dmarcworks.policy.tags import LEVELS, DomainPolicy

__all__ = ["next_step", "plan", "strictest"]


def next_step(policy: DomainPolicy, *, subdomain_mail: bool) -> DomainPolicy | None:
    """The policy after this one; None when nothing is left to do.

    A step changes one thing. Where subdomains send mail, p is raised without them, and they follow at the end.
    """
    if policy.p == "none":
        policy = replace(policy, t=False, pct=100)
    if policy.t:
        return replace(policy, t=False)
    if policy.pct < 100:
        return replace(policy, pct=100)
    if policy.p != "reject":
        return _raised(policy, subdomain_mail)
    if policy.subdomains != "reject":
        return _plain(replace(policy, sp=_above(policy.subdomains)))
    if policy.nonexistent != "reject":
        return _plain(replace(policy, np="reject"))
    return None


def plan(policy: DomainPolicy, *, subdomain_mail: bool) -> tuple[DomainPolicy, ...]:
    """This policy and every step after it."""
    steps = [policy]
    while (following := next_step(steps[-1], subdomain_mail=subdomain_mail)) is not None:
        steps.append(following)
    return tuple(steps)


def strictest(policy: DomainPolicy) -> str:
    """The strictest level that the policy applies to any mail."""
    requested = (policy.p, policy.subdomains, policy.nonexistent)
    return max((policy.applied(one) for one in requested), key=LEVELS.index)


def _raised(policy: DomainPolicy, subdomain_mail: bool) -> DomainPolicy:
    p = _above(policy.p)
    if subdomain_mail:
        return _plain(replace(policy, p=p, sp=policy.subdomains))
    sp = max(policy.subdomains, p, key=LEVELS.index)
    np = max(policy.nonexistent, sp, key=LEVELS.index)
    return _plain(replace(policy, p=p, sp=sp, np=np))


def _plain(policy: DomainPolicy) -> DomainPolicy:
    """The same policy without the tags that only repeat their defaults."""
    nonexistent, subdomains = policy.nonexistent, policy.subdomains
    return replace(
        policy,
        sp=subdomains if subdomains != policy.p else None,
        np=nonexistent if nonexistent != subdomains else None,
    )


def _above(level: str) -> str:
    return LEVELS[LEVELS.index(level) + 1]

"""Which domain a file or mail is for: the one that was named, or the one that its reports are about. Pure.

In: a member and the domains that reports are accepted for. Out: parcels, each for one domain (the member as it came,
or an attachment of it when its reports are for several), and what is left out with its reason. Nothing is dropped
silently.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from dmarcworks.catalogue.accounts import Domain
from dmarcworks.reports.bounds import Bounds
from dmarcworks.reports.model import Item
from dmarcworks.reports.sniff import like_mail
from dmarcworks.reports.summary import summary
from dmarcworks.sources.files import SourceFile, read

__all__ = ["Left", "Parcel", "Sorted", "sort"]

_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Parcel:
    """Bytes for a domain; `id` is the same whenever the same bytes come for the same domain."""

    path: str
    domain: Domain
    data: bytes
    name: str

    @property
    def id(self) -> str:
        """The id of the mail that it becomes: 32 hex digits."""
        return hashlib.sha256(self.domain.id.encode() + b"\n" + self.data).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Left:
    """What was skipped, and why; `domain` when it is about an unknown one."""

    path: str
    reason: str
    detail: str
    domain: str = ""


@dataclass(frozen=True, slots=True)
class Sorted:
    """A member's parcels, and what was skipped of it."""

    parcels: tuple[Parcel, ...]
    left: tuple[Left, ...]


def sort(member: SourceFile, domains: Mapping[str, Domain], bounds: Bounds, only: Domain | None = None) -> Sorted:
    """The member's parcels; with `only` all of it is for that domain, whatever its content."""
    name = "" if like_mail(member.data) else os.path.basename(member.path)
    if member.error:
        return Sorted((), (Left(member.path, "unreadable_file", member.error),))
    if only is not None:
        return Sorted((Parcel(member.path, only, member.data, name),), ())
    reading = read(member, bounds)
    placed: list[tuple[Item, Domain]] = []
    left: dict[Left, None] = {}
    for item in reading.items:
        about = summary(item.report, received=_EPOCH, digest=item.digest).domains
        owner = _known(about, domains)
        if owner is not None:
            placed.append((item, owner))
        elif about:
            text = f"It is about {about[0]}, which is no domain of yours."
            left[Left(member.path, "unknown_domain", text, about[0])] = None
        else:
            left[Left(member.path, "no_domain", "It names no domain; name one with --domain.")] = None
    if placed and not left and len({domain.id for _, domain in placed}) == 1:
        return Sorted((Parcel(member.path, placed[0][1], member.data, name),), ())
    parcels: dict[str, Parcel] = {}
    for item, domain in placed:
        parcel = Parcel(member.path, domain, item.part.content, item.part.name)
        parcels[parcel.id] = parcel
    problems = [Left(member.path, problem.reason, problem.detail) for problem in reading.problems]
    return Sorted(tuple(parcels.values()), (*left, *problems))


def _known(about: tuple[str, ...], domains: Mapping[str, Domain]) -> Domain | None:
    """The nearest of our domains that all of them are equal to or below."""
    for name in _above(about[0]) if about else ():
        if name in domains and all(other == name or other.endswith(f".{name}") for other in about):
            return domains[name]
    return None


def _above(name: str) -> list[str]:
    labels = name.rstrip(".").lower().split(".")[:128]
    return [".".join(labels[start:]) for start in range(len(labels))]

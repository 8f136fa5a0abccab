"""A DMARC policy as tags: read from text such as "p=reject,sp=none", with the defaults of RFC 9989. Pure.

`p` applies to mail of the domain itself, `sp` to existing subdomains (default: p), `np` to subdomains that do not exist
(default: sp). `t=y` lowers each by one level (RFC 9989 §4.7). `pct` is the share of failing mail that the policy
applies to; RFC 9989 dropped it, RFC 7489 §6.6.4 defines it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from dmarcworks.errors import UsageError

__all__ = ["LEVELS", "DomainPolicy", "parse_policy"]

# From the weakest to the strictest.
LEVELS = ("none", "quarantine", "reject")
_LOWERED = {"none": "none", "quarantine": "none", "reject": "quarantine"}
_MODES = ("r", "s")
_VALUES = {"p": LEVELS, "sp": LEVELS, "np": LEVELS, "adkim": _MODES, "aspf": _MODES, "t": ("y", "n")}
_TAGS = (*_VALUES, "pct")
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class DomainPolicy:
    """A policy of a domain. `sp` and `np` None: their defaults. `adkim` and `aspf` None: as each report found them."""

    p: str = "none"
    sp: str | None = None
    np: str | None = None
    adkim: str | None = None
    aspf: str | None = None
    t: bool = False
    pct: int = 100

    @property
    def subdomains(self) -> str:
        """What the record requests for existing subdomains."""
        return self.sp or self.p

    @property
    def nonexistent(self) -> str:
        """What the record requests for subdomains that do not exist."""
        return self.np or self.subdomains

    def applied(self, requested: str) -> str:
        """A requested level as receivers apply it: with t=y one level lower."""
        return _LOWERED[requested] if self.t else requested

    @property
    def text(self) -> str:
        """The tags as `parse_policy` reads them, those with a value of their own."""
        tags = [f"p={self.p}"]
        tags += [f"{name}={value}" for name in ("sp", "np", "adkim", "aspf") if (value := getattr(self, name))]
        tags += ["t=y"] if self.t else []
        tags += [f"pct={self.pct}"] if self.pct != 100 else []
        return ",".join(tags)

    @property
    def tags(self) -> dict[str, str | int | None]:
        """Every tag with its default filled in; adkim and aspf are None where each report's own mode is kept."""
        return {
            "p": self.p,
            "sp": self.subdomains,
            "np": self.nonexistent,
            "adkim": self.adkim,
            "aspf": self.aspf,
            "t": "y" if self.t else "n",
            "pct": self.pct,
        }


def parse_policy(text: str) -> DomainPolicy:
    """The policy of a text: tags separated by commas or semicolons, p among them; `UsageError` names what is wrong."""
    tags: dict[str, str] = {}
    for piece in re.split(r"[,;]", text[:1_000]):
        name, equals, value = (part.strip().lower() for part in piece.partition("="))
        if not name and not equals:
            continue
        if name not in _TAGS:
            raise UsageError(f"there is no policy tag {name[:_SHOWN]!r} to replay; the tags are {', '.join(_TAGS)}")
        if name in tags:
            raise UsageError(f"the tag {name} is given twice; give it once")
        tags[name] = value
        if name in _VALUES and value not in _VALUES[name]:
            words = _VALUES[name]
            raise UsageError(f"{name} must be {', '.join(words[:-1])} or {words[-1]}, not {value[:_SHOWN]!r}")
    if "p" not in tags:
        raise UsageError("the policy has no tag p; write it like p=reject,sp=none")
    return _policy(tags)


def _policy(tags: Mapping[str, str]) -> DomainPolicy:
    share = tags.get("pct", "100")
    if not (share.isascii() and share.isdigit() and len(share) < 4 and int(share) <= 100):
        raise UsageError(f"pct must be a whole number from 0 to 100, not {share[:_SHOWN]!r}")
    return DomainPolicy(
        p=tags["p"],
        sp=tags.get("sp"),
        np=tags.get("np"),
        adkim=tags.get("adkim"),
        aspf=tags.get("aspf"),
        t=tags.get("t") == "y",
        pct=int(share),
    )

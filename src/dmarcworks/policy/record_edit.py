"""Change the policy of a DMARC record: p, sp, np, t and pct as wanted, every other character as it was. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dmarcworks.errors import UsageError
from dmarcworks.policy.dns_records.dmarc_record import dmarc_record
from dmarcworks.policy.tags import DomainPolicy

__all__ = ["policy_of_record", "with_policy"]

_NAME = re.compile(r"[ \t]*([A-Za-z]+)[ \t]*=[ \t]*")


@dataclass(frozen=True, slots=True)
class _TagPlace:
    """Where the value of a tag is, without the white space around it."""

    start: int
    end: int


def with_policy(record: str, policy: DomainPolicy) -> str:
    """The record with the policy; `UsageError` for a text that receivers do not recognise or in which p has no place.

    A tag that is there keeps its place and gets its value; one that is not there is added only if it is needed.
    """
    if dmarc_record(record) is None:
        raise UsageError("the text is not a DMARC record; it must begin with v=DMARC1 and a semicolon")
    wanted = {
        **{"p": policy.p, "sp": policy.subdomains, "np": policy.nonexistent},
        **{"t": "y" if policy.t else "n", "pct": str(policy.pct)},
    }
    defaults = {"p": "", "sp": policy.p, "np": policy.subdomains, "t": "n", "pct": "100"}
    after = "v"
    for name, value in wanted.items():
        places = _places(record)
        if name in places:
            record = _replaced(record, places[name], value)
        elif value != defaults[name]:
            record = _inserted(record, places[after], f"; {name}={value}")
        else:
            continue
        after = name if name in ("p", "sp", "np") else after
    return record


def policy_of_record(record: str) -> DomainPolicy | None:
    """The policy that a record requests; None for a text that is no record or that has a faulty policy."""
    parsed = dmarc_record(record)
    if parsed is None or parsed.faulty_policy:
        return None
    p = parsed.policy("p") or "none"
    sp = parsed.policy("sp") or p
    np = parsed.policy("np") or sp
    share = parsed.values.get("pct", "100").strip()
    valid = share.isascii() and share.isdigit() and len(share) < 4 and int(share) <= 100
    return DomainPolicy(
        p=p,
        sp=sp if sp != p else None,
        np=np if np != sp else None,
        adkim="s" if parsed.choice("adkim") == "s" else None,
        aspf="s" if parsed.choice("aspf") == "s" else None,
        t=parsed.testing,
        pct=int(share) if valid else 100,
    )


def _places(record: str) -> dict[str, _TagPlace]:
    """The first place of each tag."""
    places: dict[str, _TagPlace] = {}
    position = 0
    for part in record.split(";"):
        match = _NAME.match(part)
        if match is not None:
            end = len(part.rstrip(" \t"))
            places.setdefault(match[1].lower(), _TagPlace(position + min(match.end(), end), position + end))
        position += len(part) + 1
    return places


def _replaced(record: str, place: _TagPlace, value: str) -> str:
    # The same value in another case is left as it is written.
    old = record[place.start : place.end]
    return record if old.lower() == value else record[: place.start] + value + record[place.end :]


def _inserted(record: str, place: _TagPlace, text: str) -> str:
    return record[: place.end] + text + record[place.end :]

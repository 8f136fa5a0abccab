"""The XML schemas of aggregate reports as tables: RFC 7489 Appendix C (with np of RFC 9091) and RFC 9990 Appendix A.

An element's kind is the name of a group or of a check in `lint_aggregate.py`; "enum:a|b" is one of these words. How bad
an absence is: "error" where figures or their owner are lost with it, "warning" where every reader copes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Child:
    """How often an element may stand, its kind (a group or a check), and how bad its absence is."""

    kind: str
    least: int = 1
    most: int = 1
    absent: str = "error"


@dataclass(frozen=True, slots=True)
class Group:
    """The child elements allowed in an element, their order, and whether elements of other namespaces are allowed."""

    children: Mapping[str, Child]
    ordered: bool = True
    open: bool = False


def _enum(*words: str) -> str:
    return "enum:" + "|".join(words)


_OPTIONAL = 0
_MANY = 1_000_000_000
_ACTION = _enum("none", "quarantine", "reject")
_ALIGNMENT = _enum("r", "s")
_TEXT = Child("text", _OPTIONAL)
_DKIM_RESULT = _enum("none", "pass", "fail", "policy", "neutral", "temperror", "permerror")
_SPF_RESULT = _enum("none", "neutral", "pass", "fail", "softfail", "temperror", "permerror")
_DATES = Group({"begin": Child("time"), "end": Child("time")}, ordered=False)
_ROW = Group({"source_ip": Child("ip"), "count": Child("count"), "policy_evaluated": Child("policy_evaluated")})

RFC_7489: Mapping[str, Group] = {
    "feedback": Group(
        {
            "version": Child("decimal", absent="warning"),
            "report_metadata": Child("report_metadata"),
            "policy_published": Child("policy_published"),
            "record": Child("record", 1, _MANY),
        }
    ),
    "report_metadata": Group(
        {
            "org_name": Child("filled"),
            "email": Child("filled"),
            "extra_contact_info": _TEXT,
            "report_id": Child("report_id"),
            "date_range": Child("date_range"),
            "error": Child("text", 0, _MANY),
        }
    ),
    "date_range": _DATES,
    "policy_published": Group(
        {
            "domain": Child("filled"),
            "adkim": Child(_ALIGNMENT, 0),
            "aspf": Child(_ALIGNMENT, 0),
            "p": Child(_ACTION),
            "sp": Child(_ACTION, absent="warning"),
            # RFC 9091 §4.
            "np": Child(_ACTION, 0),
            "pct": Child("percent", absent="warning"),
            "fo": Child("text", absent="warning"),
        },
        ordered=False,
    ),
    "record": Group({"row": Child("row"), "identifiers": Child("identifiers"), "auth_results": Child("auth_results")}),
    "row": Group(_ROW.children, ordered=False),
    "policy_evaluated": Group(
        {
            "disposition": Child(_ACTION),
            "dkim": Child(_enum("pass", "fail")),
            "spf": Child(_enum("pass", "fail")),
            "reason": Child("reason", 0, _MANY),
        }
    ),
    "reason": Group(
        {
            "type": Child(
                _enum("forwarded", "sampled_out", "trusted_forwarder", "mailing_list", "local_policy", "other")
            ),
            "comment": _TEXT,
        },
        ordered=False,
    ),
    "identifiers": Group(
        {
            "envelope_to": _TEXT,
            "envelope_from": Child("text", absent="warning"),
            "header_from": Child("filled"),
        },
        ordered=False,
    ),
    "auth_results": Group(
        {"dkim": Child("dkim", 0, _MANY), "spf": Child("spf", 1, _MANY, "warning")},
    ),
    "dkim": Group(
        {"domain": Child("filled"), "selector": _TEXT, "result": Child(_DKIM_RESULT), "human_result": _TEXT},
        ordered=False,
    ),
    "spf": Group(
        {
            "domain": Child("filled"),
            "scope": Child(_enum("helo", "mfrom"), absent="warning"),
            "result": Child(_SPF_RESULT),
        },
        ordered=False,
    ),
}
RFC_9990: Mapping[str, Group] = {
    **RFC_7489,
    "feedback": Group(
        {
            "version": Child("one", 0),
            "report_metadata": Child("report_metadata"),
            "policy_published": Child("policy_published"),
            "extension": Child("extension", 0),
            "record": Child("record", 1, _MANY),
        }
    ),
    "extension": Group({}, open=True),
    "report_metadata": Group(
        {**RFC_7489["report_metadata"].children, "generator": _TEXT},
        ordered=False,
    ),
    "policy_published": Group(
        {
            "domain": Child("filled"),
            "discovery_method": Child(_enum("psl", "treewalk"), 0),
            "p": Child(_ACTION),
            "sp": Child(_ACTION, 0),
            "np": Child(_ACTION, 0),
            "fo": _TEXT,
            "adkim": Child(_ALIGNMENT, 0),
            "aspf": Child(_ALIGNMENT, 0),
            "testing": Child(_enum("y", "n"), 0),
        },
        ordered=False,
    ),
    "record": Group(RFC_7489["record"].children, open=True),
    "row": _ROW,
    "policy_evaluated": Group(
        {
            **RFC_7489["policy_evaluated"].children,
            "disposition": Child(_enum("none", "pass", "quarantine", "reject")),
        }
    ),
    "reason": Group(
        {
            "type": Child(_enum("local_policy", "mailing_list", "other", "policy_test_mode", "trusted_forwarder")),
            "comment": _TEXT,
        },
        ordered=False,
    ),
    "identifiers": Group({"header_from": Child("filled"), "envelope_from": _TEXT, "envelope_to": _TEXT}, ordered=False),
    "auth_results": Group({"dkim": Child("dkim", 0, _MANY), "spf": Child("spf", 0)}),
    "dkim": Group(
        {
            "domain": Child("filled"),
            "selector": Child("filled"),
            "result": Child(_DKIM_RESULT),
            "human_result": _TEXT,
        },
        ordered=False,
    ),
    "spf": Group(
        {
            "domain": Child("filled"),
            "scope": Child(_enum("mfrom"), 0),
            "result": Child(_SPF_RESULT),
            "human_result": _TEXT,
        },
        ordered=False,
    ),
}

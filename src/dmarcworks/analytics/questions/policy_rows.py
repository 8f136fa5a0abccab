"""The report rows as a policy sees them: subqueries with the columns of a row's case, and what a policy does to it."""

# ruff: noqa: S608 - the pieces put together here are our own constants; values are bound as {name:Type}
from __future__ import annotations

from dmarcworks.analytics.questions.sender_rows import SenderRows, name_of

__all__ = ["BY_NAMES", "CASE", "CASE_KEY", "case_rows", "levelled_rows"]

_OWN_RECORD = "endsWith(policy_name, concat('.', domain))"
_PLACE = (
    f"multiIf({_OWN_RECORD}, 'other_record', author_name = domain, 'domain',"
    " endsWith(author_name, concat('.', domain)), 'subdomain', 'outside')"
)
# The HELO name counts only where a report states no result for the return path, as for a bounce (RFC 7208 §2.4).
_SPF_NAMES = (
    "arrayMap(x -> x.2, arrayFilter(x -> x.1 = 0 OR NOT arrayExists(s -> ifNull(s.scope != 'helo', 1), spf),"
    " envelopes))"
)


def _open(mode: str, evaluated: str, published: str) -> tuple[str, str]:
    """Whether the result is a pass already, and whether the names that passed decide it."""
    changed = f"({{{mode}:String}} != '' AND {{{mode}:String}} != if({published} = 's', 's', 'r'))"
    strict = f"{{{mode}:String}} = 's'"
    return f"({evaluated} AND NOT ({changed} AND {strict}))", f"({changed} AND {evaluated} = ({strict}))"


_DKIM_PASS, _DKIM_OPEN = _open("adkim", "ifNull(dkim_aligned = 'pass', 0)", "lowerUTF8(ifNull(toString(adkim), ''))")
_SPF_PASS, _SPF_OPEN = _open("aspf", "ifNull(spf_aligned = 'pass', 0)", "lowerUTF8(ifNull(toString(aspf), ''))")
CASE = "case_place, case_existing, author_name, case_dkim_domains, case_spf_domains"
CASE_KEY = (
    "hex(sipHash128(case_place, case_existing, author_name, toString(case_dkim_domains), toString(case_spf_domains)))"
)
BY_NAMES = "notEmpty(case_dkim_domains) OR notEmpty(case_spf_domains)"


def case_rows(rows: SenderRows) -> str:
    """The sender's rows with the columns of their case."""
    inner = (
        f"(SELECT *, {name_of('policy_domain')} AS policy_name,"
        f" if(ifNull(toString(header_from), '') = '', policy_name, {name_of('header_from')}) AS author_name,"
        f" {_PLACE} AS case_place,"
        f" case_place IN ('domain', 'subdomain') AND NOT {_DKIM_PASS} AND NOT {_SPF_PASS} AS may_fail,"
        f" if(may_fail AND {_DKIM_OPEN}, arraySort(arrayDistinct(arrayMap(x -> x.1, signed))), [])"
        " AS case_dkim_domains,"
        f" if(may_fail AND {_SPF_OPEN}, arraySort(arrayDistinct({_SPF_NAMES})), []) AS case_spf_domains"
        f" FROM {rows.select})"
    )
    header = name_of("header_from")
    # A name of which a message passed is in use; no report states whether a name exists.
    existing = f"SELECT {header} FROM dmarc_reports WHERE {rows.scope.where} AND dmarc = 'pass' AND count > 0"
    return (
        f"(SELECT *, toUInt8(case_place = 'subdomain' AND author_name IN ({existing})) AS case_existing FROM {inner})"
    )


def levelled_rows(rows: SenderRows) -> str:
    """The rows with what the policy does to them."""
    return (
        "(SELECT key.1 AS basis, key.2 AS value, day, source_ip, count, reasons, disposition, case_place,"
        " multiIf(NOT may_fail, 'pass',"
        f" {BY_NAMES}, transform({CASE_KEY}, {{keys:Array(String)}}, {{levels:Array(String)}}, 'undecided'),"
        " case_place = 'domain', {on_domain:String}, case_existing, {on_existing:String}, {on_nonexistent:String})"
        " AS level,"
        " case_place = 'subdomain' AND NOT case_existing AND level NOT IN ('pass', 'undecided') AS candidate"
        f" FROM {case_rows(rows)})"
    )

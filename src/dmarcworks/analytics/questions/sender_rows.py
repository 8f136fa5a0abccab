"""The report rows with the key of their sender: the subquery that every question about senders reads.

The key needs no enrichment: where no name, PTR or network is stored, the evidence of the reports alone decides. The
names that an account gives to its own systems come before the stored ones and take effect at once.
"""

# ruff: noqa: S608 - the pieces put together here are our own constants; values are bound as {name:Type}
from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from dmarcworks.analytics.questions.scope import Domains, Scope
from dmarcworks.analytics.sender_key import OWN_KIND, SECOND_LEVEL, VALUE_CHARACTERS, SenderKey

__all__ = ["OwnRule", "SenderRows", "name_of"]

_ANY = "[a-z0-9_-]+"
_SECOND = ",".join(f"'{label}'" for label in sorted(SECOND_LEVEL))


def name_of(expression: str) -> str:
    """A domain of strangers in the one form in which it is compared."""
    cut = f"substringUTF8(lowerUTF8(ifNull(toString({expression}), '')), 1, {VALUE_CHARACTERS})"
    return f"trim(TRAILING '.' FROM {cut})"


_SIGNED = (
    f"arraySort(arrayFilter(x -> x.1 != '', arrayMap(s -> ({name_of('s.domain')}, {name_of('s.selector')}),"
    " arrayFilter(s -> ifNull(s.result = 'pass', 0), dkim))))"
)
# A signature of the domain or of one below it is its own; one of a domain above it when the reporter found it aligned.
_IS_OWN = (
    "(x.1 = domain OR endsWith(x.1, concat('.', domain))"
    " OR (ifNull(dkim_aligned = 'pass', 0) AND endsWith(domain, concat('.', x.1))))"
)
_ENVELOPES = (
    f"arraySort(arrayFilter(x -> x.2 != '', arrayMap(s -> (ifNull(s.scope = 'helo', 0), {name_of('s.domain')}),"
    " arrayFilter(s -> ifNull(s.result = 'pass', 0), spf))))"
)
_REGISTRABLE = (
    "arrayStringConcat(arraySlice(ptr_labels, -if(length(ptr_labels) > 2 AND length(ptr_labels[-1]) = 2"
    f" AND ptr_labels[-2] IN ({_SECOND}), 3, 2)), '.')"
)
_BLOCK = (
    "multiIf(isIPv4String(source_ip), toString(tupleElement(IPv4CIDRToRange(toIPv4OrDefault(source_ip), 24), 1)),"
    " isIPv6String(source_ip), toString(tupleElement(IPv6CIDRToRange(toIPv6OrDefault(source_ip), 64), 1)),"
    f" substringUTF8(source_ip, 1, {VALUE_CHARACTERS}))"
)
_EVIDENCE = (
    "multiIf(other_signer.1 != '', ('dkim', other_signer.1),"
    " own_signer.1 != '', ('self', concat(own_signer.2, '._domainkey.', own_signer.1)),"
    " envelope_domain != '', ('envelope', envelope_domain), registrable != '', ('ptr', registrable),"
    f" network != '', ('network', network), ('block', {_BLOCK}))"
)
_COLUMNS = (
    "source_ip, count, day, dmarc, dkim_aligned, spf_aligned, disposition, org_name, record_index, reasons, dkim, spf,"
    " domain, header_from, envelope_from, country, as_name, asn, ptr, ptr_confirmed, ip_data,"
    " policy_domain, adkim, aspf"
)


@dataclass(frozen=True, slots=True)
class OwnRule:
    """Evidence by which the account names a system of its own. `evidence` is block, dkim, envelope or ptr.

    `value` is a block in CIDR form or a domain, which matches the names below it too; `selector`, with `*` for one
    character or more, only for dkim.
    """

    name: str
    evidence: str
    value: str
    selector: str = ""


@dataclass(frozen=True, slots=True)
class SenderRows:
    """A scope with the account's own rules: `select` is the subquery, `parameters` are its values."""

    scope: Scope
    own: tuple[OwnRule, ...] = ()

    @classmethod
    def of(
        cls, account_id: str, domains: Domains, first: date | None, last: date | None, own: Sequence[OwnRule] = ()
    ) -> SenderRows:
        """The rows of an account, of some domains, over some days."""
        return cls(Scope.of(account_id, domains, first, last), tuple(sorted(own, key=_strength)))

    @property
    def parameters(self) -> dict[str, Any]:
        """What the subquery binds."""
        values: dict[str, Any] = dict(self.scope.parameters)
        for number, rule in enumerate(self.own):
            values |= {f"own{number}_name": rule.name, f"own{number}_value": rule.value}
            if rule.selector:
                values[f"own{number}_selector"] = f"^{_ANY.join(map(re.escape, rule.selector.split('*')))}$"
        return values

    @property
    def select(self) -> str:
        """The rows with `key` and `evidence` (basis and value each), and what the questions group and sum."""
        pieces = [
            _COLUMNS,
            f"{_SIGNED} AS signed",
            f"arrayFirst(x -> NOT {_IS_OWN}, signed) AS other_signer",
            f"arrayFirst(x -> {_IS_OWN}, signed) AS own_signer",
            f"{_ENVELOPES} AS envelopes",
            "tupleElement(envelopes[1], 2) AS envelope_domain",
            f"if(ifNull(ptr_confirmed, 0) = 1, {name_of('ptr')}, '') AS host",
            "splitByChar('.', host) AS ptr_labels",
            f"if(host = '', '', {_REGISTRABLE}) AS registrable",
            f"substringUTF8(ifNull(toString(as_name), ''), 1, {VALUE_CHARACTERS}) AS owner",
            "multiIf(owner != '', owner, ifNull(asn, 0) != 0, concat('AS', toString(asn)), '') AS network",
            f"{self._own_name} AS own_name",
            # The account's own names are those of now; a stored one may have been removed since.
            f"if(ifNull(toString(sender_kind), '') = '{OWN_KIND}', '',"
            f" substringUTF8(ifNull(toString(sender), ''), 1, {VALUE_CHARACTERS})) AS stored_name",
            "if(own_name != '', own_name, stored_name) AS named",
            f"multiIf(own_name != '', '{OWN_KIND}', named != '', ifNull(toString(sender_kind), ''), '') AS kind_",
            "multiIf(own_name != '', 1, named != '', ifNull(sender_confidence, 0), 0) AS confidence_",
            f"{_EVIDENCE} AS evidence",
            "if(named != '', ('name', named), evidence) AS key",
        ]
        return f"(SELECT {', '.join(pieces)} FROM dmarc_reports WHERE {self.scope.where})"

    def of_sender(self, key: SenderKey) -> tuple[str, dict[str, Any]]:
        """The rows of one sender as FROM and WHERE, with their values."""
        where = f"{self.select} WHERE key.1 = {{key_basis:String}} AND key.2 = {{key_value:String}}"
        return where, self.parameters | {"key_basis": str(key.basis), "key_value": key.value}

    @property
    def _own_name(self) -> str:
        cases = [f"{_matches(number, rule)}, {{own{number}_name:String}}" for number, rule in enumerate(self.own)]
        return f"multiIf({', '.join(cases)}, '')" if cases else "''"


def _strength(rule: OwnRule) -> tuple[int, int, str]:
    """The order in which rules are tried: signatures first, then return paths, blocks and hosts; the nearer first."""
    place = ("dkim", "envelope", "block", "ptr").index(rule.evidence)
    if rule.evidence == "block":
        network = ipaddress.ip_network(rule.value, strict=False)
        return place, network.max_prefixlen - network.prefixlen, rule.name
    return (place if not rule.selector else -1), -len(rule.value), rule.name


def _matches(number: int, rule: OwnRule) -> str:
    value = f"{{own{number}_value:String}}"
    if rule.evidence == "block":
        valid = "(isIPv4String(source_ip) OR isIPv6String(source_ip))"
        return f"({valid} AND isIPAddressInRange(if({valid}, source_ip, '::'), {value}))"
    if rule.evidence == "dkim":
        chosen = f" AND match(x.2, {{own{number}_selector:String}})" if rule.selector else ""
        return f"arrayExists(x -> {_below('x.1', value)}{chosen}, signed)"
    if rule.evidence == "envelope":
        return f"arrayExists(x -> {_below('x.2', value)}, envelopes)"
    return _below("host", value)


def _below(name: str, value: str) -> str:
    return f"({name} = {value} OR endsWith({name}, concat('.', {value})))"

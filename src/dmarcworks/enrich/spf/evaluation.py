"""`check_host()` of RFC 7208 section 4 as a generator: it yields the queries it needs and is sent the answers.

Pure, and bounded by the RFC's own limits: at most 10 terms cause queries, each for at most 11 names, and records over
`RECORD_BYTES` are an error.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dmarcworks.enrich.spf.client import is_query_name
from dmarcworks.enrich.spf.macros import MacroError, expand, expand_name, parse_macros
from dmarcworks.enrich.spf.model import (
    MAX_ADDRESS_NAMES,
    Needed,
    SpfClient,
    SpfEvaluation,
    SpfResultCode,
    SpfSteps,
)
from dmarcworks.enrich.spf.record import SpfMechanism, SpfModifier, SpfRecord, is_spf_record, parse_record
from dmarcworks.enrich.spf.state import EvaluationState, Steps, StopError, shifted

__all__ = ["RECORD_BYTES", "check_host"]

RECORD_BYTES = 16_384
_EXPLANATION = 1_000


@dataclass(frozen=True, slots=True)
class _Ended:
    """What a record gave: the result, the way to the mechanism that matched, and where `exp=` is."""

    result: SpfResultCode
    matched: tuple[tuple[str, str], ...] = ()
    domain: str = ""
    exp: SpfModifier | None = None


def check_host(client: SpfClient, *, explain: bool = True) -> SpfSteps:
    """Evaluate the client's domain. Without `explain` the text of `exp=` is not queried.

    Drive it with `next()` for the first query and `send()` for each answer; `StopIteration.value` is the result.
    """
    return _Evaluation(client).run(explain)


class _Evaluation:
    """The records and mechanisms of one evaluation."""

    def __init__(self, client: SpfClient) -> None:
        self._client = client
        self._state = EvaluationState(client)

    def run(self, explain: bool) -> SpfSteps:
        """The whole evaluation."""
        if not self._client.domain:
            return self._outcome(SpfResultCode.none, "the sender has no domain name with at least two labels")
        try:
            ended: _Ended = yield from self._host(self._client.domain)
            if ended.result is SpfResultCode.none:
                return self._outcome(SpfResultCode.none, f"{self._client.domain} has no SPF record")
        except StopError as stop:
            self._state.note(f"The result is {stop.result}: {stop.problem}.")
            return self._outcome(stop.result, stop.problem)
        self._state.note(f"The result is {ended.result}.")
        text = ""
        if explain and ended.exp is not None and ended.result is SpfResultCode.fail:
            text = yield from self._explanation(ended.domain, ended.exp)
        return self._outcome(ended.result, "", ended, text)

    def _outcome(
        self, result: SpfResultCode, problem: str, ended: _Ended | None = None, explanation: str = ""
    ) -> SpfEvaluation:
        matched = ended.matched if ended is not None else ()
        domain, mechanism = matched[0] if matched else ("", "")
        trace = tuple(self._state.trace)
        return SpfEvaluation(
            result, mechanism, domain, matched, explanation, self._state.lookups, self._state.voids, problem, trace
        )

    # Records and their terms

    def _host(self, domain: str) -> Steps:
        """The result of a domain's record; `none` without one; raises `StopError` for temperror and permerror."""
        record: SpfRecord | None = yield from self._record(domain)
        if record is None:
            return _Ended(SpfResultCode.none)
        for mechanism in record.mechanisms:
            inner = yield from self._matches(domain, mechanism)
            if inner is not None:
                matched = ((domain, mechanism.text), *inner)
                return _Ended(mechanism.result, matched, domain, record.modifier("exp"))
        redirect = record.modifier("redirect")
        if redirect is None:
            self._state.note(f"{domain}: no mechanism matches and there is no redirect, so the result is neutral.")
            return _Ended(SpfResultCode.neutral)
        self._state.count(domain, redirect.text)
        values = yield from self._state.values(domain, redirect.value)
        name = expand_name(redirect.value, values)
        self._state.note(f"{domain}: no mechanism matches; {redirect.text} leads to {name!r}.")
        redirected: _Ended = yield from self._host(name)
        if redirected.result is SpfResultCode.none:
            raise StopError(SpfResultCode.permerror, f"{redirect.text} in {domain} leads to a name without SPF record")
        return redirected

    def _record(self, domain: str) -> Steps:
        if not is_query_name(domain):
            self._state.note(f"{domain[:100]!r} is not a name that DNS can have.")
            return None
        texts = yield from self._state.query(domain, "TXT")
        selected = [text for text in texts if is_spf_record(text)]
        if not selected:
            self._state.note(f"{domain} has no SPF record.")
            return None
        if len(selected) > 1:
            raise StopError(SpfResultCode.permerror, f"{domain} has {len(selected)} SPF records; only one is allowed")
        if len(selected[0]) > RECORD_BYTES:
            raise StopError(SpfResultCode.permerror, f"the SPF record of {domain} has more than {RECORD_BYTES} bytes")
        record = parse_record(selected[0])
        self._state.note(f"{domain} has the record {record.text[:500]!r}.")
        if record.faults:
            fault = record.faults[0]
            raise StopError(
                SpfResultCode.permerror,
                f"the SPF record of {domain} has a syntax error in {fault.text[:100]!r}: {fault.problem}",
            )
        return record

    def _matches(self, domain: str, mechanism: SpfMechanism) -> Steps:
        """None when it does not match, else the way through an include, empty for the others."""
        if mechanism.name == "all":
            self._state.note(f"{domain}: {mechanism.text} matches everything.")
            return ()
        if mechanism.network is not None:
            client = self._client.ip
            inside = client.version == mechanism.network.version and client in mechanism.network
            if self._state.noting:
                self._state.note(f"{domain}: {mechanism.text} {_verb(inside)} {client}.")
            return () if inside else None
        self._state.count(domain, mechanism.text)
        name = domain
        if mechanism.target:
            values = yield from self._state.values(domain, mechanism.target)
            name = expand_name(mechanism.target, values)
        if mechanism.name == "include":
            return (yield from self._include(domain, mechanism, name))
        if not is_query_name(name):
            self._state.note(
                f"{domain}: {mechanism.text} does not match: {name[:100]!r} is not a name that DNS can have."
            )
            return None
        matched: str = yield from self._by_query(mechanism, name)
        self._state.note(f"{domain}: {mechanism.text} {matched or f'does not match {self._client.ip}'}.")
        return () if matched else None

    def _by_query(self, mechanism: SpfMechanism, name: str) -> Steps:
        """How it matches, in words; "" when it does not."""
        return {"a": self._a, "mx": self._mx, "exists": self._exists, "ptr": self._ptr}[mechanism.name](mechanism, name)

    def _include(self, domain: str, mechanism: SpfMechanism, name: str) -> Steps:
        self._state.note(f"{domain}: {mechanism.text} leads to {name!r}.")
        ended: _Ended = yield from self._host(name)
        if ended.result is SpfResultCode.none:
            raise StopError(SpfResultCode.permerror, f"{mechanism.text} in {domain} leads to a name without SPF record")
        matched = ended.result is SpfResultCode.passed
        self._state.note(f"{domain}: {mechanism.text} {_verb(matched)}, since {name} gives {ended.result}.")
        return ended.matched if matched else None

    def _a(self, mechanism: SpfMechanism, name: str) -> Steps:
        addresses = yield from self._state.addresses(name)
        address = self._inside(mechanism, addresses)
        return f"matches the address {address} of {name}" if address else ""

    def _mx(self, mechanism: SpfMechanism, name: str) -> Steps:
        records = yield from self._state.counted(name, "MX")
        if len(records) > MAX_ADDRESS_NAMES:
            problem = f"{mechanism.text} leads to {len(records)} mail hosts; the limit is {MAX_ADDRESS_NAMES}"
            raise StopError(SpfResultCode.permerror, problem)
        for _, exchange in sorted(records):
            host = exchange.removesuffix(".")
            # The null MX (RFC 7505) has no host.
            if not is_query_name(host):
                continue
            addresses = yield from self._state.addresses(host)
            if address := self._inside(mechanism, addresses):
                return f"matches the address {address} of the mail host {host}"
        return ""

    def _exists(self, mechanism: SpfMechanism, name: str) -> Steps:
        records = yield from self._state.counted(name, "A")
        return f"matches, since {name} exists" if records else ""

    def _ptr(self, mechanism: SpfMechanism, name: str) -> Steps:
        hosts = yield from self._state.validated()
        ending = "." + name.lower()
        for host in hosts:
            if f".{host}".endswith(ending):
                return f"matches the host name {host}"
        return ""

    def _inside(self, mechanism: SpfMechanism, addresses: Iterable[str]) -> str:
        """The first address whose network, by the mechanism's prefix length, has the client in it; "" for none."""
        ip = self._client.ip
        prefix = mechanism.prefix4 if ip.version == 4 else mechanism.prefix6
        shift = ip.max_prefixlen - prefix
        return next((text for text in addresses if shifted(text, ip, shift) == int(ip) >> shift), "")

    def _explanation(self, domain: str, modifier: SpfModifier) -> Steps:
        """The text of `exp=` (section 6.2); "" for anything that is wrong with it."""
        values = yield from self._state.values(domain, modifier.value, counts=False)
        name = expand_name(modifier.value, values)
        records = (yield Needed(name.lower(), "TXT")) if is_query_name(name) else None
        if records is None or len(records) != 1:
            self._state.note(f"{domain}: {modifier.text} is ignored, since {name!r} does not have one TXT record.")
            return ""
        try:
            parts = parse_macros(records[0].decode("ascii"), spaces=True)
        except (MacroError, UnicodeDecodeError):
            self._state.note(f"{domain}: {modifier.text} is ignored, since its text has a syntax error.")
            return ""
        values = yield from self._state.values(domain, parts, counts=False)
        text = expand(parts, values, _EXPLANATION)
        return text if text.isascii() and text.isprintable() else ""


def _verb(matched: bool) -> str:
    return "matches" if matched else "does not match"

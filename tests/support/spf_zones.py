"""SPF records of test domains, good and broken in one way each: the zone, the findings' codes and the look-ups."""

# ruff: noqa: E501
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from dmarcworks.enrich.resolver import NoAnswerError

__all__ = ["RECORDS", "SPF_DOMAINS", "MemoryResolver", "SpfDomain"]

Records = Mapping[tuple[str, str], Sequence[Any]]


@dataclass
class MemoryResolver:
    """Answers from a dictionary; a name in `silent` gets no answer. `queries` are in their order."""

    records: Records
    silent: frozenset[str] = frozenset()
    queries: list[tuple[str, str]] = field(default_factory=list)

    async def __call__(self, name: str, kind: str, deadline: float) -> list[Any]:
        self.queries.append((name, kind))
        if name in self.silent:
            raise NoAnswerError(f"DNS gave no answer about {name}")
        values = self.records.get((name, kind), ())
        return [value.encode() if kind == "TXT" and isinstance(value, str) else value for value in values]

    async def alive(self) -> bool:
        return True


@dataclass(frozen=True)
class SpfDomain:
    """What d.example publishes (`texts`), what else there is, and what a check must report: `codes` in any order."""

    name: str
    texts: tuple[str, ...]
    codes: tuple[str, ...]
    lookups: int = 0
    voids: int = 0
    fix: str = ""
    more: Mapping[tuple[str, str], Sequence[Any]] = field(default_factory=dict)
    silent: frozenset[str] = frozenset()


def _records(**names: str) -> dict[tuple[str, str], list[Any]]:
    """TXT records, with _ for the dot."""
    return {(name.replace("_", "."), "TXT"): [text] for name, text in names.items()}


_OUT = {
    ("out.d.example", "A"): ["192.0.2.1"],
    ("d.example", "A"): ["192.0.2.2"],
    ("d.example", "MX"): [(1, "mx.d.example")],
}
_MX = {("mx.d.example", "A"): ["192.0.2.3"]}
_HOST = {**_OUT, **_MX}
_CHAIN = _records(**{f"n{number}_example": f"v=spf1 include:n{number + 1}.example -all" for number in range(12)})


def _slip(name: str, record: str, fix: str, *, lookups: int = 0, count: int = 1) -> SpfDomain:
    more = {**_HOST, **_records(b_example="v=spf1 ip4:192.0.2.0/24 -all")}
    return SpfDomain(name, (record,), ("spf-syntax",) * count, lookups, fix=fix, more=more)


SPF_DOMAINS = (
    # Good ones
    SpfDomain("ip4 and -all", ("v=spf1 ip4:192.0.2.0/24 -all",), ("spf-valid",)),
    SpfDomain("upper case", ("V=SPF1 IP4:192.0.2.0/24 A:OUT.D.EXAMPLE -ALL",), ("spf-valid",), 1, more=_HOST),
    SpfDomain("a and mx", ("v=spf1 a mx a:out.d.example ~all",), ("spf-valid",), 3, more=_HOST),
    SpfDomain("parked", ("v=spf1 -all",), ("spf-sends-no-mail",)),
    SpfDomain("other TXT records", ("verification=x", "v=spf1 -all", "spf is good"), ("spf-sends-no-mail",)),
    SpfDomain("include", ("v=spf1 include:b.example -all",), ("spf-valid",), 1, more=_records(b_example="v=spf1 ip4:192.0.2.1 -all")),
    SpfDomain("redirect", ("v=spf1 redirect=b.example",), ("spf-valid",), 1, more=_records(b_example="v=spf1 ip4:192.0.2.1 -all")),
    SpfDomain("trailing dot", ("v=spf1 include:b.example. -all",), ("spf-valid",), 1, more=_records(b_example="v=spf1 ip4:192.0.2.1 -all")),
    SpfDomain("eleven look-ups after all", ("v=spf1 ip4:192.0.2.1 -all" + " a" * 11,), ("spf-valid", "spf-after-all", "spf-duplicate")),
    # No record, or several
    SpfDomain("nothing", (), ("spf-no-record",)),
    SpfDomain("silent", (), ("spf-no-answer",), silent=frozenset({"d.example"})),
    SpfDomain("two records", ("v=spf1 mx -all", "v=spf1 include:b.example ~all"), ("spf-several-records",), fix="v=spf1 mx include:b.example ~all"),
    SpfDomain("comma after the version", ("v=spf1, mx -all",), ("spf-wrong-version",), fix="v=spf1 mx -all"),
    SpfDomain("no space after the version", ("v=spf1include:b.example -all",), ("spf-wrong-version",), fix="v=spf1 include:b.example -all"),
    SpfDomain("version mistyped", ("v=sfp1 mx -all",), ("spf-wrong-version",), fix="v=spf1 mx -all"),
    SpfDomain("quoted twice", ('"v=spf1 mx -all"',), ("spf-wrong-version",), fix="v=spf1 mx -all"),
    SpfDomain("blank before", (" v=spf1 mx -all",), ("spf-wrong-version",), fix="v=spf1 mx -all"),
    SpfDomain("version 2", ("v=spf2 mx -all",), ("spf-wrong-version",), fix="v=spf1 mx -all"),
    SpfDomain("Sender ID only", ("spf2.0/pra mx -all",), ("spf-no-record",)),
    SpfDomain("a second, wrong record", ("v=spf1 -all", "v=spf1;mx -all"), ("spf-sends-no-mail", "spf-ignored-record"), fix="Remove this TXT record."),
    SpfDomain("type 99", ("v=spf1 -all",), ("spf-sends-no-mail", "spf-obsolete-type"), more={("d.example", "SPF"): ['"v=spf1 -all"']}),
    # Syntax
    _slip("ipv4", "v=spf1 ipv4:192.0.2.1 -all", "v=spf1 ip4:192.0.2.1 -all"),
    _slip("ip", "v=spf1 ip:192.0.2.1 -all", "v=spf1 ip4:192.0.2.1 -all"),
    _slip("bare address", "v=spf1 192.0.2.1 -all", "v=spf1 ip4:192.0.2.1 -all"),
    _slip("ip4 with IPv6", "v=spf1 ip4:2001:db8::1 -all", "v=spf1 ip6:2001:db8::1 -all"),
    _slip("ip6 with IPv4", "v=spf1 ip6:192.0.2.1 -all", "v=spf1 ip4:192.0.2.1 -all"),
    _slip("ip4 with a port", "v=spf1 ip4:192.0.2.1:25 -all", "v=spf1 ip4:192.0.2.1 -all"),
    _slip("ip4 with a name", "v=spf1 ip4:out.d.example -all", "v=spf1 a:out.d.example -all"),
    _slip("a with an address", "v=spf1 a:192.0.2.1 -all", "v=spf1 ip4:192.0.2.1 -all"),
    _slip("short address", "v=spf1 ip4:192.0.2 -all", "Remove or correct ip4:192.0.2."),
    _slip("prefix too long", "v=spf1 ip4:192.0.2.0/33 -all", "Remove or correct ip4:192.0.2.0/33."),
    _slip("comma", "v=spf1 ip4:192.0.2.1,ip4:192.0.2.2 -all", "v=spf1 ip4:192.0.2.1 ip4:192.0.2.2 -all"),
    _slip("trailing semicolon", "v=spf1 mx -all;", "v=spf1 mx -all", lookups=1),
    _slip("missing space", "v=spf1 ip4:192.0.2.1include:b.example -all", "v=spf1 ip4:192.0.2.1 include:b.example -all"),
    _slip("missing space before all", "v=spf1 ip4:192.0.2.1~all", "v=spf1 ip4:192.0.2.1 ~all"),
    _slip("space after the colon", "v=spf1 include: b.example -all", "v=spf1 include:b.example -all", count=2),
    _slip("space after the sign", "v=spf1 mx ~ all", "v=spf1 mx ~all", lookups=1),
    _slip("include mistyped", "v=spf1 inlcude:b.example -all", "v=spf1 include:b.example -all"),
    _slip("include with a link", "v=spf1 include:https://b.example/ -all", "v=spf1 include:b.example -all"),
    _slip("include without a name", "v=spf1 include -all", "Remove or correct include."),
    _slip("include with a prefix", "v=spf1 include:b.example/24 -all", "v=spf1 include:b.example -all"),
    _slip("redirect with a colon", "v=spf1 redirect:b.example", "v=spf1 redirect=b.example"),
    _slip("empty mx", "v=spf1 mx: -all", "v=spf1 mx -all"),
    _slip("long dash", "v=spf1 mx —all", "v=spf1 mx -all", lookups=1),
    _slip("curly quotation marks", "v=spf1 include:“b.example” -all", "v=spf1 include:b.example -all"),
    _slip("name in another script", "v=spf1 include:bücher.example -all", "v=spf1 include:xn--bcher-kva.example -all"),
    _slip("line break", "v=spf1 mx\r\n-all", "v=spf1 mx -all"),
    _slip("all with a dot", "v=spf1 mx -all.", "v=spf1 mx -all", lookups=1),
    _slip("two signs", "v=spf1 mx --all", "v=spf1 mx -all", lookups=1),
    _slip("version twice", "v=spf1 mx v=spf1 -all:x", "v=spf1 mx -all", lookups=1),
    _slip("unknown mechanism", "v=spf1 foo -all", "Remove or correct foo."),
    _slip("single label", "v=spf1 a:localhost -all", "Remove or correct a:localhost."),
    _slip("wrong macro", "v=spf1 exists:%{x}.d.example -all", "Remove or correct exists:%{x}.d.example."),
    _slip("two redirects", "v=spf1 redirect=b.example redirect=b.example", "Remove or correct redirect=b.example.", lookups=1),
    SpfDomain("include with an equals sign", ("v=spf1 include=b.example -all",), ("spf-mistaken-modifier",), fix="v=spf1 include:b.example -all"),
    SpfDomain("unknown modifier", ("v=spf1 ip4:192.0.2.1 x=y -all",), ("spf-valid", "spf-unknown-modifier"), fix="v=spf1 ip4:192.0.2.1 -all"),
    # Limits
    SpfDomain("eleven look-ups", ("v=spf1 " + "a " * 11 + "-all",), ("spf-too-many-lookups", "spf-duplicate"), 11, more=_HOST),
    SpfDomain("ten look-ups", ("v=spf1 " + " ".join(f"a:h{n}.d.example" for n in range(10)) + " -all",), ("spf-valid", "spf-near-lookup-limit"), 10, more={(f"h{n}.d.example", "A"): ["192.0.2.1"] for n in range(10)}),
    SpfDomain("eight look-ups", ("v=spf1 " + " ".join(f"a:h{n}.d.example" for n in range(8)) + " -all",), ("spf-valid",), 8, more={(f"h{n}.d.example", "A"): ["192.0.2.1"] for n in range(8)}),
    SpfDomain("deep chain", ("v=spf1 include:n0.example -all",), ("spf-too-many-lookups", "spf-include-no-record"), 13, 1, more=_CHAIN),
    SpfDomain("one void look-up", ("v=spf1 a:x.d.example -all",), ("spf-valid", "spf-unresolved"), 1, 1, fix="Replace a:x.d.example by terms for the servers that send mail, such as ip4:."),
    SpfDomain("one void look-up of two terms", ("v=spf1 ip4:192.0.2.1 a:x.d.example -all",), ("spf-valid", "spf-unresolved"), 1, 1, fix="v=spf1 ip4:192.0.2.1 -all"),
    SpfDomain("three void look-ups", ("v=spf1 a:x.d.example mx:y.d.example exists:z.d.example -all",), ("spf-too-many-void-lookups", "spf-unresolved", "spf-unresolved", "spf-unresolved", "spf-exists"), 3, 3),
    SpfDomain("eleven mail hosts", ("v=spf1 mx -all",), ("spf-mx-hosts",), 1, more={("d.example", "MX"): [(n, f"m{n}.d.example") for n in range(11)]}),
    SpfDomain("mail host without address", ("v=spf1 mx -all",), ("spf-valid", "spf-mail-host"), 1, 1, fix="Give the mail host an address, or remove it from the MX records.", more={("d.example", "MX"): [(1, "m.d.example")]}),
    SpfDomain("null MX", ("v=spf1 mx -all",), ("spf-valid",), 1, more={("d.example", "MX"): [(0, "")]}),
    # What it leads to
    SpfDomain("loop", ("v=spf1 mx include:d.example -all",), ("spf-loop",), 2, fix="v=spf1 mx -all", more=_HOST),
    SpfDomain("circle of two", ("v=spf1 include:b.example -all",), ("spf-loop",), 2, fix="Report it to the operator of b.example, or remove the include that leads there.", more=_records(b_example="v=spf1 include:d.example -all")),
    SpfDomain("redirect to itself", ("v=spf1 redirect=d.example",), ("spf-loop", ), 1),
    SpfDomain("include without record", ("v=spf1 ip4:192.0.2.1 include:b.example -all",), ("spf-include-no-record",), 1, 1, fix="v=spf1 ip4:192.0.2.1 -all"),
    SpfDomain("include glued to all", ("v=spf1 include:b.example-all",), ("spf-include-no-record", "spf-no-all"), 1, 1, fix="v=spf1 include:b.example -all"),
    SpfDomain("redirect without record", ("v=spf1 redirect=b.example",), ("spf-redirect-no-record",), 1, more={("b.example", "TXT"): ["x"]}),
    SpfDomain("include with a syntax error", ("v=spf1 include:b.example -all",), ("spf-include-broken",), 1, more=_records(b_example="v=spf1 x")),
    SpfDomain("include with two records", ("v=spf1 include:b.example -all",), ("spf-include-broken",), 1, more={("b.example", "TXT"): ["v=spf1 -all", "v=spf1 mx"]}),
    SpfDomain("redirect with a syntax error", ("v=spf1 redirect=b.example",), ("spf-syntax",), 1, fix="v=spf1 ip4:192.0.2.1 -all", more=_records(b_example="v=spf1 ipv4:192.0.2.1 -all")),
    SpfDomain("include that is silent", ("v=spf1 include:b.example -all",), ("spf-valid", "spf-include-no-answer"), 1, silent=frozenset({"b.example"})),
    SpfDomain("include that passes all", ("v=spf1 include:b.example -all",), ("spf-include-passes-all",), 1, more=_records(b_example="v=spf1 +all")),
    SpfDomain("include of the whole Internet", ("v=spf1 include:b.example -all",), ("spf-include-passes-all",), 1, fix="Replace include:b.example by terms for the servers that send mail, such as ip4:.", more=_records(b_example="v=spf1 ip4:0.0.0.0/0 -all")),
    SpfDomain("include of a broken include", ("v=spf1 include:b.example -all",), ("spf-include-no-record",), 2, 1, fix="Report it to the operator of b.example, or remove the include that leads there.", more=_records(b_example="v=spf1 include:c.example -all")),
    SpfDomain("invalid name", ("v=spf1 a:b..example -all",), ("spf-valid", "spf-invalid-name"), 1),
    # The terms
    SpfDomain("+all", ("v=spf1 +all",), ("spf-pass-all",), fix="Name the servers that send mail, then end with ~all."),
    SpfDomain("all", ("v=spf1 ip4:192.0.2.1 all",), ("spf-pass-all",), fix="v=spf1 ip4:192.0.2.1 ~all"),
    SpfDomain("?all", ("v=spf1 ip4:192.0.2.1 ?all",), ("spf-valid", "spf-neutral-all"), fix="v=spf1 ip4:192.0.2.1 -all"),
    SpfDomain("no all", ("v=spf1 ip4:192.0.2.1",), ("spf-valid", "spf-no-all"), fix="v=spf1 ip4:192.0.2.1 -all"),
    SpfDomain("redirect to a record without all", ("v=spf1 redirect=b.example",), ("spf-valid", "spf-no-all"), 1, fix="v=spf1 ip4:192.0.2.1 -all", more=_records(b_example="v=spf1 ip4:192.0.2.1")),
    SpfDomain("terms after all", ("v=spf1 -all include:b.example",), ("spf-valid", "spf-after-all"), fix="v=spf1 include:b.example -all"),
    SpfDomain("redirect and all", ("v=spf1 ip4:192.0.2.1 redirect=b.example -all",), ("spf-valid", "spf-redirect-ignored"), fix="v=spf1 ip4:192.0.2.1 -all"),
    SpfDomain("ptr", ("v=spf1 ptr -all",), ("spf-valid", "spf-ptr"), 1, fix="Replace ptr by the addresses that send mail, with ip4: and ip6:."),
    SpfDomain("macro", ("v=spf1 include:%{i}.b.example -all",), ("spf-valid", "spf-macro"), 1),
    SpfDomain("macro of the domain", ("v=spf1 include:%{d}.b.example -all",), ("spf-valid", "spf-macro"), 1, more=_records(d_example_b_example="v=spf1 -all")),
    SpfDomain("exists", ("v=spf1 exists:%{i}.b.example -all",), ("spf-valid", "spf-macro", "spf-exists"), 1),
    SpfDomain("whole Internet", ("v=spf1 ip4:0.0.0.0/0 -all",), ("spf-whole-internet",), fix="Replace ip4:0.0.0.0/0 by the addresses that send mail, with ip4: and ip6:."),
    SpfDomain("two halves of the Internet", ("v=spf1 ip4:0.0.0.0/1 ip4:128.0.0.0/1 -all",), ("spf-valid", "spf-large-range", "spf-large-range")),
    SpfDomain("a/0", ("v=spf1 a/0 -all",), ("spf-whole-internet",), 1, more=_HOST),
    SpfDomain("/8", ("v=spf1 ip4:11.0.0.0/8 -all",), ("spf-valid", "spf-large-range")),
    SpfDomain("private address", ("v=spf1 ip4:192.168.1.1 ip4:192.0.2.1 -all",), ("spf-valid", "spf-private-address"), fix="v=spf1 ip4:192.0.2.1 -all"),
    SpfDomain("private IPv6 address", ("v=spf1 ip6:fd00::1 -all",), ("spf-valid", "spf-private-address")),
    SpfDomain("duplicate", ("v=spf1 ip4:192.0.2.1 IP4:192.0.2.1 -all",), ("spf-valid", "spf-duplicate"), fix="v=spf1 ip4:192.0.2.1 -all"),
    SpfDomain("long record", ("v=spf1 " + " ".join(f"ip4:192.0.2.{n}" for n in range(40)) + " -all",), ("spf-valid", "spf-long-record")),
    SpfDomain("large answer", ("v=spf1 -all", "x" * 500), ("spf-sends-no-mail", "spf-large-answer")),
    SpfDomain("explanation", ("v=spf1 ip4:192.0.2.1 -all exp=e.d.example",), ("spf-valid",), more=_records(e_d_example="Ask %{o}.")),
    SpfDomain("explanation missing", ("v=spf1 ip4:192.0.2.1 -all exp=e.d.example",), ("spf-valid", "spf-explanation")),
)  # fmt: skip

_NAMES = st.sampled_from(["a.example", "b.example", "c.example", "%{d}", "%{i}.b.example", "%{p}", "%{l}.x", "", "x"])
_CIDR = st.sampled_from(["", "", "/0", "/24", "//64", "/24//64", "/33", "/"])
_MECHANISMS = st.builds(
    lambda sign, name, target, cidr: f"{sign}{name}{':' + target if target else ''}{cidr}",
    st.sampled_from(["", "+", "-", "~", "?"]),
    st.sampled_from(["include", "a", "mx", "ptr", "exists", "all", "ip4", "INCLUDE"]),
    _NAMES,
    _CIDR,
)
_MODIFIERS = st.builds(
    lambda name, target: f"{name}={target}", st.sampled_from(["redirect", "exp", "unknown", "include"]), _NAMES
)
_TERMS = st.one_of(_MECHANISMS, _MECHANISMS, _MODIFIERS, st.text(max_size=12))
RECORDS = st.one_of(
    st.lists(_TERMS, max_size=14).map(lambda terms: " ".join(["v=spf1", *terms]).encode("utf-8", "surrogatepass")),
    st.binary(max_size=60),
    st.binary(max_size=60).map(lambda text: b"v=spf1 " + text),
)
"""Records as strangers publish them: right, wrong, and no text at all."""

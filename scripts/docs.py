"""Write docs/settings.md, docs/graphql-fields.md and docs/dns-checks.md. Run: python scripts/docs.py"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from dmarcworks.api.graphql.model import Node
from dmarcworks.api.graphql.schema import NODES
from dmarcworks.policy.dns_records.all_codes import ALL_CODES
from dmarcworks.policy.dns_records.finding import RecordCheck
from dmarcworks.process.settings_table import describe
from dmarcworks.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "settings.md"
FIELDS = TARGET.with_name("graphql-fields.md")
CHECKS = TARGET.with_name("dns-checks.md")


def table() -> str:
    """The page: a row per setting with its default, bounds and meaning."""
    lines = [
        "# Settings",
        "",
        "The environment takes precedence over the TOML file that `DMARCWORKS_CONFIG` names; the default comes last.",
        "A variable with the suffix `_FILE` names a file that contains the value. `dmarcworks settings` prints the",
        "values in effect and their sources. A name in double brackets is a table, which only the TOML file can hold,",
        "once for each.",
        "",
        "| variable | default | bounds | meaning |",
        "|---|---|---|---|",
    ]
    for row in describe(Settings.model_validate({}), {}):
        limits = Settings.model_fields[row.name].metadata
        bounds = [f"{sign} {value:,}" for limit in limits for sign, value in _limits(limit)]
        lines.append(f"| `{row.variable}` | {row.default or '–'} | {', '.join(bounds) or '–'} | {row.help} |")
    return "\n".join(lines) + "\n"


def _limits(limit: object) -> list[tuple[str, float]]:
    names = (("ge", "≥"), ("gt", ">"), ("le", "≤"))
    return [(sign, getattr(limit, name)) for name, sign in names if getattr(limit, name, None) is not None]


def fields() -> str:
    """The GraphQL page's other half: a table per node."""
    lines = ["# GraphQL fields", "", "The fields of each node of [the GraphQL API](graphql.md)."]
    for node in NODES.values():
        under = "accounts" if node.accounts_only else "zones and accounts"
        lines += ["", f"## {node.name}", "", f"{node.meaning[:1].upper()}{node.meaning[1:]}. Under {under}.", ""]
        lines += ["| field | kind | meaning |", "|---|---|---|", *_fields(node)]
        known = {field.name for field in node.fields if not field.measure}
        if besides := [f"`{field.name}`" for field in node.filters if field.name not in known]:
            lines += ["", f"Further filters: {', '.join(besides)}."]
    return "\n".join(lines) + "\n"


def _fields(node: Node) -> list[str]:
    return [
        f"| `{'.'.join(filter(None, (one.section, one.name)))}` | {one.kind} | {one.meaning} |" for one in node.fields
    ]


CHECKS_HEAD = """# Checks of DNS records

`dmarcworks check DOMAIN` looks up the DNS records of a domain that concern mail, and explains what it finds. It needs
no server, store or settings.

    dmarcworks check example.com
    dmarcworks check example.com --selector s1 --selector s2      the DKIM keys of two selectors too
    dmarcworks check example.com --spf-ip 192.0.2.1               evaluate SPF for mail from an address
    dmarcworks check example.com --resolver 192.0.2.53:53         query this name server only
    dmarcworks check example.com --json                           for programs
    dmarcworks check --jsonl < requests.jsonl                     many domains, one object per line

Exit status: 0 no error, 1 an error was found, 2 wrong usage, 3 DNS did not answer about the DMARC, SPF or MX records.
A document (MTA-STS policy, BIMI logo) is fetched from public addresses only, over HTTPS with a valid certificate,
without redirects, up to 64 kB and 10 seconds. With `--resolver` on this machine it may be on this machine too.

A running server makes the same checks [by schedule](operating.md#scheduled-checks-of-dns-records) and keeps the
results.

The text of RFC 9989 that the checks follow is draft-ietf-dmarc-dmarcbis-41, its last draft; sections are numbered as
there. An error means that a record does not do what it is for, or that mail is at risk; a warning, that it works but
will surprise; a notice needs no change.

`dmarcworks domain record example.com --policy quarantine --rua reports@example.com` builds a record that has none of
these faults and explains each choice; `--tls-rpt`, `--mta-sts testing --mx mx.example.com` and `--parked` build the
others. It needs no server either.

`…` in a meaning is the value in question. Codes are stable.
"""


def checks() -> str:
    """The page of the checks: every code, then the domains that the tests publish with what is found there."""
    sys.path.insert(0, str(ROOT))
    from tests.support.dns_cases import CASES
    from tests.support.spf_zones import SPF_DOMAINS

    lines = [CHECKS_HEAD]
    for check in RecordCheck:
        lines += [f"## {check}", "", "| code | severity | meaning | reference |", "|---|---|---|---|"]
        for row in ALL_CODES.values():
            if row.check is check:
                meaning = re.sub(r"\{\w+\}", "…", row.message).replace("|", "\\|")
                lines.append(f"| `{row.code}` | {row.severity} | {meaning} | {row.reference or '–'} |")
        lines.append("")
    lines += [
        "## Test domains",
        "",
        "The tests publish these domains on a DNS server of their own. Each is a good domain except for its one case.",
        "",
        "| check | domain | case | found |",
        "|---|---|---|---|",
    ]
    for case in CASES:
        found = ", ".join(f"`{case.check}-{code}`" for code in sorted(case.codes)) or "–"
        lines.append(f"| {case.check} | {case.domain} | {case.meaning} | {found} |")
    lines += ["", "SPF records that the tests publish at d.example:", "", "| case | records | found |", "|---|---|---|"]
    for domain in SPF_DOMAINS:
        shown = "<br>".join(f"`{_cell(record)}`" for record in domain.texts) or "–"
        lines.append(f"| {domain.name} | {shown} | {', '.join(f'`{code}`' for code in sorted(set(domain.codes)))} |")
    return "\n".join(lines) + "\n"


def _cell(text: str | bytes) -> str:
    """A record in a table: one line, shortened."""
    plain = text.decode("latin-1") if isinstance(text, bytes) else text
    one_line = "".join(character if character.isprintable() else "?" for character in plain).replace("|", "\\|")
    return one_line if len(one_line) < 100 else f"{one_line[:99]}…"


if __name__ == "__main__":
    CHECKS.write_text(checks())
    TARGET.write_text(table())
    FIELDS.write_text(fields())

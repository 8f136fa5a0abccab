"""`dmarcworks domain record`: build the records to publish from choices; needs no server, store or settings."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

import typer

from dmarcworks.cli.common import print_json
from dmarcworks.errors import UsageError
from dmarcworks.policy.record_builder import (
    BuiltRecord,
    DmarcChoices,
    RecordPolicy,
    StsMode,
    dmarc_to_publish,
    mta_sts_to_publish,
    parked_to_publish,
    tls_rpt_to_publish,
)

__all__ = ["record"]


def record(
    domain: str = typer.Argument(help="The domain to build records for.", show_default=False),
    policy: RecordPolicy = typer.Option(RecordPolicy.none, "--policy", help="The DMARC policy."),
    subdomains: RecordPolicy | None = typer.Option(None, "--subdomains", help="Another policy for subdomains (sp)."),
    nonexistent: RecordPolicy | None = typer.Option(
        None, "--nonexistent", help="Another policy for names that do not exist (np)."
    ),
    rua: list[str] = typer.Option([], "--rua", metavar="ADDRESS", help="Where reports are sent. Repeat for more."),
    ruf: list[str] = typer.Option([], "--ruf", metavar="ADDRESS", help="Where failure reports are sent."),
    strict_dkim: bool = typer.Option(False, "--strict-dkim", help="Require exact DKIM domains (adkim=s)."),
    strict_spf: bool = typer.Option(False, "--strict-spf", help="Require exact SPF domains (aspf=s)."),
    testing: bool = typer.Option(False, "--testing", help="Request the policy one step weaker (t=y)."),
    tls_rpt: bool = typer.Option(False, "--tls-rpt", help="Build the TLS-RPT record instead."),
    mta_sts: StsMode | None = typer.Option(None, "--mta-sts", help="Build the MTA-STS record and policy instead."),
    mx: list[str] = typer.Option([], "--mx", metavar="HOST", help="A mail server of the domain, for --mta-sts."),
    parked: bool = typer.Option(False, "--parked", help="Build the records of a domain without mail instead."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON for machines."),
) -> None:
    """Build DMARC, TLS-RPT, MTA-STS or parked-domain records; every choice is explained."""
    if sum((tls_rpt, mta_sts is not None, parked)) > 1:
        raise UsageError("--tls-rpt, --mta-sts and --parked are different records; give one of them")
    if parked:
        built = parked_to_publish(domain, rua)
    elif tls_rpt:
        built = [tls_rpt_to_publish(domain, rua)]
    elif mta_sts is not None:
        built = [mta_sts_to_publish(domain, mta_sts, mx, f"{datetime.now(UTC):%Y%m%d%H%M%S}")]
    else:
        choices = DmarcChoices(
            policy, subdomains, nonexistent, tuple(rua), tuple(ruf), strict_dkim, strict_spf, testing
        )
        built = [dmarc_to_publish(domain, choices)]
    if as_json:
        print_json([_document(one) for one in built])
        return
    print("\n\n".join(_text(one) for one in built))


def _document(built: BuiltRecord) -> dict[str, object]:
    return {**asdict(built.record), "choices": list(built.choices), "document": built.document}


def _text(built: BuiltRecord) -> str:
    record = built.record
    value = f'"{record.value}"' if record.type == "TXT" else record.value
    lines = [f"{record.name}  {record.type}  {value}", *(f"    {choice}" for choice in built.choices)]
    if built.document:
        lines += ["", *(f"    {line}" for line in built.document.splitlines())]
    return "\n".join(lines)

"""`dmarcworks senders …`: identify who sent a message from evidence, list the catalogue; needs no server or store."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import typer

from dmarcworks.cli import senders_domain, senders_own
from dmarcworks.cli.common import print_json, print_table
from dmarcworks.enrich.senders.base_domains import NO_BASE_DOMAINS, BaseDomains, load_base_domains
from dmarcworks.enrich.senders.evidence import evidence_of_line
from dmarcworks.enrich.senders.identify import SenderIdentifier
from dmarcworks.enrich.senders.load import catalogue, sender_index
from dmarcworks.enrich.senders.model import Evidence, Identification, SenderKind, Signature, kind_words
from dmarcworks.enrich.senders.names import ip_address
from dmarcworks.enrich.senders.reasons import shown
from dmarcworks.errors import UsageError
from dmarcworks.settings import load

app = typer.Typer(
    cls=senders_domain.SendersGroup,
    help="List who sends as a domain, decide what each sender is to you, and identify sending services.",
    no_args_is_help=True,
    add_completion=False,
)
app.command("list")(senders_domain.list_)
app.command("show")(senders_domain.show)
app.command("decide")(senders_domain.decide)
app.command("refresh")(senders_own.refresh)
app.add_typer(senders_own.app, name="own")

# No evidence needs more; a longer line is not valid evidence.
_LINE_BYTES = 1024 * 1024
_JSON = typer.Option(False, "--json", help="Print JSON for machines.")


@app.command()
def identify(
    ip: str | None = typer.Option(None, "--ip", help="The source address."),
    ptr: str | None = typer.Option(None, "--ptr", help="The PTR name of the address."),
    ptr_confirmed: bool = typer.Option(
        False, "--ptr-confirmed", help="The PTR name resolves back to the address; without this, PTR is not evidence."
    ),
    dkim: list[str] = typer.Option(
        [],
        "--dkim",
        metavar="DOMAIN[/SELECTOR][=RESULT]",
        help="A DKIM signature; RESULT is pass by default. Repeat for more.",
    ),
    spf: str | None = typer.Option(
        None, "--spf", metavar="DOMAIN[=RESULT]", help="The envelope domain; RESULT is pass by default."
    ),
    header_from: str | None = typer.Option(None, "--header-from", help="The domain in the From header."),
    as_json: bool = _JSON,
    jsonl: bool = typer.Option(
        False, "--jsonl", help="Read one JSON object per line from standard input; print one answer per line."
    ),
) -> None:
    """Identify who sent a message, from evidence alone. The answer includes its reasons."""
    given = (ip, ptr, spf, header_from, ptr_confirmed or None, dkim or None)
    if jsonl:
        if any(value is not None for value in given):
            raise UsageError("--jsonl reads the evidence from standard input; remove the other options")
        _stream(sys.stdin.buffer)
        return
    if all(value is None for value in given):
        raise UsageError("there is no evidence; give --dkim, --spf, --ptr with --ptr-confirmed, or --ip")
    if ptr_confirmed and ptr is None:
        raise UsageError("--ptr-confirmed needs --ptr; give both")
    if ip is not None and ip_address(ip) is None:
        raise UsageError(f"--ip {shown(ip)} is not an IP address")
    domain, _, spf_result = (spf or "").partition("=")
    answer = _identifier().identify(
        Evidence(
            ip=ip,
            ptr=ptr,
            ptr_confirmed=ptr_confirmed,
            dkim=tuple(_signature(text) for text in dkim),
            spf_domain=domain or None,
            spf_result=spf_result or "pass",
            header_from=header_from,
        )
    )
    print_json(answer._asdict()) if as_json else print(_text(answer))


@app.command("catalogue")
def catalogue_(
    kind: SenderKind | None = typer.Option(None, "--kind", help="Only services of this kind."),
    as_json: bool = _JSON,
) -> None:
    """List the sending services that are identified by name."""
    services = [service for service in catalogue() if kind in (None, service.kind)]
    if as_json:
        print_json(services)
        return
    rows = [(service.name, service.kind, service.home) for service in services]
    print_table(["name", "kind", "home page"], rows, "The catalogue has no service of this kind.")


def _signature(text: str) -> Signature:
    name, equals, result = text.partition("=")
    domain, slash, selector = name.partition("/")
    return Signature(domain, selector if slash else None, result if equals else "pass")


def _stream(lines: BinaryIO) -> None:
    """One answer per line, in the same order; a line that is not evidence gets an answer too, and exit status 2."""
    identify_one = _identifier().identify
    wrong = 0
    for number, line in enumerate(_lines(lines), 1):
        if not line.strip():
            continue
        answer, sentence = _answer(line, number, identify_one)
        if sentence:
            wrong += 1
            print(f"dmarcworks: {sentence}", file=sys.stderr)
        # At once: the program at the other end may wait for it.
        print(json.dumps(answer._asdict(), ensure_ascii=False), flush=True)
    if wrong:
        raise typer.Exit(2)


def _answer(line: bytes, number: int, identify_one: Callable[[Evidence], Identification]) -> tuple[Identification, str]:
    try:
        if len(line) > _LINE_BYTES:
            raise ValueError(f"is longer than {_LINE_BYTES:,} bytes")
        return identify_one(evidence_of_line(line)), ""
    except ValueError as error:
        sentence = f"line {number} {error}"
        return Identification(None, None, 0.0, False, (sentence,)), sentence


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Every line; of one that is too long only its beginning."""
    while line := file.readline(_LINE_BYTES + 1):
        rest = line
        while len(rest) > _LINE_BYTES and not rest.endswith(b"\n"):
            rest = file.readline(_LINE_BYTES + 1)
        yield line


def _identifier() -> SenderIdentifier:
    path = load()[0].sender_file
    return SenderIdentifier(base_domains=_base_domains(Path(path)) if path else NO_BASE_DOMAINS)


def _base_domains(path: Path) -> BaseDomains:
    table = load_base_domains(path)
    if table.skipped:
        rows = "1 row" if table.skipped == 1 else f"{table.skipped:,} rows"
        print(f"dmarcworks: {path}: {rows} left out; {table.reasons[0]}", file=sys.stderr)
    return table


def _text(answer: Identification) -> str:
    """For people: who, how sure, why, and where its set-up is documented."""
    if answer.sender is None:
        return "\n".join(["unknown", *(f"  {reason}" for reason in answer.because)])
    claimed = ", claimed by the sender" if answer.claimed else ""
    lines = [f"{answer.sender} ({kind_words(answer.kind or '')}), confidence {answer.confidence:.2f}{claimed}"]
    lines += [f"  {reason}" for reason in answer.because]
    if (service := sender_index().by_name.get(answer.sender)) is not None:
        lines.append(f"  set-up: {service.setup}")
    return "\n".join(lines)

"""`dmarcworks senders DOMAIN`, `senders show` and `senders decide`: who sends as a domain, and what its owner knows."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import typer
from typer.core import TyperGroup

from dmarcworks.cli.common import print_json, print_table, with_stores
from dmarcworks.enrich.network.credits import credits_of
from dmarcworks.enrich.senders.model import kind_words
from dmarcworks.enrich.shares import percent
from dmarcworks.errors import NotFoundError, UsageError

__all__ = ["SendersGroup", "decide", "list_", "show"]

DECISIONS = ("mine", "not-mine", "forwarder", "ignore", "none")
_ID = re.compile(r"[0-9a-f]{32}")
_JSON = typer.Option(False, "--json", help="Print JSON for machines.")
_DAYS = typer.Option(30, "--days", min=1, max=3660, help="Number of UTC days, up to and including today.")
_DOMAIN = typer.Argument(help="The domain or its id.")
_SENDER = typer.Argument(help="The sender's name or id.", metavar="SENDER")
_CLASSES = {
    "aligned": "yours, aligned",
    "unaligned": "not aligned yet",
    "forwarder": "forwarder",
    "unknown": "unknown",
    "suspicious": "suspicious",
}


class SendersGroup(TyperGroup):
    """A group whose first argument is a command, or else the domain that `list` is about."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `list` before a domain, its id or an option; any other word that is no command is wrong usage."""
        first = args[0] if args else ""
        option = first.startswith("-") and first not in ("-h", "--help")
        if first not in self.commands and (option or "." in first or _ID.fullmatch(first)):
            args = ["list", *args]
        return super().parse_args(ctx, args)


def list_(
    domain: str = _DOMAIN,
    days: int = _DAYS,
    limit: int = typer.Option(1000, "--limit", min=1, max=2000, help="At most this many."),
    as_json: bool = _JSON,
) -> None:
    """List who sends as DOMAIN, those that need your decision first. Also: dmarcworks senders DOMAIN."""
    from dmarcworks.cli.rest import account_of, items, no_reports

    account_id, domain_id = account_of(domain, "")
    rows = items(f"/domains/{domain_id}/senders", account_id, {"days": days}, limit)
    if as_json:
        print_json(rows)
        return
    columns = ["sender", "class", "messages", "DKIM", "SPF", "what to do"]
    shown = [
        (
            row["name"],
            _CLASSES[row["class"]],
            f"{row['messages']:,}",
            percent(row["dkim_aligned"], row["messages"]),
            percent(row["spf_aligned"], row["messages"]),
            _next_step(row),
        )
        for row in rows
    ]
    print_table(columns, shown, "" if shown else no_reports(domain_id, account_id))


def show(domain: str = _DOMAIN, sender: str = _SENDER, days: int = _DAYS, as_json: bool = _JSON) -> None:
    """Show a sender: why it has its name and class, its addresses, selectors, history and fix."""
    _, row = _sender(domain, sender, days)
    if as_json:
        print_json(row)
        return
    print(_plain("\n".join(_lines(row))))
    tables = (
        ("addresses", ("source_ip", "ptr", "network", "country", "messages", "passed")),
        ("selectors", ("domain", "selector", "messages", "valid", "aligned")),
        ("pairs", ("envelope_from", "header_from", "messages", "passed")),
        ("results", ("org_name", "messages", "passed", "quarantined", "rejected")),
        ("days", ("day", "messages", "passed")),
    )
    for name, columns in tables:
        if row[name]:
            print()
            rows = [tuple(one[column] for column in columns) for one in row[name]]
            print_table([column.replace("_", " ") for column in columns], rows, "")
    for credit in credits_of(one["ip_data"] for one in row["addresses"]):
        print(f"\nNetwork and country: {credit.text}, {credit.link}. {credit.licence}")


def decide(
    domain: str = _DOMAIN,
    sender: str = _SENDER,
    decision: str = typer.Argument(
        help="mine, not-mine, forwarder, ignore, or none to withdraw it.", metavar="DECISION"
    ),
    name: str = typer.Option("", "--name", help="Your name for it."),
    note: str = typer.Option("", "--note", help="A note for yourself."),
    days: int = _DAYS,
    as_json: bool = _JSON,
) -> None:
    """Record what you know about a sender. This changes no DNS and authorises no address."""
    from dmarcworks.catalogue.senders import OwnerDecision, SenderDecision

    if decision not in DECISIONS:
        raise UsageError(f"there is no decision {decision[:100]!r}; use one of {', '.join(DECISIONS)}")
    domain_id, row = _sender(domain, sender, days)

    async def work(stores: Any, settings: Any) -> SenderDecision | None:
        owned = await stores.accounts.domain(None, domain_id)
        if owned is None:
            raise NotFoundError(f"there is no domain {domain}")
        if decision == "none":
            if row["decision"] is None:
                raise NotFoundError("there is no decision on this sender")
            await stores.senders.withdraw(owned, row["decision"]["sender"])
            return None
        verdict = OwnerDecision(decision.replace("-", "_"))
        made: SenderDecision = await stores.senders.decide(owned, row["id"], verdict, name=name, note=note)
        return made

    made = with_stores(work)
    if as_json:
        print_json(made)
        return
    what = "the decision is withdrawn" if made is None else f"recorded as {decision.replace('-', ' ')}"
    print(_plain(f"{row['name']}: {what}. This changes no DNS and authorises no address."))


def _sender(domain: str, sender: str, days: int) -> tuple[str, dict[str, Any]]:
    """The domain's id, and the sender in detail."""
    from dmarcworks.cli.rest import account_of, value

    account_id, domain_id = account_of(domain, "")
    try:
        row: dict[str, Any] = value(
            f"/domains/{domain_id}/senders/{quote(sender, safe='')}", account_id, {"days": days}
        )
    except NotFoundError:
        raise NotFoundError(
            f"no sender {sender[:100]} of {domain} in the last {days} days; `dmarcworks senders {domain}` lists them"
        ) from None
    return domain_id, row


def _lines(row: dict[str, Any]) -> list[str]:
    kind = f" ({kind_words(row['kind'])})" if row["kind"] else ""
    lines = [f"{row['name']}{kind}: {_CLASSES[row['class']]}", f"  id: {row['id']}"]
    lines += [f"  {reason}" for reason in row["because"]]
    lines += [f"  name: {reason}" for reason in row["named_because"]]
    if row["decision"]:
        decision = row["decision"]
        note = f"; {decision['note']}" if decision["note"] else ""
        lines.append(f"  your decision: {decision['decision'].replace('_', ' ')}, by {decision['decided_by']}{note}")
    lines.append(
        f"  {row['messages']:,} messages, {row['first_day']} to {row['last_day']}: DKIM aligned"
        f" {percent(row['dkim_aligned'], row['messages'])}, SPF aligned {percent(row['spf_aligned'], row['messages'])}"
    )
    for title in ("dispositions", "reasons"):
        if row[title]:
            counts = ", ".join(f"{word or 'not stated'} {count:,}" for word, count in row[title].items())
            lines.append(f"  {title}: {counts}")
    lines.append(f"  what to do: {_to_do(row)}")
    if row["setup"]:
        lines.append(f"  set-up: {row['setup']}")
    return lines


def _next_step(row: dict[str, Any]) -> str:
    """What to do, in a few words; `senders show` has the fix."""
    if row["needs_decision"]:
        return "fix it, if it is yours" if row["fix"] else "decide whether it is yours"
    return "fix its alignment" if row["fix"] else "nothing"


def _to_do(row: dict[str, Any]) -> str:
    decide = "Decide whether it is yours. " if row["needs_decision"] else ""
    if row["fix"]:
        return f"{decide}{row['fix']}"
    if row["class"] == "suspicious":
        return f"{decide}If it is not yours, your DMARC policy decides about its mail: see `dmarcworks policy`."
    return decide.strip() or "nothing"


def _plain(text: str) -> str:
    """Text of strangers without control characters."""
    return "".join(character if character.isprintable() or character == "\n" else " " for character in text)

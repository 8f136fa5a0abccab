"""The command line: one file per command; parses arguments, calls, prints.

A command's module is imported when the command is called, so that `parse` does not wait for a web server's libraries.
Exit status 0 on success, 1 when something does not exist or a problem was found, 2 for wrong usage.
"""

from __future__ import annotations

import importlib
import keyword
import os
import sys
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from dmarcworks import __version__
from dmarcworks.errors import DmarcworksError, SettingsError, UsageError
from dmarcworks.process import garbage

# Name → its line in the help. A module with an `app` is a group; otherwise a function has the command's name.
COMMANDS = {
    "serve": "Run SMTP, the worker and the dashboard until SIGTERM or Ctrl-C.",
    "status": "Print the state of the system: stores, queue, mail, problems, certificate, disk.",
    "demo": "Run the system in a temporary directory with 90 days of sample reports.",
    "domain": "Manage the domains that receive reports.",
    "route": "Manage mail routing rules: worker, forward, drop or reject.",
    "queue": "Inspect worker queues and requeue failed messages.",
    "token": "Manage API tokens.",
    "user": "Manage the users of the dashboard.",
    "audit": "List changes: who changed what, when and from where.",
    "check": "Check the DNS records of a domain: DMARC, SPF, DKIM, MX, MTA-STS, TLS-RPT, BIMI.",
    "sql": "Run a SQL query.",
    "senders": "List who sends as a domain, decide about senders, and identify sending services.",
    "policy": "Show the next step of a domain's DMARC policy, or replay a policy over stored reports.",
    "evidence": "Write a document for auditors: policy over time, mail at enforcement, senders, changes.",
    "sources": "List the addresses that sent mail in a domain's name.",
    "reports": "List the reports that were received.",
    "problems": "List and resolve problems: mail that could not be parsed or counted.",
    "replay": "Rebuild the figures from the archived reports.",
    "backup": "Copy catalogue and objects into a folder, while the system runs.",
    "restore": "Restore a backup into an empty data directory and rebuild the figures.",
    "retention": "Configure retention periods and delete expired data.",
    "verify": "Compare catalogue, archive and figures, and list every difference.",
    "deliver": "Accept one mail on standard input, for a mail server's pipe.",
    "ipdata": "Show and update the IP data: network and country of addresses.",
    "parse": "Parse reports from files, mails, folders and mailboxes and print them.",
    "mailbox": "Manage the mailboxes that reports are fetched from.",
    "import": "Import files, mails, folders and mailboxes into the running system.",
    "lint": "Check reports against the RFCs and draft a message to their reporters.",
    "settings": "Print every setting with its value, source and meaning.",
}


class _Commands(TyperGroup):
    """The commands by name, each imported when it is called."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # typer types its own click
        return list(COMMANDS)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]
        if cmd_name not in COMMANDS:
            return None
        if cmd_name not in sys.argv[1:]:  # only its line in the help is needed
            return TyperCommand(cmd_name, short_help=COMMANDS[cmd_name])
        # `import` is a word of Python's own: its module and function are `import_`.
        name = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name
        with garbage.importing():
            module = importlib.import_module(f"dmarcworks.cli.{name}")
        group = getattr(module, "app", None)
        if group is None:
            group = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
            group.command(cmd_name, context_settings=_HELP)(getattr(module, name))
        return typer.main.get_command(group)


_HELP = {"help_option_names": ["-h", "--help"]}
app = typer.Typer(
    name="dmarcworks",
    cls=_Commands,
    no_args_is_help=True,
    # The list of commands is plain text: drawing it with rich would take longer than everything else that --help does.
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings=_HELP,
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"dmarcworks {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Self-hosted DMARC report management."""


def main() -> None:
    """Run the command line; errors of our own become one clear line and an exit status."""
    # The library that validates settings would look for plug-ins of its own among all installed packages: a twelfth of
    # the time of a short command.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        app()
    except DmarcworksError as error:
        print(f"dmarcworks: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, UsageError | SettingsError) else 1)
    except SystemExit as end:
        # A mail server expects 64 (sysexits.h) where the command-line library exits with 2.
        sys.exit(64 if end.code == 2 and sys.argv[1:2] == ["deliver"] else end.code)
    except KeyboardInterrupt:
        sys.exit(130)

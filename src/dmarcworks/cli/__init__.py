"""The command line: one file per command; parses arguments, calls, prints.

A command's module is imported when the command is called, so that `parse` does not wait for a web server's libraries.
Exit status 0 when all went well, 1 when what was asked for is not there or a problem was found, 2 for wrong usage.
"""

from __future__ import annotations

import importlib
import keyword
import sys
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from dmarcworks import __version__
from dmarcworks.errors import DmarcworksError, SettingsError, UsageError

# Name → its line in the help. A module with an `app` is a group, else the function has the command's name.
COMMANDS = {
    "serve": "Run SMTP, the reader and the dashboard until SIGTERM or Ctrl-C.",
    "demo": "Run it all on a throw-away home with 90 days of sample reports.",
    "domain": "The domains that reports are taken for.",
    "route": "Where mail for an address goes: to a worker, on to somebody, nowhere.",
    "queue": "What waits in the queues of workers, and what was given up.",
    "token": "Tokens that let a program ask over HTTP.",
    "user": "Who may log in to the dashboard.",
    "audit": "Who changed what, when and from where.",
    "sql": "Ask by SQL.",
    "problems": "What could not be read or counted, and why.",
    "replay": "Rebuild the figures from the archived reports.",
    "backup": "Copy catalogue and objects into a folder, while it runs.",
    "restore": "Bring a backup into this home and make the figures anew.",
    "retention": "How long things are kept, and taking what is older.",
    "verify": "Compare catalogue, archive and figures, and name every difference.",
    "deliver": "Take one mail from standard input, for a mail server's pipe.",
    "parse": "Read reports from files, mails, folders and mailboxes and print what they say.",
    "import": "Read files, mails, folders and mailboxes into the running system.",
    "lint": "Judge reports by their RFCs and write to their reporters.",
    "settings": "Print every setting with its value, source and meaning.",
}


class _Commands(TyperGroup):
    """The commands by name, each imported when it is called."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # typer types its own click
        return list(COMMANDS)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]
        if cmd_name not in COMMANDS:
            return None
        if cmd_name not in sys.argv[1:]:  # only its line in the help is asked for
            return TyperCommand(cmd_name, short_help=COMMANDS[cmd_name])
        # `import` is a word of Python's own: its module and function are `import_`.
        name = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name
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
    """DMARC management that you run yourself: reports in over SMTP, exact figures out."""


def main() -> None:
    """Run the command line; our own errors become one clear line and an exit status."""
    try:
        app()
    except DmarcworksError as error:
        print(f"dmarcworks: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, UsageError | SettingsError) else 1)
    except SystemExit as end:
        # A mail server takes 64 (sysexits.h) for what the command line's library ends with 2.
        sys.exit(64 if end.code == 2 and sys.argv[1:2] == ["deliver"] else end.code)
    except KeyboardInterrupt:
        sys.exit(130)

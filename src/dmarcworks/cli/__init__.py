"""The command line: one file per command; parses arguments, calls, prints.

Exit status 0 when all went well, 1 when what was asked for is not there or a problem was found, 2 for wrong usage.
"""

from __future__ import annotations

import sys

import typer

from dmarcworks import __version__
from dmarcworks.cli import demo, domain, parse, problems, serve, settings, token, user
from dmarcworks.errors import DmarcworksError, SettingsError, UsageError

app = typer.Typer(
    name="dmarcworks",
    help="DMARC management that you run yourself: reports in over SMTP, exact figures out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve")(serve.serve)
app.command("parse")(parse.parse)
app.add_typer(domain.app, name="domain")
app.add_typer(token.app, name="token")
app.add_typer(user.app, name="user")
app.add_typer(problems.app, name="problems")
app.command("settings")(settings.settings)
app.command("demo")(demo.demo)


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
    except KeyboardInterrupt:
        sys.exit(130)

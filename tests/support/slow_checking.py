"""The check of mails, as a child process runs it, with a mail that never ends."""

from __future__ import annotations

from typing import Any

from dmarcworks.enrich.examine import run as examine

TARGET = "tests.support.slow_checking:run"
SPINS = b"spins"


def run(argument: tuple[Any, ...]) -> Any:
    """As `examine.run`; the facts of a mail with the word are never found."""
    while argument[0] == "facts" and SPINS in argument[1]:
        pass
    return examine(argument)

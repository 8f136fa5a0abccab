"""Check the sender catalogue: what cannot be loaded, and entries that contradict each other (part of `make lint`).

Run: python scripts/senders.py

In: src/dmarcworks/enrich/senders/catalogue/*.toml. Out: a line per finding. Exit status 0: nothing was found; 1: there
are findings.
"""

from __future__ import annotations

import sys

from dmarcworks.enrich.senders.lint import lint
from dmarcworks.enrich.senders.load import SenderCatalogueError, sources


def main() -> int:
    """Print the findings."""
    try:
        found = lint(sources())
    except SenderCatalogueError as error:
        found = [str(error)]
    for sentence in found:
        print(sentence)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

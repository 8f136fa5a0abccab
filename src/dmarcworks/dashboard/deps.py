"""What the pages ask and nothing more: the catalogue, the questions, the archive, and who we are."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from dmarcworks.analytics.questions import Questions
from dmarcworks.api.graphql.router import Desk as Graphs
from dmarcworks.api.sql_desk import Desk
from dmarcworks.bindings.contracts import Objects
from dmarcworks.catalogue.accounts import Accounts
from dmarcworks.catalogue.arrivals import Arrivals
from dmarcworks.catalogue.audit import Audit
from dmarcworks.catalogue.mailroom import Mailroom
from dmarcworks.catalogue.problems import Problems
from dmarcworks.catalogue.queries import SavedQueries


@dataclass(frozen=True, slots=True)
class Deps:
    """The pages' collaborators. `public_url` decides whether cookies are Secure; `clock` is unix seconds."""

    accounts: Accounts
    arrivals: Arrivals
    problems: Problems
    questions: Questions
    objects: Objects
    audit: Audit
    desk: Desk
    graphs: Graphs
    saved: SavedQueries
    mailroom: Mailroom
    hostname: str
    public_url: str
    clock: Callable[[], float] = time.time

    def now(self) -> datetime:
        """The moment, in UTC."""
        return datetime.fromtimestamp(self.clock(), UTC)

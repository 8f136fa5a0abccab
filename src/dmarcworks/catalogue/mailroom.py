"""What the catalogue knows of routing, in one hand: the activity log, rules and destinations."""

from __future__ import annotations

from dataclasses import dataclass

from dmarcworks.bindings.contracts import Database
from dmarcworks.catalogue.activity import Activity
from dmarcworks.catalogue.destinations import Destinations
from dmarcworks.catalogue.routes import Routes


@dataclass(frozen=True, slots=True)
class Mailroom:
    """The three on one database."""

    activity: Activity
    routes: Routes
    destinations: Destinations

    @classmethod
    def on(cls, database: Database) -> Mailroom:
        """Their ordinary forms."""
        return cls(Activity(database), Routes(database), Destinations(database))

"""What the catalogue knows of routing, in one hand: the activity log, rules, destinations and mail on its way out."""

from __future__ import annotations

from dataclasses import dataclass

from dmarcworks.bindings.contracts import Database
from dmarcworks.catalogue.activity import Activity
from dmarcworks.catalogue.authenticity import AuthenticityCatalogue
from dmarcworks.catalogue.destinations import Destinations
from dmarcworks.catalogue.outbound import Outbound
from dmarcworks.catalogue.routes import Routes


@dataclass(frozen=True, slots=True)
class RoutingCatalogue:
    """All of it on one database."""

    activity: Activity
    routes: Routes
    destinations: Destinations
    outbound: Outbound
    proofs: AuthenticityCatalogue

    @classmethod
    def on(cls, database: Database) -> RoutingCatalogue:
        """Their ordinary forms."""
        return cls(
            Activity(database),
            Routes(database),
            Destinations(database),
            Outbound(database),
            AuthenticityCatalogue(database),
        )

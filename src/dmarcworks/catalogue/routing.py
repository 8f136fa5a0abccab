"""What the catalogue knows of routing, in one hand: the activity log, rules, destinations and mail on its way out."""

from __future__ import annotations

from dataclasses import dataclass

from dmarcworks.bindings.contracts import Database
from dmarcworks.catalogue.activity import Activity
from dmarcworks.catalogue.authenticity import AuthenticityCatalogue
from dmarcworks.catalogue.destinations import Destinations
from dmarcworks.catalogue.outbound import Outbound
from dmarcworks.catalogue.route_store import Routes
from dmarcworks.catalogue.zones import Zones


@dataclass(frozen=True, slots=True)
class RoutingCatalogue:
    """All of it on one database."""

    activity: Activity
    routes: Routes
    destinations: Destinations
    outbound: Outbound
    proofs: AuthenticityCatalogue

    @classmethod
    def on(cls, database: Database, zones: Zones) -> RoutingCatalogue:
        """Their ordinary forms; `zones` are those of `Accounts`."""
        return cls(
            Activity(database),
            Routes(database, zones),
            Destinations(database),
            Outbound(database),
            AuthenticityCatalogue(database),
        )

"""Which publishers' IP data served some rows, by what is stored with the rows: to be named where the data is shown."""

from __future__ import annotations

from collections.abc import Iterable

from dmarcworks.enrich.network.attribution import DBIP, IPINFO, MAXMIND, Attribution

__all__ = ["credits_of"]

_BY_LAYOUT = {"ipinfo": IPINFO, "geolite2": MAXMIND, "geoip2": MAXMIND, "dbip": DBIP}


def credits_of(sources: Iterable[str]) -> tuple[Attribution, ...]:
    """The publishers of files as `IpFacts.source` names them, each once."""
    layouts = {name.partition("-")[0] for source in sources for name in source.split(" + ")}
    return tuple(dict.fromkeys(_BY_LAYOUT[layout] for layout in sorted(layouts) if layout in _BY_LAYOUT))

"""Whose data the network facts are and under which licence: shown with the data, and stored in the same folder."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ATTRIBUTIONS", "DBIP", "IPINFO", "MAXMIND", "Attribution"]


@dataclass(frozen=True, slots=True)
class Attribution:
    """A publisher of IP data: the sentence and the link that its licence requires."""

    publisher: str
    text: str
    link: str
    licence: str
    licence_link: str

    @property
    def notice(self) -> str:
        """The text of the file that is stored in the folder of the data."""
        return f"{self.text}\n{self.link}\n\nLicence: {self.licence}\n{self.licence_link}\n"


IPINFO = Attribution(
    "IPinfo",
    "IP address data powered by IPinfo",
    "https://ipinfo.io/",
    "Creative Commons Attribution-ShareAlike 4.0 International (CC BY-SA 4.0)",
    "https://creativecommons.org/licenses/by-sa/4.0/",
)
MAXMIND = Attribution(
    "MaxMind",
    "This product includes GeoLite2 data created by MaxMind",
    "https://www.maxmind.com/",
    "GeoLite2 End User License Agreement",
    "https://www.maxmind.com/en/geolite2/eula",
)
DBIP = Attribution(
    "DB-IP",
    "IP Geolocation by DB-IP",
    "https://db-ip.com/",
    "Creative Commons Attribution 4.0 International (CC BY 4.0)",
    "https://creativecommons.org/licenses/by/4.0/",
)
ATTRIBUTIONS = (IPINFO, MAXMIND, DBIP)

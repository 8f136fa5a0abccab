"""The IP data put together from the settings: which files are used, how old they are, and what to do about it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from dmarcworks.enrich.network.ip_data import IpData
from dmarcworks.process.clock import clock
from dmarcworks.settings import Settings

__all__ = ["INSTALLED", "OFF", "OLD_DAYS", "IpDataFile", "ip_data", "ip_data_files", "ip_data_folder", "ip_data_notice"]

OFF = "off"
# Where `make install` puts the free file.
INSTALLED = Path(sys.prefix) / "share" / "dmarcworks" / "ipdata"
# Networks move: a file that is older than this is reported.
OLD_DAYS = 60


@dataclass(frozen=True, slots=True)
class IpDataFile:
    """A file in use, with what its publisher requires to be shown."""

    path: str
    kind: str
    built: date
    age_days: int
    old: bool
    bytes: int
    attribution: str
    link: str
    licence: str
    licence_link: str


def ip_data_folder(settings: Settings) -> Path:
    """Where `dmarcworks ipdata update` puts files."""
    return settings.home.resolve() / "ipdata"


def ip_data(settings: Settings) -> IpData | None:
    """The files that the settings name; None when they are turned off."""
    if settings.ip_data == OFF:
        return None
    return IpData(ip_data_paths(settings), optional=not settings.ip_data)


def ip_data_paths(settings: Settings) -> list[Path]:
    """Files and folders in the order in which they are used."""
    named = [Path(text.strip()) for text in settings.ip_data.split(",") if text.strip()]
    return named or [ip_data_folder(settings), INSTALLED]


def ip_data_files(data: IpData | None) -> list[IpDataFile]:
    """The files in use now."""
    today = datetime.fromtimestamp(clock(), UTC).date()
    files: list[IpDataFile] = []
    for file in () if data is None else data.files:
        age, owner = (today - file.built).days, file.layout.attribution
        files.append(
            IpDataFile(
                path=str(file.path),
                kind=file.layout.name,
                built=file.built,
                age_days=age,
                old=age > OLD_DAYS,
                bytes=file.version.size,
                attribution=owner.text,
                link=owner.link,
                licence=owner.licence,
                licence_link=owner.licence_link,
            )
        )
    return files


def ip_data_notice(settings: Settings, files: Sequence[IpDataFile]) -> str:
    """What is wrong with the data and how to fix it; "" when nothing is."""
    if settings.ip_data == OFF:
        return ""
    if not files:
        return (
            "there is no IP data: network and country of addresses stay unknown; `dmarcworks ipdata update` with"
            " --url or --file adds a file (docs/ip-data.md)"
        )
    if old := [file for file in files if file.old]:
        names = ", ".join(f"{file.kind} is {file.age_days} days old" for file in old)
        return f"{names}: networks have moved since; update the file with `dmarcworks ipdata update`"
    return ""

"""The settings: defined in `definitions`, tables of the TOML file in `tables`, read by `loading`, shown by `shown`."""

from dmarcworks.settings.definitions import Network, Settings
from dmarcworks.settings.loading import CONFIG, PREFIX, load
from dmarcworks.settings.shared import shared_settings, with_shared
from dmarcworks.settings.shown import SECRET, shown_value
from dmarcworks.settings.tables import TABLES, MailboxTable

__all__ = [
    "CONFIG",
    "PREFIX",
    "SECRET",
    "TABLES",
    "MailboxTable",
    "Network",
    "Settings",
    "load",
    "shared_settings",
    "shown_value",
    "with_shared",
]

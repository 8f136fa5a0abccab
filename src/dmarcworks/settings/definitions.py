"""Every setting, defined once: name, type, default, bound, help. By topic; this module puts them together."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from dmarcworks.settings.checking import CheckingSettings
from dmarcworks.settings.mailboxes import MailboxSettings
from dmarcworks.settings.policy import PolicySettings
from dmarcworks.settings.reading import ReadingSettings
from dmarcworks.settings.receiving import ReceivingSettings
from dmarcworks.settings.routing import RoutingSettings
from dmarcworks.settings.web import Network, WebSettings

__all__ = ["Network", "Settings"]

_MIB = 1024 * 1024


# The last base's fields come first in the documentation.
class Settings(
    MailboxSettings,
    CheckingSettings,
    PolicySettings,
    RoutingSettings,
    ReadingSettings,
    WebSettings,
    ReceivingSettings,
):
    """The settings table. A field's `description` is its help, its constraints are its bounds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    worker_seconds: float = Field(30.0, gt=0, le=600, description="Seconds that a worker has for one mail or batch.")
    sql_seconds: float = Field(10.0, gt=0, le=3600, description="Seconds that one SQL statement may take.")
    sql_rows: int = Field(100_000, ge=1, le=10_000_000, description="Rows that one SQL statement may return.")
    sql_memory_bytes: int = Field(1024 * _MIB, ge=_MIB, description="Memory of one SQL statement, in bytes.")
    api_requests_per_minute: int = Field(
        6000, ge=1, le=1_000_000, description="Requests per token and minute, over all APIs."
    )
    api_failures_per_minute: int = Field(
        30, ge=1, le=1_000_000, description="Unknown tokens that one address may try per minute."
    )
    query_log_days: int = Field(
        30, ge=0, le=3650, description="Days that the log of SQL statements is kept; 0: no log."
    )
    graphql_depth: int = Field(10, ge=5, le=50, description="Depth of nested fields in a GraphQL query.")
    graphql_rows: int = Field(10_000, ge=1, le=100_000, description="Largest limit of a GraphQL node.")
    graphql_cost: int = Field(
        1_000_000,
        ge=1000,
        le=100_000_000,
        description="Cost of a GraphQL query: limit × fields × zones, summed over its nodes.",
    )
    graphql_queries: int = Field(300, ge=1, le=1_000_000, description="GraphQL queries per token in five minutes.")
    log_format: str = Field(
        "auto", pattern="^(auto|json|text)$", description="json, text, or auto: text on a terminal."
    )
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="debug, info, warning or error.")

    @property
    def database(self) -> str:
        """The database's URL with its default filled in."""
        return self.database_url or f"sqlite:///{self.home.resolve() / 'dmarcworks.db'}"

    @property
    def objects(self) -> str:
        """The object store's URL with its default filled in."""
        return self.objects_url or f"file://{self.home.resolve() / 'objects'}"

    @property
    def analytics(self) -> str:
        """The analytics store's URL with its default filled in."""
        return self.analytics_url or f"chdb://{self.home.resolve() / 'analytics'}"

    @property
    def alone(self) -> bool:
        """Whether the process that opens Analytics is the only consumer of the queue: both are files of one folder."""
        return not self.database_url and not self.analytics_url

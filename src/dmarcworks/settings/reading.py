"""Settings of reading mail, of the queue, and of how long things are kept."""

from __future__ import annotations

from pydantic import BaseModel, Field

__all__ = ["ReadingSettings"]

_MIB = 1024 * 1024


class ReadingSettings(BaseModel):
    """Bounds of mail and reports, child processes that read, the queue, and retention."""

    mail_bytes: int = Field(25 * _MIB, ge=1024, le=1024 * _MIB, description="Largest mail, in bytes.")
    inflated_bytes: int = Field(
        256 * _MIB, ge=1024, le=4096 * _MIB, description="Decompressed bytes of all reports of one mail, together."
    )
    members: int = Field(100, ge=1, le=100_000, description="Files in the parts and archives of one mail.")
    nesting: int = Field(5, ge=1, le=50, description="Depth of nested mails and archives.")
    mime_depth: int = Field(20, ge=2, le=100, description="Depth of nested multiparts in one mail.")
    header_bytes: int = Field(
        100 * 1024,
        ge=1000,
        le=16 * _MIB,
        description="Longest header field, in bytes; the rest of a longer one is ignored and a problem is listed.",
    )
    header_fields: int = Field(
        1000,
        ge=50,
        le=100_000,
        description="Header fields of a mail or part; of the rest only MIME fields are parsed and a problem is listed.",
    )
    header_parameters: int = Field(
        1000, ge=10, le=100_000, description="Parameters of a header field; for more a problem is listed."
    )
    encoded_words: int = Field(
        1000, ge=10, le=100_000, description="Encoded words (RFC 2047) of a header field that are decoded."
    )
    xml_depth: int = Field(50, ge=8, le=200, description="Depth of nested XML elements in a report.")
    records: int = Field(1_000_000, ge=1, le=1_000_000, description="Records per report.")
    read_processes: int = Field(
        2, ge=1, le=64, description="Isolated processes that parse large mails (over 64 KiB) in parallel."
    )
    read_cpu_seconds: float = Field(
        120.0,
        ge=1,
        le=86_400,
        description="Seconds of processor time for parsing one mail; beyond it parsing stops and a problem is listed.",
    )
    read_memory_bytes: int = Field(
        1024 * _MIB,
        ge=128 * _MIB,
        le=1 << 40,
        description="Memory of a process that parses mails; beyond it parsing stops and a problem is listed.",
    )
    queue_batch: int = Field(
        1000, ge=1, le=1000, description="Largest number of mails that are processed and published together."
    )
    queue_lease_seconds: int = Field(
        300,
        ge=10,
        le=43_200,
        description="Seconds after which a mail is redelivered when the process that worked on it has died.",
    )
    queue_max_retries: int = Field(5, ge=0, le=100, description="Retries of a mail before it becomes a problem.")
    inbox_items: int = Field(
        1_000_000,
        ge=0,
        le=1_000_000_000,
        description="Mails that may wait to be processed; beyond it senders receive 451 4.3.1 and retry. 0: no limit.",
    )
    inbox_free_share: float = Field(
        0.01,
        ge=0,
        le=0.9,
        description="Share of the disks of objects and database that must stay free; below it: 451 4.3.1. 0: no limit.",
    )
    failure_originals: str = Field(
        "headers",
        pattern="^(keep|headers|drop)$",
        description="What is kept of the message that a failure report quotes: keep (all), headers, or drop (nothing).",
    )
    retention_raw_mails: int = Field(
        0, ge=0, le=36_500, description="Days that raw mails are kept after processing; 0: for ever."
    )
    retention_archived_reports: int = Field(
        0, ge=0, le=36_500, description="Days that aggregate and TLS reports are kept as received; 0: for ever."
    )
    retention_records: int = Field(
        0, ge=0, le=36_500, description="Days that the figures are kept, by the day they are about; 0: for ever."
    )
    retention_failure_reports: int = Field(
        0, ge=0, le=36_500, description="Days that failure reports and their raw mails are kept; 0: for ever."
    )
    retention_problems: int = Field(
        0, ge=0, le=36_500, description="Days that problems and their raw mails are kept; 0: for ever."
    )
    retention_data_points: int = Field(
        0, ge=0, le=36_500, description="Days that data points of your own workers are kept; 0: for ever."
    )
    activity_days: int = Field(30, ge=1, le=3650, description="Days that entries of the activity log are kept.")

"""Structured logs to standard error: one line per event, JSON for machines or text for a terminal. No secrets."""

from __future__ import annotations

import logging
import sys

import structlog

from dmarcworks.process.log_writer import BufferedLoggerFactory


def setup(format: str = "auto", level: str = "info") -> None:
    """Send our events, and the libraries' warnings, to standard error in one form."""
    text = format == "text" or (format == "auto" and sys.stderr.isatty())
    shared: list[structlog.types.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: list[structlog.types.Processor] = (
        [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
        if text
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[_without_none, *shared, *renderer],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=BufferedLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # The SMTP library logs every command at INFO and whole lines at DEBUG; our log has what an operator needs.
    form = "%(levelname)s %(name)s %(message)s"
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format=form, force=True)
    logging.getLogger("mail.log").setLevel(logging.ERROR)


def _without_none(logger: object, method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    return {key: value for key, value in event.items() if value is not None}

"""The task that fetches from mailboxes, put together from the settings."""

from __future__ import annotations

from functools import partial

from dmarcworks.catalogue.dead_letters import operates
from dmarcworks.catalogue.stores import Stores
from dmarcworks.ingest.accept import Intake
from dmarcworks.ingest.environment import Env
from dmarcworks.process.metrics import Metrics
from dmarcworks.settings import Settings
from dmarcworks.sources.mailbox_supervisor import MailboxSupervisor

__all__ = ["mailbox_supervisor"]


def mailbox_supervisor(settings: Settings, stores: Stores, env: Env, metrics: Metrics) -> MailboxSupervisor:
    """The supervisor; it reads mails where the worker does, and stops when the inbox is full."""
    intake = Intake(stores, settings.mail_bytes, env.full)
    private = partial(operates, stores.accounts, settings.operator_account)
    return MailboxSupervisor(settings, stores, stores.mailboxes, intake, env.reader, metrics, private=private)

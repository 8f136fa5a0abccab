"""What a worker of your own imports: `EmailMessage` for a reply, and the errors that `message` raises."""

from dmarcworks.errors import DeniedError, RefusedError, UsageError
from dmarcworks.workers.message import EmailMessage, Headers, Message

__all__ = ["DeniedError", "EmailMessage", "Headers", "Message", "RefusedError", "UsageError"]

"""A form with a file (multipart/form-data, RFC 7578) as text by field. Pure; the caller bounds the body."""

from __future__ import annotations

from email import policy
from email.parser import BytesParser

from dmarcworks.errors import UsageError

__all__ = ["uploaded_form"]

_FIELDS = 20


def uploaded_form(content_type: str, body: bytes) -> dict[str, str]:
    """The fields; a file's content is text in UTF-8. `UsageError` for anything else."""
    if not content_type.isascii() or "\r" in content_type or "\n" in content_type:
        raise UsageError("the type of the form is invalid")
    head = f"Content-Type: {content_type}\r\nMIME-Version: 1.0\r\n\r\n".encode()
    message = BytesParser(policy=policy.HTTP).parsebytes(head + body)
    if not message.is_multipart():
        raise UsageError("the form has no parts")
    fields: dict[str, str] = {}
    for part in list(message.iter_parts())[:_FIELDS]:
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if not isinstance(name, str) or not isinstance(content, bytes):
            raise UsageError("a part of the form has no name")
        try:
            fields[name] = content.decode("utf-8")
        except UnicodeDecodeError:
            raise UsageError("the file is not text in UTF-8") from None
    return fields

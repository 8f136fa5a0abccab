"""The SMTP replies, each with its enhanced status code (RFC 3463): the client's log is where people look."""

from __future__ import annotations

OK = "250 2.0.0 OK"
SENDER_OK = "250 2.1.0 OK"
RECIPIENT_OK = "250 2.1.5 OK"
GO_AHEAD = "354 End data with <CR><LF>.<CR><LF>"
BYE = "221 2.0.0 Bye"
TLS_READY = "220 2.0.0 Ready to start TLS"
HELP = "214 2.0.0 This host takes DMARC and TLS reports"
NO_VRFY = "252 2.1.5 Cannot verify, send some mail"
NO_EXPN = "502 5.5.1 EXPN is not offered"

STORE_UNAVAILABLE = "451 4.3.0 Cannot keep the mail now, try again later"
TOO_MANY_CONNECTIONS = "421 4.7.0 Too many connections, try again later"
TOO_FAST = "421 4.7.0 Too many connections in a minute, try again later"
CLOSING = "421 4.3.2 Shutting down, try again later"
IDLE = "421 4.4.2 Idle for too long"
TOO_SLOW = "421 4.4.2 The transfer takes too long"
TOO_MANY_ERRORS = "421 4.7.0 Too many commands that lead to no mail"
NOT_HTTP = "421 4.7.0 This is a mail server"
NO_MEMORY = "452 4.3.1 Too much mail in transfer, try again later"
TOO_MANY_MAILS = "450 4.7.1 Too many mails in a minute, try again later"

BAD_SYNTAX = "500 5.5.2 Bad syntax"
UNKNOWN = "500 5.5.1 Command not recognised"
COMMAND_TOO_LONG = "500 5.5.2 Command line too long"
NO_ARGUMENT = "501 5.5.4 This command takes no argument"
NAME_YOURSELF = "501 5.5.4 Syntax: EHLO name"
MAIL_SYNTAX = "501 5.5.4 Syntax: MAIL FROM:<address>"
RCPT_SYNTAX = "501 5.5.4 Syntax: RCPT TO:<address>"
MAIL_PARAMETER = "555 5.5.4 Parameter of MAIL not known"
RCPT_PARAMETER = "555 5.5.4 Parameter of RCPT not known"
BODY_VALUE = "501 5.5.4 BODY is 7BIT or 8BITMIME"
SIZE_VALUE = "501 5.5.4 SIZE is a number of bytes"
HELLO_FIRST = "503 5.5.1 HELO or EHLO comes first"
LHLO_FIRST = "503 5.5.1 LHLO comes first"
NESTED_MAIL = "503 5.5.1 MAIL was given already"
MAIL_FIRST = "503 5.5.1 MAIL comes first"
RCPT_FIRST = "503 5.5.1 RCPT comes first"
TLS_ALREADY = "503 5.5.1 TLS is on already"
TLS_ALONE = "503 5.5.1 Nothing may follow STARTTLS before the handshake"
WRONG_HELLO_SMTP = "500 5.5.1 This is SMTP: send EHLO"
WRONG_HELLO_LMTP = "500 5.5.1 This is LMTP: send LHLO"
BAD_SENDER = "553 5.1.7 Malformed sender address"
BAD_RECIPIENT = "553 5.1.3 Malformed recipient address"


def too_large(size: int) -> str:
    """The mail is over the bound of `size` bytes."""
    return f"552 5.3.4 Message larger than {size} bytes"


def line_too_long(size: int) -> str:
    """A line of the mail is over the bound of `size` bytes."""
    return f"500 5.5.2 Line longer than {size} bytes"


def too_many_recipients(number: int) -> str:
    """One more than `number` recipients."""
    return f"452 4.5.3 More than {number} recipients"

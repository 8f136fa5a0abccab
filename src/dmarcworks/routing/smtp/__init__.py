"""The SMTP and LMTP server (RFC 5321, RFC 2033), bounded in every size, number and silence.

`wire` and `grammar` are pure, `session` knows what commands mean, `connection` moves bytes and time, `server` listens.
Only CRLF.CRLF ends a mail.
"""

from dmarcworks.routing.smtp.listeners import Listener, parse_listeners, parse_networks
from dmarcworks.routing.smtp.replies import STORE_UNAVAILABLE
from dmarcworks.routing.smtp.server import SmtpServer
from dmarcworks.routing.smtp.session import Delivery, Peer, Recipient, SmtpBounds
from dmarcworks.routing.smtp.tls import Certificate

__all__ = [
    "STORE_UNAVAILABLE",
    "Certificate",
    "Delivery",
    "Listener",
    "Peer",
    "Recipient",
    "SmtpBounds",
    "SmtpServer",
    "parse_listeners",
    "parse_networks",
]

"""The HTTP server: sockets, connections, their bounds in number and time, and bodies on their way in."""

from dmarcworks.api.http.admission import Admission
from dmarcworks.api.http.bounds import HttpBounds
from dmarcworks.api.http.server import Web

__all__ = ["Admission", "HttpBounds", "Web"]

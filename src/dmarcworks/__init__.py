"""dmarcworks: DMARC management that you run yourself.

The public API is `read_mail` and `read_bytes` with their values: bytes in, reports and problems out, no store, no server.
"""

__version__ = "0.1.0"

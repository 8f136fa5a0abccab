"""DKIM (RFC 6376, 8301, 8463) and ARC (RFC 8617): canonical forms, verification and signing, linear in the mail."""

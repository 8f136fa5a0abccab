"""IMAP mailboxes: the connection, the commands that are sent over it, and the source made of them."""

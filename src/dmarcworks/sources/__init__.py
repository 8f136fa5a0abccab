"""Other ways in than SMTP: files, folders and mailboxes, to the same reading."""

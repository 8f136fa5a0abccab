"""Sources of reports other than SMTP: files, folders and mailboxes, processed in the same way."""

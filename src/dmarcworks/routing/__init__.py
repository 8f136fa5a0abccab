"""Email routing: the SMTP conversation and the rules that decide where a mail goes."""

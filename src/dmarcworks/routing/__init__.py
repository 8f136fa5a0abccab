"""Email routing: the SMTP conversation and the rules that say where a mail goes."""

"""Setting up a domain: what is published, what is missing, and who has proven that it is theirs."""

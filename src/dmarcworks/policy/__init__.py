"""The policy of a domain: its DNS records looked up, checked and explained, and what another policy would do."""

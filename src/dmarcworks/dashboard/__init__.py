"""The dashboard: server-rendered pages over catalogue and analytics, for the one account of who is logged in."""

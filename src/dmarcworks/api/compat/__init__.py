"""The paths of the original platform's HTTP API, so that its clients work here."""

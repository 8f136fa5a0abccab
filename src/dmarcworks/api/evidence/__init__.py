"""Documents for auditors as HTML and PDF."""

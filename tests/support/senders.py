"""A small catalogue of senders for tests: fixed, so that the real one may grow."""

from __future__ import annotations

from dmarcworks.enrich.senders.index import SenderIndex
from dmarcworks.enrich.senders.load import services_of

ENTRY = """
[[sender]]
name = "{name}"
kind = "{kind}"
home = "https://{domain}/"
setup = "https://{domain}/dkim"
fix = "Publish the two records that the console of the service shows, then verify the domain there."
{rest}
"""


def entry(name: str, kind: str, domain: str, rest: str) -> str:
    """An entry of a catalogue file."""
    return ENTRY.format(name=name, kind=kind, domain=domain, rest=rest)


CATALOGUE = "".join(
    (
        entry(
            "Amazon SES",
            "transactional",
            "ses.example.com",
            'infrastructure = true\ndkim = ["amazonses.com"]\nenvelope = ["amazonses.com"]\nptr = ["amazonses.com"]\n'
            'blocks = ["54.240.0.0/18", "2a05:d000::/25"]',
        ),
        entry("Freshdesk", "helpdesk", "freshdesk.com", 'dkim = ["freshdesk.com"]\nselectors = ["fwdkim*"]'),
        entry(
            "Google Workspace",
            "mailbox_provider",
            "workspace.google.com",
            'dkim = ["gappssmtp.com", "gmail.com"]\nenvelope = ["gmail.com"]\nptr = ["google.com"]\n'
            'blocks = ["209.85.128.0/17"]',
        ),
        entry(
            "Mailchimp",
            "marketing",
            "mailchimp.com",
            'dkim = ["mcsv.net"]\nenvelope = ["mcsv.net"]\nptr = ["mcsv.net", "rsgsv.net"]\nselectors = ["mandrill"]',
        ),
        entry(
            "SendGrid",
            "transactional",
            "sendgrid.com",
            'infrastructure = true\ndkim = ["sendgrid.net"]\nenvelope = ["sendgrid.net"]\nptr = ["sendgrid.net"]\n'
            'blocks = ["167.89.0.0/17"]',
        ),
        entry(
            "Strasse Mail",
            "other",
            "strasse.example.com",
            'dkim = ["xn--bcher-kva.example.com"]\nptr = ["eu.mcsv.net"]',
        ),
        entry(
            "Zendesk",
            "helpdesk",
            "zendesk.com",
            'dkim = ["zendesk.com"]\nenvelope = ["zendesk.com"]\nptr = ["zdsys.com"]\n'
            'selectors = ["zendesk1", "zendesk2"]',
        ),
    )
)


def small_index() -> SenderIndex:
    """The look-ups over this catalogue."""
    return SenderIndex(services_of(CATALOGUE, "tests.toml"))

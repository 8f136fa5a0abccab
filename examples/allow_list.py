"""An allow list: mail from a few senders is forwarded, all other mail is rejected.

Run it as DMARCWORKS_WORKERS=allow_list=examples/allow_list.py and add a rule for it:
dmarcworks route add me@example.com --worker allow_list
"""

from email.utils import parseaddr

ALLOW_LIST = ["friend@example.org", "coworker@example.org"]


async def email(message, env, ctx):
    """Forward to a verified destination, or reject permanently."""
    _, sender = parseaddr(message.headers.get("from", ""))
    if sender.lower() not in ALLOW_LIST:
        message.set_reject("Address not allowed")
    else:
        await message.forward("inbox@corp.example")

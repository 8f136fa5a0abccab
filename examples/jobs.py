"""A worker with a queue: a mail is accepted immediately; slow work is done afterwards, and retried if it fails.

Run it as DMARCWORKS_WORKERS=jobs=examples/jobs.py and add a rule for it:
dmarcworks route add jobs@example.com --worker jobs
"""


async def email(message, env, ctx):
    """Keep the mail and queue its key: a queue message is limited to 128,000 bytes, a mail may be larger."""
    key = f"mails/{message.headers.get('message-id', '').strip('<>').replace('/', '_')}"
    await env.OBJECTS.put(key, await message.raw())
    await env.QUEUE.send({"key": key, "from": message.from_})


async def queue(batch, env, ctx):
    """Count the mails of each sender. Each is acknowledged when done, so that a later failure repeats none."""
    for message in batch.messages:
        raw = await env.OBJECTS.get(message.body["key"])
        if raw is None:
            message.retry(delay_seconds=60)
            continue
        name = f"mails from {message.body['from']}"
        await env.KV.put(name, str(int(await env.KV.get(name) or 0) + 1))
        message.ack()

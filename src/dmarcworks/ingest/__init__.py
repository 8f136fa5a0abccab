"""A report's way after the mail was accepted: the queued item, the pipeline's steps, batching and retries."""

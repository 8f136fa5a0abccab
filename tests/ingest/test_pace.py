"""How large a batch is: what was done in ten seconds, whatever the mails are like."""

from __future__ import annotations

from dmarcworks.ingest.batching import BatchScheduler


def test_a_batch_is_what_is_done_in_ten_seconds() -> None:
    """It begins with 100 and doubles while it is quick; a slow one makes the next smaller, then up again."""
    order = BatchScheduler()
    sizes = [order.size(1000)]
    for _ in range(5):
        order.paced(order.size(1000), 0.5)
        sizes.append(order.size(1000))
    assert sizes == [100, 200, 400, 800, 1000, 1000]
    assert order.size(300) == 300
    order.paced(1000, 40)
    assert order.size(1000) == 250
    order.paced(3, 0.1)  # the last few of a queue, quickly done, change nothing
    assert order.size(1000) == 250
    order.paced(3, 60)
    assert order.size(1000) == 1
    order.paced(1, 1)
    assert order.size(1000) == 2
    order.paced(2, 0.0)
    assert order.size(1000) == 4

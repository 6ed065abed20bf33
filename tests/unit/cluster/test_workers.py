"""The threads that send a drain's writes start nothing after its end."""

import threading

from pulumi_nodepools.cluster.workers import Workers


def test_what_is_still_queued_at_the_end_is_never_sent() -> None:
    workers, sending, answer, sent = Workers(1), threading.Event(), threading.Event(), []

    def slow() -> None:
        sending.set()
        answer.wait(10)
        sent.append("first")

    workers.do(slow)
    assert sending.wait(10)
    workers.do(lambda: sent.append("second"))
    (thread,) = (entry for entry in threading.enumerate() if entry.name == "drain-1")
    workers.close()
    answer.set()
    thread.join(10)
    assert sent == ["first"]

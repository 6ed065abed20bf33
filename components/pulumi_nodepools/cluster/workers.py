"""A few threads that carry out what a drain wants written, as many as there is work for."""

import queue
import threading
from collections.abc import Callable


class Workers:
    """Threads that end with the process: a deadline must not wait for a request that hangs."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads = 0
        self._idle = threading.Semaphore(0)
        self._closed = threading.Event()

    def do(self, task: Callable[[], None]) -> None:
        """Have it done soon; a task that raises ends its thread, so it must not."""
        if not self._idle.acquire(blocking=False) and self._threads < self._most:
            self._threads += 1
            threading.Thread(target=self._work, name=f"drain-{self._threads}", daemon=True).start()
        self._tasks.put(task)

    def _work(self) -> None:
        # What was still queued when the drain ended is dropped: the Lease may be somebody else's by then.
        while (task := self._tasks.get()) is not None and not self._closed.is_set():
            task()
            self._idle.release()

    def close(self) -> None:
        """End the threads; what has not begun is dropped."""
        self._closed.set()
        for _ in range(self._threads):
            self._tasks.put(None)

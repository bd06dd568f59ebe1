"""Runs a textbook conversation many times, one after another or in parallel.

Exits with 0 if all succeed. Every socket has a timeout.
"""

import socket
import sys
import threading
import traceback

socket.setdefaulttimeout(30)


def repeat(conversation, times, together):
    """Calls `conversation(number, wait_for_all)`; `wait_for_all` is a barrier of all repetitions."""
    if not together:
        for number in range(times):
            conversation(number, lambda: None)
        return
    failures = []
    barrier = threading.Barrier(times, timeout=30)

    def one(number):
        try:
            conversation(number, barrier.wait)
        except BaseException:
            failures.append(traceback.format_exc())
            barrier.abort()

    threads = [threading.Thread(target=one, args=(number,)) for number in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        sys.exit("\n".join(failures))


def check(got, wanted, what):
    """Exits with a message if the received bytes are not the expected ones."""
    if got != wanted:
        raise SystemExit(
            f"{what}: got {len(got)} bytes {got[:200]!r}, wanted {len(wanted)} {wanted[:200]!r}"
        )


def read(path):
    """Returns the bytes of a local file."""
    with open(path, "rb") as file:
        return file.read()

"""Runs one textbook conversation many times, in turn or all at once; exits with 0 if all went well.

Knows nothing of any service. Every socket has a deadline, so that no client waits for ever.
"""

import socket
import sys
import threading
import traceback

socket.setdefaulttimeout(30)


def repeat(conversation, times, together):
    """Calls `conversation(number, everyone)`; `everyone` waits until all have come so far."""
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
    """Ends the client with a message if it got something else than it wanted."""
    if got != wanted:
        raise SystemExit(
            f"{what}: got {len(got)} bytes {got[:200]!r}, wanted {len(wanted)} {wanted[:200]!r}"
        )


def read(path):
    """The bytes of a local file."""
    with open(path, "rb") as file:
        return file.read()

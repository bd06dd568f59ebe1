"""A client of the talk service, from src/wire/PROTOCOL.md: python3 talk.py HOST PORT

It says what it means to say, checks what the operator answers, and leaves.
"""

import socket
import sys

with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=20) as server:
    lines = server.makefile("rb")

    server.sendall("good morning ☀\n".encode())
    line = lines.readline()
    assert line == "good morning to you ☀\n".encode(), line

    # Two lines in one piece, an empty one between: the operator sees two.
    server.sendall(b"is the library open?\n\r\n\tuntil when?\r\n")
    line = lines.readline()
    assert line == b"until six\n", line

    # The half-close ends the conversation; a last line without LF still counts.
    server.sendall(b"thank you")
    server.shutdown(socket.SHUT_WR)
    assert lines.read() == b"", "the server closes"

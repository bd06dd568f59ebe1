"""A client of the transfer service, from src/wire/PROTOCOL.md: python3 transfer.py HOST PORT"""

import hashlib
import os
import socket
import sys


def connect():
    return socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=20)


def gets(replies, answer):
    got = replies.read(len(answer))
    assert got == answer, got


def send(server, replies, name, data):
    """Stores a file, waiting for every answer."""
    server.sendall(b"SEND\n")
    gets(replies, b"OK\n")
    server.sendall(b"%b\n%b<SEPARATOR>%d\n%b" % (name, name, len(data), data))
    gets(replies, b"OK %d\n" % len(data))


def receive(server, replies, name):
    """The bytes of a file, or None where there is none of this name."""
    server.sendall(b"RECEIVE\n")
    gets(replies, b"OK\n")
    server.sendall(name + b"\n")
    header = replies.readline()
    if header == b"ERROR: File not found\n":
        return None
    stored_name, length = header.rstrip(b"\n").split(b"<SEPARATOR>")
    assert stored_name == name
    data = replies.read(int(length))
    assert len(data) == int(length)
    return data


with connect() as server, server.makefile("rb") as replies:
    assert receive(server, replies, b"a.txt") is None
    large = os.urandom(1_000_000)
    for name, data in [(b"a.txt", b"hello"), (b"my file.txt", b"12345\n"), (b"a.txt", large), (b"empty", b"")]:
        send(server, replies, name, data)
        assert receive(server, replies, name) == data

# The front of a file is there already.
with connect() as server, server.makefile("rb") as replies:
    server.sendall(b"SUM\na.txt<SEPARATOR>400000\n")
    gets(replies, b"OK\nOK " + hashlib.sha256(large[:400_000]).hexdigest().encode() + b"\n")
    server.sendall(b"RESUME\na.txt<SEPARATOR>400000\n")
    gets(replies, b"OK\na.txt<SEPARATOR>600000\n" + large[400_000:])
    server.sendall(b"RESUME\na.txt<SEPARATOR>1000001\n")
    gets(replies, b"OK\nERROR: ")
    replies.readline()
    assert receive(server, replies, b"a.txt") == large

# Everything at once, then the half-close; only the last component of the name counts.
with connect() as server, server.makefile("rb") as replies:
    server.sendall(b"SEND\nb.txt\nsome/folder/b.txt<SEPARATOR>3\nabcRECEIVE\nb.txt\nRECEIVE\nnone\n")
    server.shutdown(socket.SHUT_WR)
    gets(replies, b"OK\nOK 3\nOK\nb.txt<SEPARATOR>3\nabcOK\nERROR: File not found\n")
    assert replies.read() == b"", "the server closes"

# A body that ends too early is not stored, and ends the connection.
with connect() as server, server.makefile("rb") as replies:
    server.sendall(b"SEND\nc.txt\nc.txt<SEPARATOR>9\nabc")
    server.shutdown(socket.SHUT_WR)
    gets(replies, b"OK\nERROR")
with connect() as server, server.makefile("rb") as replies:
    assert receive(server, replies, b"c.txt") is None

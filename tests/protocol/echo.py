"""A client of the echo service, written from src/wire/PROTOCOL.md: python3 echo.py HOST PORT"""

import os
import socket
import sys
import threading

HOST, PORT = sys.argv[1], int(sys.argv[2])


def connect():
    return socket.create_connection((HOST, PORT), timeout=20)


def read_exactly(server, length):
    data = b""
    while len(data) < length:
        piece = server.recv(min(65536, length - len(data)))
        assert piece, f"the stream ends after {len(data)} of {length} bytes"
        data += piece
    return data


# A question, its answer, and the next question on the same connection.
with connect() as server:
    for message in [b"hello", b"line\r\n", bytes(range(256))]:
        server.sendall(message)
        assert read_exactly(server, len(message)) == message

# Everything sent and half-closed before a byte is read: less than 64 KiB may wait.
with connect() as server:
    message = b"x" * 60000
    server.sendall(message)
    server.shutdown(socket.SHUT_WR)
    assert read_exactly(server, len(message)) == message
    assert server.recv(1) == b"", "the server closes"

# Much data: one thread sends while this one reads.
with connect() as server:
    message = os.urandom(1_000_000)

    def send():
        server.sendall(message)
        server.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    assert read_exactly(server, len(message)) == message
    assert server.recv(1) == b"", "the server closes"
    sender.join()

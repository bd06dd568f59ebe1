"""Uploads a file as the textbook does: three messages after another, no delimiter, then close.

Usage: transfer_upload.py HOST PORT NAME PATH TIMES in-turn|together
The name on the server is the number of the repetition, a dash and NAME.
"""

import socket
import sys

from repeat import check, read, repeat

SEPARATOR = "<SEPARATOR>"


def main():
    host, port, name, path, times, order = sys.argv[1:]
    data = read(path)

    def upload(number, everyone):
        filename = f"{number}-{name}"
        sock = socket.socket()
        sock.connect((host, int(port)))
        everyone()
        sock.send(b"SEND")
        check(sock.recv(1024), b"OK", "the answer to SEND")
        sock.send(filename.encode())
        sock.send(f"{filename}{SEPARATOR}{len(data)}".encode())
        sock.sendall(data)
        sock.close()

    repeat(upload, int(times), order == "together")


main()

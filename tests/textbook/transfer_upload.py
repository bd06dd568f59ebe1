"""Uploads a file as the textbook does: three messages without delimiters, then close.

Usage: transfer_upload.py HOST PORT NAME PATH TIMES in-turn|together
The file is named NUMBER-NAME on the server, with the number of the repetition.
"""

import socket
import sys

from repeat import check, read, repeat

SEPARATOR = "<SEPARATOR>"


def main():
    host, port, name, path, times, order = sys.argv[1:]
    data = read(path)

    def upload(number, wait_for_all):
        filename = f"{number}-{name}"
        sock = socket.socket()
        sock.connect((host, int(port)))
        wait_for_all()
        sock.send(b"SEND")
        check(sock.recv(1024), b"OK", "the answer to SEND")
        sock.send(filename.encode())
        sock.send(f"{filename}{SEPARATOR}{len(data)}".encode())
        sock.sendall(data)
        sock.close()

    repeat(upload, int(times), order == "together")


main()

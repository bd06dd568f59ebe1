"""Downloads a file as the textbook does: one recv(1024) must return exactly the header.

Usage: transfer_download.py HOST PORT NAME PATH TIMES in-turn|together
PATH is a local copy of the expected content.
"""

import socket
import sys

from repeat import check, read, repeat

SEPARATOR = "<SEPARATOR>"


def main():
    host, port, name, path, times, order = sys.argv[1:]
    wanted = read(path)

    def download(_number, wait_for_all):
        sock = socket.socket()
        sock.connect((host, int(port)))
        wait_for_all()
        sock.send(b"RECEIVE")
        check(sock.recv(1024), b"OK", "the answer to RECEIVE")
        sock.send(name.encode())
        header = sock.recv(1024)
        check(header, f"{name}{SEPARATOR}{len(wanted)}".encode(), "the header")
        _filename, size = header.decode().split(SEPARATOR)
        # Threads share one interpreter: all read their header before any reads data.
        wait_for_all()
        body = bytearray()
        while piece := sock.recv(4096):
            body += piece
        check(size, str(len(wanted)), "the size in the header")
        check(body, wanted, "the body")
        sock.close()

    repeat(download, int(times), order == "together")


main()

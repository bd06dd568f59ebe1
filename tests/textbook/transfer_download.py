"""Downloads a file as the textbook does: one recv(1024) must be the whole header and no more.

Usage: transfer_download.py HOST PORT NAME PATH TIMES in-turn|together
PATH is a local copy of what must come.
"""

import socket
import sys

from repeat import check, read, repeat

SEPARATOR = "<SEPARATOR>"


def main():
    host, port, name, path, times, order = sys.argv[1:]
    wanted = read(path)

    def download(_number, everyone):
        sock = socket.socket()
        sock.connect((host, int(port)))
        everyone()
        sock.send(b"RECEIVE")
        check(sock.recv(1024), b"OK", "the answer to RECEIVE")
        sock.send(name.encode())
        header = sock.recv(1024)
        check(header, f"{name}{SEPARATOR}{len(wanted)}".encode(), "the header")
        _filename, size = header.decode().split(SEPARATOR)
        # Threads share one interpreter: none begins to read before all have their header.
        everyone()
        body = bytearray()
        while piece := sock.recv(4096):
            body += piece
        check(size, str(len(wanted)), "the size in the header")
        check(body, wanted, "the body")
        sock.close()

    repeat(download, int(times), order == "together")


main()

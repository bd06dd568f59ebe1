"""A talk client like that of the course: raw messages without a line end.

Usage: talk.py HOST PORT TEXT ANSWER
Sends TEXT and expects ANSWER in one recv, twice.
"""

import socket
import sys

from repeat import check


def main():
    host, port, text, answer = sys.argv[1:]
    sock = socket.create_connection((host, int(port)))
    for _ in range(2):
        sock.sendall(text.encode())
        check(sock.recv(1024), answer.encode(), "the operator's answer")
    sock.close()


main()

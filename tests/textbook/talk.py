"""Talks with the operator as the course's client does: raw pieces, and no newline at the end.

Usage: talk.py HOST PORT TEXT ANSWER
Says TEXT and wants ANSWER back, as one piece, twice.
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

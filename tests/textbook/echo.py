"""Says things to the echo service and takes one recv for each answer.

Usage: echo.py HOST PORT MESSAGE TIMES in-turn|together
"""

import socket
import sys

from repeat import check, repeat


def main():
    host, port, message, times, order = sys.argv[1:]

    def converse(number, everyone):
        sock = socket.socket()
        sock.connect((host, int(port)))
        everyone()
        for turn in range(10):
            said = f"{message} {number} {turn}".encode()
            sock.send(said)
            check(sock.recv(1024), said, "the echo")
        sock.close()

    repeat(converse, int(times), order == "together")


main()

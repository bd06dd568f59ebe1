"""Sends messages to the echo service and calls recv once for each answer.

Usage: echo.py HOST PORT MESSAGE TIMES in-turn|together
"""

import socket
import sys

from repeat import check, repeat


def main():
    host, port, message, times, order = sys.argv[1:]

    def conversation(number, wait_for_all):
        sock = socket.socket()
        sock.connect((host, int(port)))
        wait_for_all()
        for turn in range(10):
            message_sent = f"{message} {number} {turn}".encode()
            sock.send(message_sent)
            check(sock.recv(1024), message_sent, "the echo")
        sock.close()

    repeat(conversation, int(times), order == "together")


main()

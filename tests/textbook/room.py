"""Speaks to the room as the course's client does: the first datagram is taken for the answer.

Usage: room.py HOST PORT lesson PASSWORD
       room.py HOST PORT pair PASSWORD
"""

import socket
import sys

from repeat import check


class Student:
    def __init__(self, server):
        family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_DGRAM)
        self.server = server

    def say(self, text):
        self.sock.sendto(text.encode(), self.server)

    def hear(self, wanted, what):
        data, _ = self.sock.recvfrom(1024)
        check(data, wanted.encode(), what)

    def ask(self, text, wanted):
        self.say(text)
        self.hear(wanted, text)

    def log_in(self, password, name):
        self.ask(f"PASSWORD {password}", "PASSWORD OK")
        self.ask(f"USERNAME {name}", "USERNAME OK")
        self.hear(f"{name} bergabung ke chatroom.", "the notice")


def lesson(server, password):
    """Wrong and right password, taken and free name."""
    ani = Student(server)
    ani.ask("USERNAME ani", "PASSWORD INCORRECT")
    ani.ask("PASSWORD not" + password, "PASSWORD INCORRECT")
    ani.log_in(password, "ani")
    budi = Student(server)
    budi.ask(f"PASSWORD {password}", "PASSWORD OK")
    budi.ask("USERNAME ani", "USERNAME TAKEN")
    budi.ask("USERNAME budi", "USERNAME OK")


def pair(server, password):
    """Two people talk, and one leaves."""
    ani, budi = Student(server), Student(server)
    ani.log_in(password, "ani")
    budi.log_in(password, "budi")
    ani.hear("budi bergabung ke chatroom.", "the other's coming")
    for speaker, name in [(ani, "ani"), (budi, "budi")] * 10:
        speaker.say(f"{name}: halo semua")
        for listener in (ani, budi):
            listener.hear(f"{name}: halo semua", "a message")
    budi.say("exit")
    ani.hear("budi telah keluar dari chatroom.", "the other's leaving")
    ani.say("ani: sendiri")
    ani.hear("ani: sendiri", "a message to oneself")


def main():
    host, port, what, password = sys.argv[1:]
    {"lesson": lesson, "pair": pair}[what]((host, int(port)), password)


main()

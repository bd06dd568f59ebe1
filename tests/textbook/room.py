"""A room client like that of the course: it takes the first datagram for the answer.

Usage: room.py HOST PORT login PASSWORD
       room.py HOST PORT pair PASSWORD
"""

import socket
import sys

from repeat import check


class RoomClient:
    def __init__(self, server):
        family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_DGRAM)
        self.server = server

    def send(self, text):
        self.sock.sendto(text.encode(), self.server)

    def expect(self, wanted, what):
        data, _ = self.sock.recvfrom(1024)
        check(data, wanted.encode(), what)

    def ask(self, text, wanted):
        self.send(text)
        self.expect(wanted, text)

    def log_in(self, password, name):
        self.ask(f"PASSWORD {password}", "PASSWORD OK")
        self.ask(f"USERNAME {name}", "USERNAME OK")
        self.expect(f"{name} bergabung ke chatroom.", "the notice")


def login(server, password):
    """A wrong and the right password, a taken and a free name."""
    ani = RoomClient(server)
    ani.ask("USERNAME ani", "PASSWORD INCORRECT")
    ani.ask("PASSWORD not" + password, "PASSWORD INCORRECT")
    ani.log_in(password, "ani")
    budi = RoomClient(server)
    budi.ask(f"PASSWORD {password}", "PASSWORD OK")
    budi.ask("USERNAME ani", "USERNAME TAKEN")
    budi.ask("USERNAME budi", "USERNAME OK")


def pair(server, password):
    """Two members exchange messages, and one leaves."""
    ani, budi = RoomClient(server), RoomClient(server)
    ani.log_in(password, "ani")
    budi.log_in(password, "budi")
    ani.expect("budi bergabung ke chatroom.", "the join notice")
    for speaker, name in [(ani, "ani"), (budi, "budi")] * 10:
        speaker.send(f"{name}: halo semua")
        for listener in (ani, budi):
            listener.expect(f"{name}: halo semua", "a message")
    budi.send("exit")
    ani.expect("budi telah keluar dari chatroom.", "the leave notice")
    ani.send("ani: sendiri")
    ani.expect("ani: sendiri", "the own message")


def main():
    host, port, what, password = sys.argv[1:]
    {"login": login, "pair": pair}[what]((host, int(port)), password)


main()

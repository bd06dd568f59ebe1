"""Two clients of the chat room, from src/wire/PROTOCOL.md: python3 room.py HOST PORT PASSWORD"""

import socket
import sys

HOST, PORT, PASSWORD = sys.argv[1:]


class Guest:
    """One UDP socket. Being connected, it hears nobody but the server."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect((HOST, int(PORT)))
        self.old = {" "}  # a blank says nothing, and a repeated request may be answered twice

    def says(self, text):
        self.socket.send(text.encode())

    def hears(self, text, patience=20):
        self.socket.settimeout(patience)
        heard = self.socket.recv(1024).decode()
        while heard != text and heard in self.old:
            heard = self.socket.recv(1024).decode()
        assert heard == text, (heard, text)

    def asks(self, request, answer):
        """Asks again after every second without an answer: UDP loses datagrams."""
        for _ in range(20):
            self.says(request)
            try:
                self.hears(answer, patience=1)
                return self.old.add(answer)
            except socket.timeout:
                pass
        raise AssertionError(f"no answer to {request}")


ani, budi = Guest(), Guest()
ani.asks("USERNAME ani", "PASSWORD INCORRECT")
ani.asks("PASSWORD not" + PASSWORD, "PASSWORD INCORRECT")
ani.asks("PASSWORD " + PASSWORD, "PASSWORD OK")
ani.asks("USERNAME ani", "USERNAME OK")
ani.hears("ani bergabung ke chatroom.")

budi.asks("PASSWORD " + PASSWORD, "PASSWORD OK")
budi.asks("USERNAME Ani", "USERNAME TAKEN")
budi.asks("USERNAME budi", "USERNAME OK")
ani.hears("budi bergabung ke chatroom.")
budi.hears("budi bergabung ke chatroom.")

for text in ["hello", "ani: hello\n"]:
    ani.says(text)
    ani.hears("ani: hello")
    budi.hears("ani: hello")

budi.says("EXIT")
ani.hears("budi telah keluar dari chatroom.")
budi.asks("USERNAME budi", "PASSWORD INCORRECT")
ani.says("exit")

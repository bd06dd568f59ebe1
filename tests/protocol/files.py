"""A client of the files service, written from src/wire/PROTOCOL.md: python3 files.py HOST PORT"""

import os
import socket
import sys


class Files:
    """One connection: a reply is a line, and a body whose length the line announced."""

    def __init__(self):
        self.socket = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=20)
        self.replies = self.socket.makefile("rb")

    def gets(self, answer):
        got = self.replies.read(len(answer))
        assert got == answer, got + self.replies.readline()

    def ask(self, command, answer):
        self.socket.sendall(command)
        self.gets(answer)

    def ends(self):
        assert self.replies.read() == b"", "the server closes and says no more"


files = Files()
files.ask(b"ls\n", b"OK 0\n")
files.ask(b"upload a.txt 5\n", b"OK\n")
files.ask(b"hello", b"OK File Berhasil Dibuat\n")
files.ask(b"size a.txt\n", b"OK 5 0.00 MB\n")
files.ask(b"download a.txt\n", b"OK 5\nhello")
files.ask(b"download a.txt 2\n", b"OK 3\nllo")

# The name has a space, and the body need not wait for the first OK.
files.ask(b"upload my file.txt 3\nabc", b"OK\nOK File Berhasil Dibuat\n")
files.ask(b'download "my file.txt"\n', b"OK 3\nabc")
files.ask(b"size my file.txt\n", b"OK 3 0.00 MB\n")

# An ERROR to a question leaves the connection open.
files.ask(b"download none.txt\n", b"ERROR File Tidak Ditemukan\n")
files.ask(b"ls\r\n", b"OK 18\na.txt\nmy file.txt\n")

# Many commands at once, then the half-close: answers come in order, then the server closes.
large = os.urandom(2_097_152)
files.socket.sendall(b"upload large 2097152\n" + large + b"\nsize large\nrm a.txt\nrm a.txt\ndownload large\n")
files.socket.shutdown(socket.SHUT_WR)
files.gets(b"OK\nOK File Berhasil Dibuat\nOK 2097152 2.00 MB\n")
files.gets(b"OK File Berhasil Dihapus\nERROR File Tidak Ditemukan\nOK 2097152\n" + large)
files.ends()

# An ERROR to an unknown command ends the connection: what follows it is not done.
files = Files()
files.socket.sendall(b"hello\nrm large\n")
assert files.replies.readline().startswith(b"ERROR ")
files.ends()

files = Files()
files.ask(b"size large\nbyebye\n", b"OK 2097152 2.00 MB\nOK\n")
files.ends()

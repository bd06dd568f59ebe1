"""Opens sockets and executes a program with them, as a service manager does: sd_listen_fds(3).

usage: hand_over.py NAME=KIND... -- PROGRAM ARGUMENT...
"""
import fcntl
import os
import socket
import sys


def make(kind):
    kind, _, host = kind.partition("@")
    if kind == "file":
        return open("/dev/null")
    if kind == "none":
        return None
    if kind == "fd":  # inherited
        return socket.socket(fileno=int(host))
    if kind.startswith("unix"):
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM if kind == "unix-udp" else socket.SOCK_STREAM)
        made.bind("\0loket-test-%d" % os.getpid())
        return made
    stream = socket.SOCK_DGRAM if kind.startswith("udp") else socket.SOCK_STREAM
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, stream)
    if kind in ("tcp", "udp", "tcp-silent"):
        made.bind((host or "127.0.0.1", 0))
    if kind == "tcp":
        made.listen(4096)
    return made


split = sys.argv.index("--")
program = sys.argv[split + 1 :]
pairs = [pair.partition("=") for pair in sys.argv[1:split]]
made = [make(kind) for _, _, kind in pairs]
high = [fcntl.fcntl(one.fileno(), fcntl.F_DUPFD, 100) if one else None for one in made]
for number, one in enumerate(high):
    if one is None:
        os.closerange(3 + number, 4 + number)
    else:
        os.dup2(one, 3 + number)
        os.close(one)
os.environ.setdefault("LISTEN_PID", str(os.getpid()))
os.environ["LISTEN_FDS"] = str(len(pairs))
os.environ.setdefault("LISTEN_FDNAMES", ":".join(name for name, _, _ in pairs))
os.execvp(program[0], program)

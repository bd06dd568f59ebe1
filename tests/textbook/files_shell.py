"""A client of the files service like the textbook shell: bare commands, one recv for a reply.

Usage: files_shell.py HOST PORT upload|download NAME PATH TIMES in-turn|together
       files_shell.py HOST PORT session
An upload is named NUMBER-NAME, with the number of the repetition. For a download, PATH is a local
copy of the expected content. A session expects a root with `a.txt` (three bytes: abc) and
`two.bin` (2 MiB of zeros), and leaves `new.txt` and `two.bin` there.
"""

import socket
import sys
import time

from repeat import check, read, repeat

# The pause before the data of an upload, while the textbook client opens its file. Longer than the
# settle window of 50 ms, also on a busy machine.
PAUSE = 0.3


def connect(host, port):
    sock = socket.socket()
    sock.connect((host, int(port)))
    return sock


def ask(sock, command):
    """Sends a bare command and reads its reply with one recv."""
    sock.send(command.encode())
    return sock.recv(1024)


def upload(sock, name, data):
    sock.send(f"upload {name}".encode())
    time.sleep(PAUSE)
    sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)
    check(sock.recv(1024), b"File Berhasil Dibuat", "the answer to an upload")
    check(sock.recv(1024), b"", "the end of the stream")
    sock.close()


def download(sock, name, wanted):
    sock.send(f"download {name}".encode())
    if not wanted:
        # An empty file sends no bytes to wait for.
        sock.shutdown(socket.SHUT_WR)
    body = bytearray()
    while len(body) < len(wanted):
        piece = sock.recv(4096)
        if not piece:
            break
        body += piece
    check(body, wanted, "the body")


def goodbye(sock):
    sock.send(b"byebye")
    check(sock.recv(1024), b"", "the end of the stream")
    sock.close()


def session(host, port):
    sock = connect(host, port)
    check(ask(sock, "ls"), b"a.txt\ntwo.bin", "ls")
    check(ask(sock, "size two.bin"), b"2.00 MB", "size")
    check(ask(sock, "size nothing"), b"File Tidak Ditemukan", "size of a missing file")
    download(sock, "a.txt", b"abc")
    download(sock, "two.bin", bytes(2 << 20))
    check(ask(sock, "download nothing"), b"File Tidak Ditemukan", "download of a missing file")
    check(ask(sock, "rm a.txt"), b"File Berhasil Dihapus", "rm")
    check(ask(sock, "rm a.txt"), b"File Tidak Ditemukan", "rm again")
    check(ask(sock, "ls"), b"two.bin", "ls after rm")
    goodbye(sock)
    print("Koneksi Ditutup")
    upload(connect(host, port), "new.txt", b"fresh")
    sock = connect(host, port)
    print("Koneksi Baru Tersambung")
    check(ask(sock, "ls"), b"new.txt\ntwo.bin", "ls after the upload")
    goodbye(sock)


def main():
    host, port, what, *rest = sys.argv[1:]
    if what == "session":
        return session(host, port)
    name, path, times, order = rest
    data = read(path)

    def conversation(number, wait_for_all):
        sock = connect(host, port)
        wait_for_all()
        if what == "upload":
            upload(sock, f"{number}-{name}", data)
        else:
            download(sock, name, data)
            if data:
                goodbye(sock)
            else:
                check(sock.recv(1024), b"", "the end of the stream")

    repeat(conversation, int(times), order == "together")


main()

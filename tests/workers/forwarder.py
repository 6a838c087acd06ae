"""A way to a server that can be closed and opened again."""

from __future__ import annotations

import socket
from contextlib import suppress
from threading import Thread


class Forwarder:
    """Passes on what comes to its port, at first closed: nobody listens there, and all that was connected is cut."""

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = int(listener.getsockname()[1])
        self.listener: socket.socket | None = None
        self.sockets: list[socket.socket] = []

    def open(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", self.port))
        Thread(target=self._accept, args=[self.listener], daemon=True).start()

    def close(self) -> None:
        if self.listener:
            self.sockets.append(self.listener)
        while self.sockets:
            end = self.sockets.pop()
            with suppress(OSError):  # the other side was faster
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(self.target)
                self.sockets += [client, server]
                Thread(target=_pass_on, args=[client, server], daemon=True).start()
                Thread(target=_pass_on, args=[server, client], daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)

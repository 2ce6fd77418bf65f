"""Port: which process answers over HTTP for the endpoints of a workspace."""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal, Protocol

import msgspec

ServerKind = Literal["background", "serve", "up", "thread", "remote"]


class EndpointServer(msgspec.Struct, frozen=True):
    """A process that answers for the endpoints of a workspace.

    Args:
        url: Where it answers.
        kind: `background` one that a deployment started · `serve` and `up` the commands of these names · `thread`
            of this process · `remote` the server that holds the workspace.
        token: What callers must show it, if anything.
        pid: Number of its process; 0 where nobody here can tell.
        start: When its process started, as `core.processes.start_of` says it.
        machine: The machine that it runs on, as `core.processes.machine` names it.
        keep: Whether it outlives the process that started it.
    """

    url: str
    kind: ServerKind
    token: str | None = None
    pid: int = 0
    start: str = ""
    machine: str = ""
    keep: bool = True


class EndpointServers(Protocol):
    """Who answers for the endpoints of one workspace.

    Thread-safe and process-safe: of several that start at once, one does, and all are told of the same server.
    `find` never names a server whose process has ended. `start` returns an address at which requests may be sent
    at once, also where they are answered only when the server has come up.
    """

    @abstractmethod
    def find(self) -> EndpointServer | None:
        """Return who answers now, or None."""

    @abstractmethod
    def start(self, *, keep: bool = True) -> EndpointServer:
        """Return who answers, starting a server if there is none.

        Args:
            keep: Whether a server that is started outlives this process.
        """

    @abstractmethod
    def announce(self, server: EndpointServer) -> None:
        """Let others find a server that was started otherwise; the process that serves says it of itself."""

    @abstractmethod
    def withdraw(self, server: EndpointServer) -> None:
        """Let nobody find a server that was announced."""

    @abstractmethod
    def stop(self) -> EndpointServer | None:
        """End the server that a deployment started, and return it; None where there is none."""

    @abstractmethod
    def log(self, *, lines: int = 100) -> list[str]:
        """Return the last lines that the server wrote, oldest first; none where nobody kept them."""

    @abstractmethod
    def close(self) -> None:
        """End what was not to outlive this process; a server that is kept goes on."""

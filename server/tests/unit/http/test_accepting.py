"""Whoever comes behind others is accepted with them, not a round of the loop for each later."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack

from headcount.http.accepting import Accepting

CLIENTS, ROUNDS = 200, 5


def test_all_who_wait_are_accepted_in_a_round_or_two() -> None:
    accepted: list[socket.socket] = []

    async def run(listening: socket.socket) -> None:
        accepting = Accepting(listening, lambda sock, _: accepted.append(sock))
        for _ in range(ROUNDS):
            await asyncio.sleep(0)
        accepting.close()

    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=CLIENTS))
        for _ in range(CLIENTS):
            stack.enter_context(socket.create_connection(listening.getsockname()))
        asyncio.run(run(listening))
        for each in accepted:
            each.close()
    assert len(accepted) == CLIENTS

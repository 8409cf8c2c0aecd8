"""Channels of alerts over the API."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from support.installation import Installation


def test_no_other_request_waits_while_a_webhooks_host_is_looked_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has a token of one workspace may name a host whose servers answer no lookup."""
    with_loop: list[bool] = []

    really = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *more: Any, **named: Any) -> Any:
        if host != "hooks.example":
            return really(host, port, *more, **named)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            with_loop.append(False)
        else:
            with_loop.append(True)
        return [(2, 1, 6, "", ("93.184.215.14", port))]

    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
    body = {"name": "ops", "webhook": "https://hooks.example/usage"}
    with Installation(tmp_path) as place, place.client(place.admin_secret) as client:
        answer = client.post("/headcount/v1/channels", json=body)
    assert answer.status_code == 201, answer.text
    assert with_loop == [False]


@pytest.mark.parametrize(
    "limit", ["1001", "0000000011001", "000000001" + "0" * 5_000, "0", "x", "-1"]
)
def test_a_list_of_contributions_is_no_longer_than_it_may_be(tmp_path: Path, limit: str) -> None:
    with Installation(tmp_path) as place, place.client() as client:
        answer = client.get("/headcount/v1/explain", params={"limit": limit})
    assert answer.status_code == 422, answer.text

"""Links and limits outlast a restart of the server, and are in a backup of its folder."""

from __future__ import annotations

import json
from pathlib import Path

from headcount.catalog import Catalog
from support.program import Program
from support.server_fixture import serving


def test_a_link_shows_its_view_after_a_restart_and_out_of_a_backup(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "1") as server:
        server.shop("Shop", "web")
        program = server.program
        made = program.json("link", "add", "--workspace", "Shop", "--url", server.api)
        program.json("plan", "set", "--workspace", "Shop", "--mtu", "7", "--from", "2026-01-01")
        path = made["link"].removeprefix(server.api)
        # The running server learns of a link that a command made.
        answer = server.send("GET", server.api + path)
        assert answer.status == 200, answer.body
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        secret = path.rpartition("/")[2]
        refused = server.send(
            "GET", f"{server.api}/headcount/v1/summary", Authorization=f"Bearer {secret}"
        )
        assert refused.status == 401
        [listed] = program.json("link", "list")
        assert listed["lastUsedAt"] is not None
        assert not any(secret in line for line in server.log)
    taken = program.run("backup", str(tmp_path / "backup"))
    assert taken.returncode == 0, taken.stderr
    with serving(tmp_path, "--workers", "1") as server:
        assert server.send("GET", server.api + path).status == 200
        program.json("link", "revoke", made["id"])
        assert server.send("GET", server.api + path).status == 404
        assert not any(secret in line for line in server.log)
    restored = Program(tmp_path / "restored", tmp_path)
    done = restored.run("restore", str(tmp_path / "backup"))
    assert done.returncode == 0, done.stderr
    with Catalog(restored.data / "catalog.sqlite") as catalog:
        link = catalog.link_by_secret(secret)
        assert link is not None
        # As it was when the backup was taken: what was revoked since is valid in it.
        assert link.revoked_at_ms is None
        assert link.used_at_ms is not None
        [limit] = catalog.dated_limits(link.workspace)
        assert (limit.metric, limit.amount) == ("mtu", 7)
    found = json.loads(restored.run("doctor", "--json").stdout)
    assert {each["level"] for each in found["findings"] if each["check"] == "plan"} <= {"ok"}

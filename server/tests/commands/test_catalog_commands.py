"""The commands that manage workspaces, sources, tokens and plans, run as the real program."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from headcount import __version__
from headcount.catalog import Catalog
from support.program import PROGRAM, Program, environment


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(data=tmp_path / "data", cwd=tmp_path)


@pytest.fixture
def shop(program: Program) -> Any:
    return program.json("workspace", "add", "Shop")


def refused(finished: subprocess.CompletedProcess[str], status: int, *words: str) -> None:
    """The command failed as it should: its status, one line on standard error, no traceback."""
    assert finished.returncode == status
    assert finished.stdout == ""
    assert finished.stderr.startswith("Error: ")
    assert len(finished.stderr.splitlines()) == 1
    for word in words:
        assert word in finished.stderr


def test_workspaces_are_added_and_listed(program: Program, shop: Any) -> None:
    assert sorted(shop) == ["id", "name"]
    assert shop["name"] == "Shop"
    other = program.run("workspace", "add", "متجر [b]")
    assert other.returncode == 0
    assert "--workspace 'متجر [b]'" in other.stderr
    listed = program.json("workspace", "list")
    assert [each["name"] for each in listed] == ["Shop", "متجر [b]"]
    assert listed[0]["id"] == shop["id"]
    table = program.run("workspace", "list")
    assert f"{shop['id']}  Shop" in table.stdout
    assert "متجر [b]" in table.stdout
    refused(program.run("workspace", "add", "Shop"), 2, "already", "workspace list")
    refused(program.run("workspace", "add", " "), 2, "empty")


def test_a_source_goes_through_its_life(program: Program, shop: Any) -> None:
    web = program.json("source", "add", "web", "--workspace", "Shop")
    assert sorted(web) == ["id", "name", "writeKey"]
    app = program.json("source", "add", "app", "--workspace", shop["id"])
    disabled = program.json("source", "disable", "web", "--workspace", "Shop")
    assert disabled == web
    rotated = program.json("source", "rotate-key", app["id"])
    assert rotated["id"] == app["id"]
    assert rotated["writeKey"] != app["writeKey"]
    listed = program.json("source", "list", "--workspace", "Shop")
    assert [(each["id"], each["enabled"], each["writeKey"]) for each in listed] == [
        (web["id"], False, web["writeKey"]),
        (app["id"], True, rotated["writeKey"]),
    ]
    assert {each["workspaceId"] for each in listed} == {shop["id"]}
    enabled = program.run("source", "enable", "web")
    assert "enabled" in enabled.stdout
    table = program.run("source", "list").stdout
    assert f"{web['id']}  Shop       web   {web['writeKey']}  enabled\n" in table


def test_a_source_name_that_two_workspaces_share_must_be_told_apart(
    program: Program, shop: Any
) -> None:
    program.json("workspace", "add", "Other")
    for workspace in ("Shop", "Other"):
        program.json("source", "add", "web", "--workspace", workspace)
    refused(program.run("source", "disable", "web"), 2, "2 workspaces", "--workspace")
    assert program.run("source", "disable", "web", "--workspace", "Other").returncode == 0
    assert [each["enabled"] for each in program.json("source", "list")] == [True, False]
    refused(program.run("source", "disable", "nope"), 2, '"nope"', "source list")
    refused(program.run("source", "disable", "web", "--workspace", "x"), 2, '"x"', "workspace list")


def test_a_token_goes_through_its_life(program: Program, shop: Any) -> None:
    reading = program.json("token", "add", "--workspace", "Shop")
    assert sorted(reading) == ["id", "token"]
    shown = program.run(
        "token", "add", "--workspace", "Shop", "--scope", "admin", "--expires", "2999-01-01"
    )
    assert "2999-01-01T00:00:00Z" in shown.stdout
    assert "cannot be shown again" in shown.stderr
    with Catalog(program.data / "catalog.sqlite", read_only=True) as catalog:
        found = catalog.token_by_secret(reading["token"])
        assert found is not None
        assert (found.id, found.scope, found.expires_at_ms) == (reading["id"], "read", None)
    revoked = program.json("token", "revoke", reading["id"])
    assert revoked["state"] == "revoked"
    first, second = program.json("token", "list", "--workspace", "Shop")
    assert first == revoked
    assert (second["scope"], second["state"]) == ("admin", "valid")
    assert reading["token"] not in program.run("token", "list").stdout
    refused(program.run("token", "revoke", "nope"), 2, "token list")


@pytest.mark.parametrize("expires", ["30d", "12h", "2999-12-31", "2999-12-31T00:00:00+01:00"])
def test_expiries_that_are_understood(program: Program, shop: Any, expires: str) -> None:
    program.json("token", "add", "--workspace", "Shop", "--expires", expires)
    [token] = program.json("token", "list")
    assert token["expiresAt"] > token["createdAt"]


@pytest.mark.parametrize(
    ("expires", "word"),
    [
        ("soon", "2027-01-01"),
        ("30", "2027-01-01"),
        ("2999-02-30", "2027-01-01"),
        ("2999-01-01T00:00:00", "zone"),
        ("2001-01-01", "passed"),
        ("0d", "passed"),
    ],
)
def test_expiries_that_are_not(program: Program, shop: Any, expires: str, word: str) -> None:
    refused(program.run("token", "add", "--workspace", "Shop", "--expires", expires), 2, word)
    assert program.json("token", "list") == []


def test_a_plan_keeps_what_was_not_named(program: Program, shop: Any) -> None:
    plan = ("plan", "set", "--workspace", "Shop")

    def in_force(*arguments: str) -> dict[str, Any]:
        shown: dict[str, Any] = program.json(*arguments)
        shown.pop("dated")
        assert shown.pop("prices") == []
        return shown

    shown = program.json("plan", "show", "--workspace", "Shop")
    assert shown == {"mtu": None, "apiCalls": None, "dated": [], "prices": []}
    assert in_force(*plan, "--mtu", "10000") == {"mtu": 10000, "apiCalls": None}
    assert in_force(*plan, "--api-calls", "5") == {"mtu": 10000, "apiCalls": 5}
    assert in_force(*plan, "--mtu", "none") == {"mtu": None, "apiCalls": 5}
    shown = program.run("plan", "show", "--workspace", "Shop")
    assert shown.stdout.startswith("MTU        no limit\nAPI calls  5\n")
    refused(program.run(*plan), 2, "--mtu")
    refused(program.run(*plan, "--mtu", "many"), 2, "--mtu", '"many"', "whole number")
    refused(program.run(*plan, "--mtu", "9" * 16), 2, "15 digits")


def test_empty_lists_say_what_to_do_next_and_print_nothing(program: Program, shop: Any) -> None:
    for kind in ("source", "token"):
        finished = program.run(kind, "list")
        assert (finished.returncode, finished.stdout) == (0, "")
        assert f"headcount {kind} add" in finished.stderr
        assert program.json(kind, "list") == []


def test_data_comes_from_the_flag_else_the_variable_else_the_file(tmp_path: Path) -> None:
    program = Program(data=tmp_path / "variable", cwd=tmp_path)
    (tmp_path / "headcount.toml").write_text('data = "file"\n')
    program.json("workspace", "add", "one")
    program.json("workspace", "add", "two", "--data", "flag")
    subprocess.run(
        [*PROGRAM, "workspace", "add", "three"],
        cwd=tmp_path, env=environment(), check=True, capture_output=True,
    )  # fmt: skip
    for folder, name in (("variable", "one"), ("flag", "two"), ("file", "three")):
        [workspace] = program.json("workspace", "list", "--data", folder)
        assert workspace["name"] == name


def test_a_limit_has_a_day_and_can_be_taken_back(program: Program, shop: Any) -> None:
    shop = ("--workspace", "Shop")
    program.json("plan", "set", *shop, "--mtu", "100", "--from", "beginning")
    program.json("plan", "set", *shop, "--mtu", "250", "--from", "2026-03-01")
    told = program.json("plan", "set", *shop, "--mtu", "900", "--from", "2999-01-01")
    assert told["mtu"] == 250
    assert [(each["inForceFrom"], each["limit"]) for each in told["dated"]] == [
        ("beginning", 100), ("2026-03-01", 250), ("2999-01-01", 900)
    ]  # fmt: skip
    shown = program.run("plan", "show", *shop).stdout
    assert "2026-03-01" in shown
    assert "250" in shown
    take = ("plan", "take-back", *shop, "--metric")
    assert program.json(*take, "mtu", "--from", "2026-03-01")["mtu"] == 100
    refused(program.run(*take, "mtu", "--from", "2026-03-01"), 2, "2026-03-01", "plan show")
    refused(program.run(*take, "api-calls", "--from", "beginning"), 2, "API calls", "plan show")
    refused(program.run(*take, "mtu", "--from", "March"), 2, '"March"', "2026-11-01")
    assert program.json(*take, "mtu", "--from", "beginning")["mtu"] is None


def test_metrics_of_quotas_and_alerts_are_called_as_everywhere(program: Program, shop: Any) -> None:
    program.json("source", "add", "web", "--workspace", "Shop")
    amounts = ("--mtu", "5", "--api-calls", "100")
    told = program.json("source", "quota", "web", *amounts)["quotas"]
    assert {each["metric"]: each["amount"] for each in told} == {"apiCalls": 100, "mtu": 5}
    assert "API calls  " in program.run("source", "quota", "web").stdout
    add = ("alert", "add", "--workspace", "Shop", "--metric", "rejected-share", "--at", "5%")
    assert program.json(*add)["metric"] == "rejectedShare"
    assert "count, rejected messages" in program.run("alert", "list").stdout


def test_what_happens_past_a_quota_stays_until_somebody_says_otherwise(
    program: Program, shop: Any
) -> None:
    program.json("source", "add", "web", "--workspace", "Shop")
    quota = ("source", "quota", "web")
    refused(program.run(*quota, "--past", "refuse"), 2, "web has no quota", "--api-calls")

    def told(*options: str) -> list[tuple[str, int, str]]:
        found = program.json(*quota, *options)["quotas"]
        return [(each["metric"], each["amount"], each["past"]) for each in found]

    assert told("--api-calls", "50") == [("apiCalls", 50, "mark")]
    assert told("--past", "refuse") == [("apiCalls", 50, "refuse")]
    # Who only gives it more room does not open it to everything.
    assert told("--api-calls", "90") == [("apiCalls", 90, "refuse")]
    both = told("--mtu", "7")
    assert sorted(both) == [("apiCalls", 90, "refuse"), ("mtu", 7, "mark")]
    assert {past for _, _, past in told("--past", "mark")} == {"mark"}
    assert told("--api-calls", "none", "--past", "refuse") == [("mtu", 7, "mark")]


def test_a_link_is_made_listed_and_revoked(program: Program, shop: Any) -> None:
    program.json("source", "add", "web", "--workspace", "Shop")
    add = ("link", "add", "--workspace", "Shop")
    shown = program.run(*add, "--name", "Board", "--beside", "12", "--url", "https://u.example/")
    assert "https://u.example/page/view/hcl_" in shown.stdout
    assert "beside 12 months before" in shown.stdout
    assert "cannot be shown again" in shown.stderr
    made = program.json(*add, "--source", "web", "--period", "2026-10", "--expires", "30d")
    assert made["link"].startswith("http://127.0.0.1:8081/page/view/hcl_")
    secret = made["link"].rpartition("/")[2]
    listed = program.json("link", "list")
    assert secret not in json.dumps(listed)
    assert [(each["view"], each["sourceName"], each["period"], each["against"], each["state"])
            for each in listed] == [
        ("workspace", None, None, 12, "valid"), ("source", "web", "2026-10", 1, "valid")
    ]  # fmt: skip
    assert listed[0]["lastUsedAt"] is None
    table = program.run("link", "list", "--workspace", "Shop").stdout
    assert "source web, 2026-10" in table
    assert "never" in table
    with Catalog(program.data / "catalog.sqlite") as catalog:
        found = catalog.link_by_secret(secret)
        assert found is not None
        assert found.id == made["id"] == listed[1]["id"]
    assert program.json("link", "revoke", made["id"])["state"] == "revoked"
    assert program.json("link", "list")[1]["state"] == "revoked"
    refused(program.run("link", "revoke", "nobody"), 2, "nobody", "link list")
    refused(program.run(*add, "--source", "web", "--all-sources"), 2, "--all-sources")
    refused(program.run(*add, "--source", "nobody"), 2, "nobody", "source list")
    refused(program.run(*add, "--period", "soon"), 2, "--period", '"soon"')
    refused(program.run(*add, "--expires", "2020-01-01"), 2, "passed")
    refused(program.run(*add, "--name", "two\nlines"), 2, "control character")


def test_folders_that_cannot_be_used_are_one_sentence_and_status_1(program: Program) -> None:
    refused(program.run("workspace", "list"), 1, "There is no data folder", "--data")
    program.data.mkdir()
    (program.data / "letter.txt").write_text("dear")
    refused(program.run("workspace", "add", "x"), 1, "not a data folder", "empty folder")
    (program.data / "letter.txt").unlink()
    program.json("workspace", "add", "x")
    (program.data / "format").write_text("Headcount data folder, format 9\n")
    refused(program.run("workspace", "list"), 1, "newer version", "Install")
    (program.data / "format").write_text("Headcount data folder, format 2\n")
    (program.data / "catalog.sqlite").write_bytes(b"x" * 5000)
    refused(program.run("workspace", "list"), 1, "catalog.sqlite", "backup")


def test_wrong_settings_are_one_sentence_and_status_2(program: Program) -> None:
    refused(program.run("serve", "--workers", "none"), 2, "--workers", "from 1 to 64")
    refused(program.run("serve", "--api", "8081"), 2, "--api", "127.0.0.1:8080")
    refused(program.run("workspace", "list", "--config", "no.toml"), 2, "no.toml", "--config")
    warned = program.run("workspace", "add", "x", HEADCOUNT_WORKER="2")
    assert warned.returncode == 0
    assert "Warning: The variable HEADCOUNT_WORKER " in warned.stderr


def test_unknown_words_point_to_help_with_status_2(program: Program) -> None:
    for arguments in (("nope",), ("workspace", "nope"), ("workspace", "add"), ("source", "-x")):
        finished = program.run(*arguments)
        assert finished.returncode == 2
        assert "--help" in finished.stderr
        assert "Traceback" not in finished.stderr


def test_a_reader_that_goes_away_and_a_full_disk_make_no_noise(
    program: Program, shop: Any, tmp_path: Path
) -> None:
    command = [*PROGRAM, "workspace", "list"]
    env = environment(HEADCOUNT_DATA=str(program.data))
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, cwd=tmp_path
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1
    with Path("/dev/full").open("w") as full:
        finished = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, env=env, cwd=tmp_path, text=True
        )
    assert finished.returncode == 1
    assert finished.stderr == "Error: The disk is full. Free some space, then try again.\n"


def test_json_survives_any_terminal(program: Program, shop: Any) -> None:
    program.json("source", "add", "店 👩", "--workspace", "Shop")
    finished = program.run("source", "list", "--json", PYTHONIOENCODING="ascii")
    assert json.loads(finished.stdout)[0]["name"] == "店 👩"
    table = program.run("source", "list", PYTHONIOENCODING="ascii")
    assert table.returncode == 0
    assert "? ?" in table.stdout


def test_version(program: Program) -> None:
    assert program.run("--version").stdout == f"headcount {__version__}\n"

"""Settings: hosts, credentials, defaults, logs."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import segment_public_api as sdk
from sdk_callers import call_sync
from sdk_scripted_server import answer, workspace_page
from segment_public_api import ApiValueError, Configuration, InsecureHostWarning, _hosts

US = "https://api.segmentapis.com"
EU = "https://eu1.api.segmentapis.com"


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    """Defaults and log levels belong to the process: put them back."""
    yield
    Configuration.set_default(None)
    sdk.ApiClient.set_default(None)
    _hosts._warned_hosts.clear()
    for name in ("segment_public_api", "urllib3"):
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.mark.parametrize(
    ("arguments", "host"),
    [
        ({}, US),
        ({"region": "us"}, US),
        ({"region": "EU"}, EU),
        ({"server_index": 1}, EU),
        ({"host": "http://127.0.0.1:8081/"}, "http://127.0.0.1:8081"),
        ({"host": "https://usage.example.com/base"}, "https://usage.example.com/base"),
        ({"host": "http://[::1]:8081"}, "http://[::1]:8081"),
    ],
)
def test_hosts(arguments: dict[str, Any], host: str) -> None:
    assert Configuration(**arguments).host == host


@pytest.mark.parametrize(
    "host",
    [
        "",
        "127.0.0.1:8081",
        "usage.example.com",
        "ftp://x",
        "http://",
        "https://x?y=1",
        "http://x:y",
    ],
)
def test_a_host_that_is_no_address(host: str) -> None:
    with pytest.raises(ApiValueError, match="host must be an address"):
        Configuration(host=host)


def test_a_password_in_the_host_is_refused_unseen() -> None:
    with pytest.raises(ApiValueError, match="access_token") as caught:
        Configuration(host="https://me:hunter2@usage.example.com")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("region", ["uk", "", 1])
def test_an_unknown_region(region: Any) -> None:
    with pytest.raises(ApiValueError, match="'us' or 'eu'"):
        Configuration(region=region)


def test_a_region_and_a_host_contradict_each_other() -> None:
    with pytest.raises(ApiValueError, match="leave out host"):
        Configuration(host="http://127.0.0.1", region="eu")


def test_plain_http_beyond_this_machine_warns_once() -> None:
    with pytest.warns(InsecureHostWarning, match="usage.example.com"):
        configuration = Configuration(host="http://usage.example.com")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        configuration.host = "http://usage.example.com/again"
        sdk.ApiClient(configuration).param_serialize("GET", "/x")


@pytest.mark.parametrize("host", ["http://localhost:1", "http://127.9.9.9", "http://[::1]"])
def test_plain_http_on_this_machine_is_silent(host: str) -> None:
    Configuration(host=host, require_https=True)


def test_https_can_be_required() -> None:
    with pytest.raises(ApiValueError, match="require_https"):
        Configuration(host="http://usage.example.com", require_https=True)


def test_a_single_call_can_go_to_another_host() -> None:
    configuration = Configuration(server_operation_index={"op": 1})
    assert configuration.host_for_operation("op", 0) == EU
    assert configuration.host_for_operation("other", 0) == US
    assert configuration.host_for_operation("other", 1) == EU
    configuration.ignore_operation_servers = True
    assert configuration.host_for_operation("op", 1) == US


def test_hosts_with_variables() -> None:
    servers = [
        {
            "url": "https://{zone}.example.com",
            "variables": {"zone": {"default_value": "a", "enum_values": ["a", "b"]}},
        }
    ]
    configuration = Configuration()
    settle = configuration.get_host_from_settings
    assert settle(0, servers=servers) == "https://a.example.com"
    assert settle(0, {"zone": "b"}, servers) == "https://b.example.com"
    with pytest.raises(ValueError, match="zone"):
        settle(0, {"zone": "c"}, servers)
    with pytest.raises(ValueError, match="server_index"):
        settle(7)
    assert [server["url"] for server in configuration.get_host_settings()] == [US, EU]


def test_the_default_configuration() -> None:
    mine = Configuration(access_token="abc", host="http://127.0.0.1:1")
    Configuration.set_default(mine)
    assert Configuration.get_default() is mine
    assert sdk.ApiClient().configuration is mine
    assert sdk.APICallsApi().api_client is sdk.ApiClient.get_default()
    twin = Configuration.get_default_copy()
    assert (twin is not mine, twin.access_token, twin.host) == (True, "abc", mine.host)
    twin.api_key["x"] = "y"
    assert mine.api_key == {}


def test_a_copy_of_one_with_a_log_file(tmp_path: Path) -> None:
    made = Configuration(logger_file=str(tmp_path / "log"), debug=True)
    twin = copy.deepcopy(made)
    assert twin.logger_file == made.logger_file
    made.logger_file = None


def test_credentials() -> None:
    made = Configuration(
        username="me", password="pw", api_key={"k": "v"}, api_key_prefix={"k": "Token"}
    )
    assert made.get_basic_auth_token() == "Basic bWU6cHc="
    assert made.get_api_key_with_prefix("k") == "Token v"
    assert made.get_api_key_with_prefix("other", alias="k") == "v"
    assert made.get_api_key_with_prefix("other") is None
    assert made.auth_settings() == {}
    made.access_token = "abc"
    assert made.auth_settings()["token"]["value"] == "Bearer abc"


def test_the_log_file_gets_requests_and_no_secret(tmp_path: Path, scripted: Any) -> None:
    server = scripted(answer(workspace_page([1])))
    path = tmp_path / "log"
    made = Configuration(
        host=server.host, access_token="tok-Zx81Secret", debug=True, logger_file=str(path)
    )
    made.logger_format = "%(name)s %(message)s"
    call_sync(made, "get_daily_workspace_api_calls_usage", "2021-02-01")
    made.logger_file = None
    text = path.read_text()
    assert "segment_public_api GET /usage/api-calls/daily: status 200" in text
    assert "Zx81Secret" not in text


def test_the_debug_report_holds_versions_and_no_secret() -> None:
    report = Configuration(access_token="tok-Zx81Secret").to_debug_report()
    assert sdk.__version__ in report
    assert "Zx81Secret" not in report


def test_further_headers_and_cookies(scripted: Any) -> None:
    server = scripted(answer(workspace_page([1])))
    client = sdk.ApiClient(
        Configuration(host=server.host), header_name="X-Team", header_value="a", cookie="c=1"
    )
    client.set_default_header("X-More", "b")
    api = sdk.APICallsApi(client)
    api.get_daily_workspace_api_calls_usage("2021-02-01", _headers={"X-More": "mine"})
    headers = server.requests[0].headers
    assert (headers["x-team"], headers["x-more"], headers["cookie"]) == ("a", "mine", "c=1")
    client.close()

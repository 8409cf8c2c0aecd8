"""Settings come from the flag, else the variable, else the file; wrong ones are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from headcount.config import SETTINGS, Address, Settings
from headcount.errors import SettingError
from headcount.loading import load_settings
from headcount.setting_texts import settings_from, texts_of


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_anything_said_the_defaults_hold() -> None:
    settings, warnings = load_settings({}, {})
    assert settings == Settings()
    assert warnings == []
    assert str(settings.tracking) == "127.0.0.1:8080"
    assert settings.workers >= 1


def test_a_flag_goes_before_a_variable_and_a_variable_before_the_file(folder: Path) -> None:
    (folder / "headcount.toml").write_text(
        'workers = 1\nrate_limit_per_minute = 11\ndata = "kept"\napi = "0.0.0.0:81"\n'
    )
    environ = {"HEADCOUNT_WORKERS": "2", "HEADCOUNT_RATE_LIMIT_PER_MINUTE": "22"}
    settings, warnings = load_settings({"workers": "3", "data": None}, environ)
    assert (settings.workers, settings.rate_limit_per_minute) == (3, 22)
    assert settings.data == Path("kept")
    assert settings.api == Address("0.0.0.0", 81)
    assert warnings == []


def test_the_file_can_be_named_and_its_paths_are_relative_to_it(folder: Path) -> None:
    elsewhere = folder / "etc"
    elsewhere.mkdir()
    (elsewhere / "mine.toml").write_text('data = "d"\nhash_key = "/secret/key"\n')
    (folder / "headcount.toml").write_text("workers = 7\n")
    by_flag, _ = load_settings({}, {}, "etc/mine.toml")
    by_variable, _ = load_settings({}, {"HEADCOUNT_CONFIG": "etc/mine.toml"})
    assert by_flag == by_variable
    assert by_flag.data == Path("etc/d")
    assert by_flag.hash_key == Path("/secret/key")
    assert by_flag.workers == Settings().workers


def test_an_empty_variable_is_not_set() -> None:
    assert load_settings({}, {"HEADCOUNT_WORKERS": "", "HEADCOUNT_CONFIG": ""})[0] == Settings()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:0", Address("127.0.0.1", 0)),
        ("[::1]:8080", Address("::1", 8080)),
        ("example.test:65535", Address("example.test", 65535)),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    settings, _ = load_settings({"tracking": text}, {})
    assert settings.tracking == address
    assert str(settings.tracking) == text


@pytest.mark.parametrize(
    ("name", "text", "right"),
    [
        ("tracking", "8080", "127.0.0.1:8080"),
        ("tracking", ":8080", "127.0.0.1:8080"),
        ("tracking", "::1:8080", "127.0.0.1:8080"),
        ("tracking", "localhost:", "port from 0 to 65535"),
        ("api", "localhost:65536", "port from 0 to 65535"),
        ("api", "localhost:-1", "port from 0 to 65535"),
        ("api", "localhost:" + "9" * 5000, "port from 0 to 65535"),
        ("workers", "0", "whole number from 1 to 64"),
        ("workers", "two", "whole number from 1 to 64"),
        ("workers", "2.0", "whole number from 1 to 64"),
        ("workers", "²", "whole number from 1 to 64"),
        ("workers", "9" * 5000, "whole number from 1 to 64"),
        ("rate_limit_per_minute", "0", "from 1 to 1,000,000"),
        ("dedup_window_days", "36", "from 0 to 35"),
        ("data", "", "path"),
        ("hash_key", "a\0b", "path"),
    ],
)
def test_a_wrong_value_is_named_with_its_place_and_what_would_be_right(
    folder: Path, name: str, text: str, right: str
) -> None:
    setting = SETTINGS[name]
    with pytest.raises(SettingError) as by_flag:
        load_settings({name: text}, {})
    assert f"The option {setting.flag} is" in by_flag.value.problem
    assert right in by_flag.value.remedy
    assert by_flag.value.exit_status == 2
    if text:
        with pytest.raises(SettingError, match=f"The variable {setting.env} is") as by_variable:
            load_settings({}, {setting.env: text})
        assert right in by_variable.value.remedy
    if "\0" not in text:
        (folder / "headcount.toml").write_text(f'{name} = "{text}"\n')
        with pytest.raises(SettingError, match=rf"{name} in headcount\.toml is") as by_file:
            load_settings({}, {})
        assert right in by_file.value.remedy


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("worker = 2", 'unknown key "worker".*Did you mean workers'),
        ("[serve]\nworkers = 2", 'unknown key "serve"'),
        ("workers = true", "workers in .*neither text nor a whole number"),
        ("workers = 2.5", "workers in .*neither text nor a whole number"),
        ("workers = 1\nworkers = = 2", "not TOML.*line 2"),
        ("\xff", "not TOML"),
    ],
)
def test_a_wrong_file_is_refused(folder: Path, content: str, message: str) -> None:
    (folder / "headcount.toml").write_bytes(content.encode("latin-1"))
    with pytest.raises(SettingError, match=message):
        load_settings({}, {})


def test_a_file_that_is_not_there_is_refused_when_it_was_named(folder: Path) -> None:
    with pytest.raises(SettingError, match=r"nowhere\.toml cannot be read: No such file"):
        load_settings({}, {}, "nowhere.toml")
    (folder / "headcount.toml").mkdir()
    with pytest.raises(SettingError, match=r"headcount\.toml cannot be read"):
        load_settings({}, {})


def test_a_variable_that_a_command_looks_at_is_not_warned_about() -> None:
    names = ("TOKEN", "THEIRS_TOKEN", "FORWARD_WRITE_KEY", "SMTP", "CHANNEL_URL")
    _, warnings = load_settings({}, {f"HEADCOUNT_{name}": "x" for name in names})
    assert warnings == []


def test_a_variable_that_is_no_setting_is_warned_about() -> None:
    _, warnings = load_settings({}, {"HEADCOUNT_WORKER": "2", "HEADCOUNT_ZZ": "", "HOME": "/"})
    assert len(warnings) == 2
    assert "HEADCOUNT_WORKER " in warnings[0]
    assert "HEADCOUNT_WORKERS?" in warnings[0]
    assert "HEADCOUNT_ZZ" in warnings[1]


def test_one_address_cannot_serve_both() -> None:
    with pytest.raises(SettingError, match=r"both 127\.0\.0\.1:9000"):
        load_settings({"tracking": "127.0.0.1:9000", "api": "127.0.0.1:9000"}, {})
    load_settings({"tracking": "127.0.0.1:0", "api": "127.0.0.1:0"}, {})


def test_every_setting_is_described() -> None:
    for setting in SETTINGS.values():
        assert setting.doc.endswith(".")
        assert setting.is_switch or setting.metavar.isupper()
        text = str(setting.default)
        assert setting.default is None or setting.parse(text) == setting.default


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("128M", 128 << 20),
        ("2G", 2 << 30),
        (" 260MiB ", 260 << 20),
        ("300mb", 300 << 20),
        ("1T", 1 << 40),
        ("200000k", 200_000 << 10),
        ("536870912", 512 << 20),
    ],
)
def test_a_size_is_a_number_with_a_unit(text: str, size: int) -> None:
    assert load_settings({"memory": text}, {})[0].memory == size


@pytest.mark.parametrize("text", ["", "127M", "1.5G", "-2G", "2 GB x", "M", "9" * 5_000, "5E"])
def test_what_is_no_size_or_too_small_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="at least 128M"):
        load_settings({"memory": text}, {})


GIVEN = {
    "data": "/kept/here",
    "tracking": "[::1]:8090",
    "api": "0.0.0.0:81",
    "workers": "3",
    "hash_key": "/secret/key",
    "rate_limit_per_minute": "7",
    "no_event_names": "true",
    "memory": "2G",
    "source_messages_per_minute": "1000",
    "source_ids_per_minute": "100",
    "forward_spool": "32M",
    "forward_days": "3",
    "dedup_window_days": "3",
    "idle_timeout_s": "9",
    "tracking_url": "https://tracking.example.com",
    "path_prefix": "/analytics",
    "analytics_js": "/srv/analytics.min.js",
    "tls_cert": "/tls/chain.pem",
    "tls_key": "/tls/key.pem",
    "trusted_proxies": "10.0.0.5,192.168.1.0/24,::1",
    "metrics_from": "10.0.0.9",
    "allow_http": "true",
    "log_format": "json",
    "require_existing": "true",
    "cluster": "postgresql://db.example.com/headcount",
    "node": "eu-1",
    "ack": "log",
    "prune_after": "backup",
    "backups": "/mnt/backups",
    "backup_minutes": "5",
    "take_over_after": "30",
    "log_days": "7",
    "host": "eu",
    "token_file": "/secret/token",
}


def test_another_process_is_given_every_setting_as_it_is() -> None:
    settings, _ = load_settings(GIVEN, {})
    same = [name for name in SETTINGS if getattr(settings, name) == getattr(Settings(), name)]
    assert same == [], "each has to differ from its default, to be seen"
    assert settings_from(texts_of(settings)) == settings


def test_another_process_finds_paths_wherever_it_works(folder: Path) -> None:
    settings, _ = load_settings({"data": "kept"}, {})
    given = settings_from(texts_of(settings))
    assert given.data == folder / "kept"
    assert given.hash_key is None


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://tracking.example.com/", "https://tracking.example.com"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("https://example.com/t", "https://example.com/t"),
    ],
)
def test_tracking_urls(text: str, url: str) -> None:
    settings, _ = load_settings({"tracking_url": text}, {})
    assert settings.tracking_url == url


@pytest.mark.parametrize(
    "text", ["tracking.example.com", "ftp://example.com", "https://", "https://a/?b", 'https://a"b']
)
def test_what_is_no_tracking_url(text: str) -> None:
    with pytest.raises(SettingError, match="an address such as https"):
        load_settings({"tracking_url": text}, {})


@pytest.mark.parametrize("text", ["/analytics", "analytics/", " /analytics ", "//analytics"])
def test_path_prefixes(text: str) -> None:
    settings, _ = load_settings({"path_prefix": text}, {})
    assert settings.path_prefix == "/analytics"


@pytest.mark.parametrize("text", ["", "/", "/a b", "/a//b", "/a?b", "/ü"])
def test_what_is_no_path_prefix(text: str) -> None:
    with pytest.raises(SettingError, match="the beginning of a path"):
        load_settings({"path_prefix": text}, {})


def test_the_address_of_a_cluster_is_quoted_nowhere() -> None:
    with pytest.raises(SettingError, match="postgresql://") as refused:
        load_settings({}, {"HEADCOUNT_CLUSTER": "mysql://me:sesame@host/db"})
    assert "sesame" not in str(refused.value)
    assert "HEADCOUNT_CLUSTER" in str(refused.value)


@pytest.mark.parametrize("name", ["", "-a", "A", "a.b", "a b", "é", "x" * 41])
def test_a_node_has_a_plain_name(name: str) -> None:
    with pytest.raises(SettingError, match="small letters"):
        load_settings({"cluster": "@dsn", "node": name or " "}, {})


@pytest.mark.parametrize(
    "flags",
    [
        {"node": "a"}, {"ack": "log"}, {"take_over_after": "5"},
        {"prune_after": "backup", "backups": "/kept"},
    ],
)  # fmt: skip
def test_what_means_something_in_a_cluster_only_is_refused_without_one(
    flags: dict[str, str | None],
) -> None:
    with pytest.raises(SettingError, match="in a cluster only"):
        load_settings(flags, {})
    assert load_settings(flags | {"cluster": "@dsn"}, {})[0].cluster == "@dsn"

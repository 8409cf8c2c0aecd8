"""Takes a caller's settings; gives hosts, credentials and loggers; refuses what cannot work."""

from __future__ import annotations

import copy
import logging
import os
import platform
import sys
from typing import TYPE_CHECKING, Any, ClassVar, Self

from ._hosts import SERVERS, InsecureHostWarning, base_url, region_index
from ._version import API_VERSION, __version__
from .exceptions import ApiValueError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from urllib3 import Retry

__all__ = ["Configuration", "InsecureHostWarning"]

DEFAULT_LOGGER_FORMAT = "%(asctime)s %(levelname)s %(message)s"
CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 60.0
RETRY_WAIT_MAX_S = 60.0
CALL_BUDGET_S = 120.0

Timeout = float | tuple[float, float] | None


class Configuration:
    """Settings of an `ApiClient`. Each is a keyword argument and an attribute of the same name.

    Args:
        host: address of the API, such as `http://127.0.0.1:8081`. Default: Segment's US host.
        region: `"us"` or `"eu"`, Segment's own hosts by name; instead of `host`.
        access_token: bearer token of the usage API.
        api_key, api_key_prefix: keys and their prefixes by name, for `get_api_key_with_prefix`.
        username, password: what `get_basic_auth_token` encodes.
        server_index: place of the default host in `get_host_settings()`.
        server_variables: values for the variables in that host's URL.
        server_operation_index: method name to place, for single operations.
        server_operation_variables: method name to values, for single operations.
        ignore_operation_servers: always use the default host.
        ssl_ca_cert: file of certificate authorities to trust, PEM.
        ca_cert_data: the same as PEM text or DER bytes.
        cert_file, key_file: the client's own certificate and key, PEM.
        verify_ssl: False accepts any certificate.
        assert_hostname: name that the certificate must carry; False accepts any name.
        tls_server_name: name to ask for in the TLS handshake.
        connection_pool_maxsize: connections kept a host. Default: five a processor.
        proxy: URL of an HTTP proxy (SOCKS for the synchronous client, with PySocks installed).
        proxy_headers: headers for the proxy.
        safe_chars_for_path_param: characters left unescaped in path parameters.
        client_side_validation: False sends arguments unchecked and leaves the judgement to the
            server.
        socket_options: options for each socket, as `setsockopt` takes them.
        retries: how often a failed request is repeated. None: three times; a number: so many
            times; False or 0: never; urllib3's `Retry`: as it says.
        retry_wait_max_s: longest single wait; a server that asks for more ends the call.
        call_budget_s: seconds for a whole call, waits and repeats included; None is no bound.
        request_timeout: seconds for one request, or (connect, read); `_request_timeout` of a
            call goes before it; None is no bound.
        require_https: refuse plain http beyond loopback instead of warning.
        datetime_format: kept for programs that set it; no argument here is a date-time.
        date_format: `strftime` form of a period that is given as a date.
        debug: log requests, without headers, at level DEBUG.
        logger_file: also write the logs to this file.
        logger_format: form of a log line.

    Raises:
        ApiValueError: `host` and `region` together, or a value of either that cannot be used.
    """

    _default: ClassVar[Configuration | None] = None

    def __init__(
        self,
        host: str | None = None,
        *,
        region: str | None = None,
        access_token: str | None = None,
        api_key: dict[str, str] | None = None,
        api_key_prefix: dict[str, str] | None = None,
        username: str | None = None,
        password: str | None = None,
        server_index: int | None = None,
        server_variables: Mapping[str, str] | None = None,
        server_operation_index: Mapping[str, int] | None = None,
        server_operation_variables: Mapping[str, Mapping[str, str]] | None = None,
        ignore_operation_servers: bool = False,
        ssl_ca_cert: str | None = None,
        ca_cert_data: str | bytes | None = None,
        cert_file: str | None = None,
        key_file: str | None = None,
        verify_ssl: bool = True,
        assert_hostname: str | bool | None = None,
        tls_server_name: str | None = None,
        connection_pool_maxsize: int | None = None,
        proxy: str | None = None,
        proxy_headers: Mapping[str, str] | None = None,
        safe_chars_for_path_param: str = "",
        client_side_validation: bool = True,
        socket_options: Sequence[tuple[int, int, int | bytes]] | None = None,
        retries: int | bool | Retry | None = None,
        retry_wait_max_s: float = RETRY_WAIT_MAX_S,
        call_budget_s: float | None = CALL_BUDGET_S,
        request_timeout: Timeout = (CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
        require_https: bool = False,
        datetime_format: str = "%Y-%m-%dT%H:%M:%S.%f%z",
        date_format: str = "%Y-%m-%d",
        debug: bool = False,
        logger_file: str | None = None,
        logger_format: str = DEFAULT_LOGGER_FORMAT,
    ) -> None:
        if region is not None:
            if host is not None or server_index is not None:
                raise ApiValueError("region names a host itself; leave out host and server_index")
            server_index = region_index(region)
        self.require_https = require_https
        self.server_index: int | None = server_index or 0
        self.server_variables = dict(server_variables or {})
        self.server_operation_index = dict(server_operation_index or {})
        self.server_operation_variables = dict(server_operation_variables or {})
        self.ignore_operation_servers = ignore_operation_servers
        self._host: str | None = None
        if host is not None:
            self.host = host
        self.access_token = access_token
        self.api_key = dict(api_key or {})
        self.api_key_prefix = dict(api_key_prefix or {})
        self.username = username
        self.password = password
        self.ssl_ca_cert = ssl_ca_cert
        self.ca_cert_data = ca_cert_data
        self.cert_file = cert_file
        self.key_file = key_file
        self.verify_ssl = verify_ssl
        self.assert_hostname = assert_hostname
        self.tls_server_name = tls_server_name
        self.connection_pool_maxsize = connection_pool_maxsize or (os.cpu_count() or 1) * 5
        self.proxy = proxy
        self.proxy_headers = proxy_headers
        self.safe_chars_for_path_param = safe_chars_for_path_param
        self.client_side_validation = client_side_validation
        self.socket_options = socket_options
        self.retries = retries
        self.retry_wait_max_s = retry_wait_max_s
        self.call_budget_s = call_budget_s
        self.request_timeout = request_timeout
        self.datetime_format = datetime_format
        self.date_format = date_format
        self.logger = {
            "package_logger": logging.getLogger("segment_public_api"),
            "urllib3_logger": logging.getLogger("urllib3"),
        }
        self._logger_file_handler: logging.FileHandler | None = None
        self.logger_format = logger_format
        self.logger_file = logger_file
        self._debug = False
        if debug:
            self.debug = True

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        # Loggers belong to the process and an open log file cannot be copied: both are shared.
        shared = ("logger", "_logger_file_handler")
        for name, value in self.__dict__.items():
            twin.__dict__[name] = value if name in shared else copy.deepcopy(value, memo)
        return twin

    @classmethod
    def set_default(cls, default: Configuration | None) -> None:
        """Make `default` what clients without a configuration of their own use; None forgets it."""
        Configuration._default = default

    @classmethod
    def get_default(cls) -> Configuration:
        """The configuration that clients without one use; made at the first call."""
        if Configuration._default is None:
            Configuration._default = cls()
        return Configuration._default

    @classmethod
    def get_default_copy(cls) -> Configuration:
        """A copy of the default configuration, to change without changing the default."""
        return copy.deepcopy(cls.get_default())

    @property
    def host(self) -> str:
        """Address of the API, without a slash at its end."""
        if self._host is not None:
            return self._host
        return self.get_host_from_settings(self.server_index, variables=self.server_variables)

    @host.setter
    def host(self, value: str) -> None:
        self._host = base_url(value, require_https=self.require_https)
        self.server_index = None

    def get_host_settings(self) -> list[dict[str, Any]]:
        """The hosts that are known by place: a list of `url` and `description`."""
        return [dict(server) for server in SERVERS]

    def get_host_from_settings(
        self,
        index: int | None,
        variables: Mapping[str, str] | None = None,
        servers: Sequence[Mapping[str, Any]] | None = None,
    ) -> str:
        """URL of the host at place `index`, its `{variables}` filled in.

        Args:
            index: place in `servers`; None is the host of this configuration.
            variables: values by name; a variable's own default where one is missing.
            servers: instead of `get_host_settings()`.

        Raises:
            ApiValueError: no such place, or a value that the variable does not allow.
        """
        if index is None:
            return self.host
        servers = self.get_host_settings() if servers is None else servers
        if not 0 <= index < len(servers):
            raise ApiValueError(f"server_index must be 0 to {len(servers) - 1}, not {index}")
        server = servers[index]
        url = str(server["url"])
        for name, variable in server.get("variables", {}).items():
            value = (variables or {}).get(name, variable["default_value"])
            allowed = variable.get("enum_values")
            if allowed and value not in allowed:
                raise ApiValueError(f"server variable {name!r} must be one of {allowed}")
            url = url.replace(f"{{{name}}}", value)
        return url

    def host_for_operation(self, operation: str, host_index: int) -> str:
        """The address that one call goes to; place 0 is the host of this configuration."""
        if self.ignore_operation_servers:
            return self.host
        index = self.server_operation_index.get(operation, host_index)
        if index == 0:
            return self.host
        variables = self.server_operation_variables.get(operation, self.server_variables)
        return self.get_host_from_settings(index, variables=variables)

    def get_api_key_with_prefix(self, identifier: str, alias: str | None = None) -> str | None:
        """The API key of that name (or of `alias`), behind its prefix; None where there is none."""
        key = self.api_key.get(identifier)
        if key is None and alias is not None:
            key = self.api_key.get(alias)
        if key is None:
            return None
        prefix = self.api_key_prefix.get(identifier)
        return f"{prefix} {key}" if prefix else key

    def get_basic_auth_token(self) -> str | None:
        """Value of a Basic `Authorization` header made of `username` and `password`."""
        from urllib3.util import make_headers

        pair = f"{self.username or ''}:{self.password or ''}"
        return make_headers(basic_auth=pair).get("authorization")

    def auth_settings(self) -> dict[str, dict[str, Any]]:
        """How calls authenticate, by name; empty without an access token."""
        if self.access_token is None:
            return {}
        return {
            "token": {
                "type": "bearer",
                "in": "header",
                "key": "Authorization",
                "value": f"Bearer {self.access_token}",
            }
        }

    def to_debug_report(self) -> str:
        """What a bug report needs to know; holds no secret and no host."""
        return (
            "Python SDK Debug Report:\n"
            f"OS: {platform.system()} {platform.release()}\n"
            f"Python Version: {sys.version}\n"
            f"Version of the API: {API_VERSION}\n"
            f"SDK Package Version: {__version__}"
        )

    @property
    def debug(self) -> bool:
        """Whether requests are logged. Headers never are: they hold the token."""
        return self._debug

    @debug.setter
    def debug(self, value: bool) -> None:
        self._debug = value
        for logger in self.logger.values():
            logger.setLevel(logging.DEBUG if value else logging.WARNING)

    @property
    def logger_file(self) -> str | None:
        """File that the logs are also written to, or None."""
        return self._logger_file

    @logger_file.setter
    def logger_file(self, value: str | None) -> None:
        if self._logger_file_handler is not None:
            for logger in self.logger.values():
                logger.removeHandler(self._logger_file_handler)
            self._logger_file_handler.close()
            self._logger_file_handler = None
        self._logger_file = value
        if value is not None:
            self._logger_file_handler = logging.FileHandler(value)
            self._logger_file_handler.setFormatter(self.logger_formatter)
            for logger in self.logger.values():
                logger.addHandler(self._logger_file_handler)

    @property
    def logger_format(self) -> str:
        """Form of a log line, as `logging.Formatter` takes it."""
        return self._logger_format

    @logger_format.setter
    def logger_format(self, value: str) -> None:
        self._logger_format = value
        self.logger_formatter = logging.Formatter(value)
        if self._logger_file_handler is not None:
            self._logger_file_handler.setFormatter(self.logger_formatter)

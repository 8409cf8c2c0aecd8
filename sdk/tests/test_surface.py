"""The public surface, pinned: what programs for the documented client import, call and read."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import pytest

import segment_public_api
from segment_public_api import aio

OPERATIONS = {
    "APICallsApi": {
        "get_daily_per_source_api_calls_usage": "GetDailyPerSourceAPICallsUsage200Response",
        "get_daily_workspace_api_calls_usage": "GetDailyWorkspaceAPICallsUsage200Response",
    },
    "MonthlyTrackedUsersApi": {
        "get_daily_per_source_mtu_usage": "GetDailyPerSourceMTUUsage200Response",
        "get_daily_workspace_mtu_usage": "GetDailyWorkspaceMTUUsage200Response",
    },
}
VARIANTS = ("", "_with_http_info", "_without_preload_content")
ARGUMENTS = {
    "period": inspect.Parameter.empty,
    "pagination": None,
    "_request_timeout": None,
    "_request_auth": None,
    "_content_type": None,
    "_headers": None,
    "_host_index": 0,
}

SNAPSHOT_FIELDS = {
    "period_start": ("periodStart", True),
    "period_end": ("periodEnd", True),
    "anonymous": ("anonymous", True),
    "anonymous_identified": ("anonymousIdentified", True),
    "identified": ("identified", True),
    "never_identified": ("neverIdentified", True),
    "timestamp": ("timestamp", True),
}
# Attribute: (name on the wire, whether it is required).
MODELS: dict[str, dict[str, tuple[str, bool]]] = {
    "PaginationInput": {"cursor": ("cursor", False), "count": ("count", False)},
    "PaginationOutput": {
        "current": ("current", True),
        "next": ("next", False),
        "previous": ("previous", False),
        "total_entries": ("totalEntries", False),
    },
    "APICallSnapshotV1": {"api_calls": ("apiCalls", True), "timestamp": ("timestamp", True)},
    "SourceAPICallSnapshotV1": {
        "source_id": ("sourceId", True),
        "api_calls": ("apiCalls", True),
        "timestamp": ("timestamp", True),
    },
    "MtuSnapshotV1": SNAPSHOT_FIELDS,
    "UsersPerSourceSnapshotV1": {"source_id": ("sourceId", True), **SNAPSHOT_FIELDS},
    "GetDailyPerSourceAPICallsUsageV1Output": {
        "daily_per_source_api_calls_usage": ("dailyPerSourceAPICallsUsage", True),
        "pagination": ("pagination", True),
    },
    "GetDailyWorkspaceAPICallsUsageV1Output": {
        "daily_workspace_api_calls_usage": ("dailyWorkspaceAPICallsUsage", True),
        "pagination": ("pagination", True),
    },
    "GetDailyPerSourceMTUUsageV1Output": {
        "daily_per_source_mtu_usage": ("dailyPerSourceMTUUsage", True),
        "pagination": ("pagination", True),
    },
    "GetDailyWorkspaceMTUUsageV1Output": {
        "daily_workspace_mtu_usage": ("dailyWorkspaceMTUUsage", True),
        "pagination": ("pagination", True),
    },
    "GetDailyPerSourceAPICallsUsage200Response": {"data": ("data", False)},
    "GetDailyWorkspaceAPICallsUsage200Response": {"data": ("data", False)},
    "GetDailyPerSourceMTUUsage200Response": {"data": ("data", False)},
    "GetDailyWorkspaceMTUUsage200Response": {"data": ("data", False)},
    "RequestError": {
        "type": ("type", True),
        "message": ("message", False),
        "var_field": ("field", False),
        "data": ("data", False),
        "status": ("status", False),
    },
    "RequestErrorEnvelope": {"errors": ("errors", True)},
}
MODULE_OF_MODEL = {
    "APICallSnapshotV1": "api_call_snapshot_v1",
    "GetDailyPerSourceAPICallsUsage200Response": (
        "get_daily_per_source_api_calls_usage200_response"
    ),
    "GetDailyPerSourceAPICallsUsageV1Output": "get_daily_per_source_api_calls_usage_v1_output",
    "GetDailyPerSourceMTUUsage200Response": "get_daily_per_source_mtu_usage200_response",
    "GetDailyPerSourceMTUUsageV1Output": "get_daily_per_source_mtu_usage_v1_output",
    "GetDailyWorkspaceAPICallsUsage200Response": (
        "get_daily_workspace_api_calls_usage200_response"
    ),
    "GetDailyWorkspaceAPICallsUsageV1Output": "get_daily_workspace_api_calls_usage_v1_output",
    "GetDailyWorkspaceMTUUsage200Response": "get_daily_workspace_mtu_usage200_response",
    "GetDailyWorkspaceMTUUsageV1Output": "get_daily_workspace_mtu_usage_v1_output",
    "MtuSnapshotV1": "mtu_snapshot_v1",
    "PaginationInput": "pagination_input",
    "PaginationOutput": "pagination_output",
    "RequestError": "request_error",
    "RequestErrorEnvelope": "request_error_envelope",
    "SourceAPICallSnapshotV1": "source_api_call_snapshot_v1",
    "UsersPerSourceSnapshotV1": "users_per_source_snapshot_v1",
}

CONFIGURATION = {
    "host",
    "access_token",
    "api_key",
    "api_key_prefix",
    "username",
    "password",
    "server_index",
    "server_variables",
    "server_operation_index",
    "server_operation_variables",
    "ignore_operation_servers",
    "ssl_ca_cert",
    "ca_cert_data",
    "cert_file",
    "key_file",
    "verify_ssl",
    "assert_hostname",
    "tls_server_name",
    "connection_pool_maxsize",
    "proxy",
    "proxy_headers",
    "safe_chars_for_path_param",
    "client_side_validation",
    "socket_options",
    "retries",
    "datetime_format",
    "date_format",
    "debug",
    "logger_file",
    "logger_format",
}
CONFIGURATION_METHODS = {
    "set_default",
    "get_default",
    "get_default_copy",
    "auth_settings",
    "get_basic_auth_token",
    "to_debug_report",
    "get_host_settings",
    "get_host_from_settings",
}
CLIENT_METHODS = {
    "set_default_header",
    "get_default",
    "set_default",
    "select_header_accept",
    "select_header_content_type",
    "param_serialize",
    "call_api",
    "response_deserialize",
    "sanitize_for_serialization",
    "deserialize",
    "parameters_to_url_query",
}

EXCEPTIONS: dict[str, tuple[str, ...]] = {
    "ApiTypeError": ("OpenApiException", "TypeError"),
    "ApiValueError": ("OpenApiException", "ValueError"),
    "ApiAttributeError": ("OpenApiException", "AttributeError"),
    "ApiKeyError": ("OpenApiException", "KeyError"),
    "ApiException": ("OpenApiException",),
    "BadRequestException": ("ApiException",),
    "UnauthorizedException": ("ApiException",),
    "ForbiddenException": ("ApiException",),
    "NotFoundException": ("ApiException",),
    "ConflictException": ("ApiException",),
    "UnprocessableEntityException": ("ApiException",),
    "ServiceException": ("ApiException",),
}
MODULES = {
    "APICallsApi": "api.api_calls_api",
    "MonthlyTrackedUsersApi": "api.monthly_tracked_users_api",
    "ApiClient": "api_client",
    "ApiResponse": "api_response",
    "Configuration": "configuration",
    **{name: f"models.{module}" for name, module in MODULE_OF_MODEL.items()},
    **dict.fromkeys(["OpenApiException", *EXCEPTIONS], "exceptions"),
}


@pytest.mark.parametrize(("name", "module"), MODULES.items())
def test_names_come_from_the_package_and_from_their_modules(name: str, module: str) -> None:
    at_home = getattr(importlib.import_module(f"segment_public_api.{module}"), name)
    assert getattr(segment_public_api, name) is at_home
    assert name in segment_public_api.__all__


def test_rest_gives_the_exception_too() -> None:
    from segment_public_api.rest import ApiException

    assert ApiException is segment_public_api.ApiException


@pytest.mark.parametrize("package", [segment_public_api, aio])
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("api", OPERATIONS)
def test_signatures(package: Any, api: str, variant: str) -> None:
    for operation, model in OPERATIONS[api].items():
        signature = inspect.signature(getattr(getattr(package, api), operation + variant))
        parameters = dict(signature.parameters)
        del parameters["self"]
        assert {name: p.default for name, p in parameters.items()} == ARGUMENTS
        assert all(p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters.values())
        if variant != "_without_preload_content":
            assert model in signature.return_annotation


@pytest.mark.parametrize("name", MODELS)
def test_models(name: str) -> None:
    model = getattr(segment_public_api, name)
    fields = {
        attribute: (field.alias or attribute, field.is_required())
        for attribute, field in model.model_fields.items()
    }
    assert fields == MODELS[name]
    for method in ("to_str", "to_json", "from_json", "to_dict", "from_dict"):
        assert callable(getattr(model, method))
    assert set(segment_public_api.models.__all__) == set(MODELS)


def test_configuration() -> None:
    parameters = inspect.signature(segment_public_api.Configuration).parameters
    made = segment_public_api.Configuration()
    for name in CONFIGURATION:
        assert name in parameters
        assert hasattr(made, name)
    for name in CONFIGURATION_METHODS:
        assert callable(getattr(made, name))
    assert made.host == "https://api.segmentapis.com"
    assert (made.access_token, made.verify_ssl, made.retries) == (None, True, None)
    assert (made.client_side_validation, made.safe_chars_for_path_param) == (True, "")
    assert (made.date_format, made.datetime_format) == ("%Y-%m-%d", "%Y-%m-%dT%H:%M:%S.%f%z")


@pytest.mark.parametrize("package", [segment_public_api, aio])
def test_client(package: Any) -> None:
    parameters = inspect.signature(package.ApiClient).parameters
    assert {name: p.default for name, p in parameters.items()} == dict.fromkeys(
        ["configuration", "header_name", "header_value", "cookie"]
    )
    made = package.ApiClient()
    for name in CLIENT_METHODS:
        assert callable(getattr(made, name))
    made.user_agent = "mine/1"
    assert made.default_headers["User-Agent"] == "mine/1"


@pytest.mark.parametrize(("name", "bases"), EXCEPTIONS.items())
def test_exceptions(name: str, bases: tuple[str, ...]) -> None:
    kind = getattr(segment_public_api, name)
    assert tuple(base.__name__ for base in kind.__bases__) == bases


def test_call_api_takes_what_param_serialize_gives() -> None:
    client = segment_public_api.ApiClient(segment_public_api.Configuration(access_token="t"))
    request = client.param_serialize(
        "GET", "/sources/{sourceId}", path_params={"sourceId": "a/b"}, auth_settings=["token"]
    )
    method, url, headers, body, form = request
    assert (method, url) == ("GET", "https://api.segmentapis.com/sources/a%2Fb")
    assert headers["Authorization"] == "Bearer t"
    assert (body, form) == (None, [])
    names = list(inspect.signature(client.call_api).parameters)
    assert names[:6] == [
        "method",
        "url",
        "header_params",
        "body",
        "post_params",
        "_request_timeout",
    ]


@pytest.mark.parametrize("package", [segment_public_api, aio, segment_public_api.models])
def test_every_name_is_there_and_listed_once(package: Any) -> None:
    assert len(set(package.__all__)) == len(package.__all__)
    assert set(package.__all__) - {"__version__"} == set(package.MODULE_BY_NAME)
    for name in package.__all__:
        assert getattr(package, name) is not None
        assert name in dir(package)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = package.no_such_name


def test_every_public_class_says_what_it_is() -> None:
    for name in segment_public_api.__all__:
        if name != "__version__":
            assert inspect.getdoc(getattr(segment_public_api, name)), name

"""Tracked users of the workspace in February 2021, read as the documented client is used."""

import time
import os
import segment_public_api
from segment_public_api.models.get_daily_workspace_mtu_usage200_response import (
    GetDailyWorkspaceMTUUsage200Response,
)
from segment_public_api.models.pagination_input import PaginationInput
from segment_public_api.rest import ApiException
from pprint import pprint

configuration = segment_public_api.Configuration(host=os.environ["USAGE_HOST"])


configuration = segment_public_api.Configuration(
    host=os.environ["USAGE_HOST"], access_token=os.environ["BEARER_TOKEN"]
)

with segment_public_api.ApiClient(configuration) as api_client:
    api_instance = segment_public_api.MonthlyTrackedUsersApi(api_client)
    period = "2021-02-01"
    pagination = segment_public_api.PaginationInput()

    try:
        api_response = api_instance.get_daily_workspace_mtu_usage(period, pagination)
        print("The response of MonthlyTrackedUsersApi->get_daily_workspace_mtu_usage:\n")
        pprint(api_response)
    except Exception as e:
        print(
            "Exception when calling MonthlyTrackedUsersApi->get_daily_workspace_mtu_usage: %s\n" % e
        )

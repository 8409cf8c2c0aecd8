"""Plays calls through a tracking SDK for Python: takes a task on standard input, sends, and ends.

The task is JSON: `module` (segment.analytics or rudderstack.analytics), `host`, `writeKey`,
`options` (what else the client is made with) and `calls`, in the words of the tracking API.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

ARGUMENTS = {
    "userId": "user_id",
    "anonymousId": "anonymous_id",
    "previousId": "previous_id",
    "groupId": "group_id",
    "messageId": "message_id",
    "event": "event",
    "name": "name",
}


def main() -> None:
    task: dict[str, Any] = json.load(sys.stdin)
    module = importlib.import_module(task["module"])
    client = module.Client(task["writeKey"], host=task["host"], **task["options"])
    for call in task["calls"]:
        method = getattr(client, call["type"])
        method(**{ARGUMENTS[name]: value for name, value in call.items() if name != "type"})
    client.flush()
    client.join()


main()

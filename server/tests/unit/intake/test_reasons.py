"""Every reason is given by somebody; codes and statuses are those that clients were promised."""

import ast
from pathlib import Path

import pytest

import headcount
from headcount.intake.reasons import EXPLANATIONS, Reason

# Codes are part of the tracking API, and rejections are tallied under them: append, never change.
PROMISED = {
    "malformed_json": 400,
    "not_an_object": 400,
    "message_too_large": 400,
    "unknown_type": 400,
    "invalid_id": 400,
    "invalid_message_id": 400,
    "no_user_anon_id": 400,
    "no_user_id": 400,
    "no_previous_id": 400,
    "no_group_id": 400,
    "event_not_string": 400,
    "too_complex": 400,
    "bot": 400,
    "no_write_key": 401,
    "unknown_write_key": 401,
    "invalid_token": 401,
    "admin_token_required": 403,
    "batch_not_array": 400,
    "batch_too_long": 400,
    "body_too_large": 400,
    "body_timeout": 503,
    "body_too_slow": 503,
    "invalid_gzip": 400,
    "too_many_gzip_members": 400,
    "unsupported_encoding": 415,
    "invalid_pixel_data": 400,
    "not_found": 404,
    "no_library": 404,
    "method_not_allowed": 405,
    "overloaded": 429,
    "source_over_share": 429,
    "source_over_budget": 429,
    "quota_reached": 429,
    "memory_short": 429,
    "forwarding_full": 429,
    "storage_unavailable": 503,
    "internal_error": 500,
    "not_utf8": 400,
    "unknown_source": 400,
    "no_received_at": 400,
    "invalid_received_at": 400,
    "received_at_without_zone": 400,
    "received_at_in_future": 400,
    "received_at_before_2000": 400,
    "period_sealed": 400,
    "malformed_row": 400,
}


def test_codes_and_statuses_are_what_clients_were_promised() -> None:
    assert {reason.value: EXPLANATIONS[reason].status for reason in Reason} == PROMISED


def test_every_reason_is_given_somewhere() -> None:
    given = {
        node.attr
        for path in Path(headcount.__file__).parent.rglob("*.py")
        if path.name != "reasons.py"
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "Reason"
    }
    assert {reason.name for reason in Reason} - given == set()


@pytest.mark.parametrize("reason", Reason)
def test_a_sentence_says_what_would_have_been_right(reason: Reason) -> None:
    sentence = EXPLANATIONS[reason].sentence
    assert sentence.endswith(".")
    assert len(sentence.split()) > 3
    assert reason.value not in sentence, "a code is for programs"
    assert [each for each in Reason if EXPLANATIONS[each].sentence == sentence] == [reason]

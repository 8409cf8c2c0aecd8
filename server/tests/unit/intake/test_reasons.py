"""Every reason is explained once, with a status that makes sense to a tracking client."""

import pytest

from headcount.intake.reasons import EXPLANATIONS, Reason


def test_every_reason_has_an_explanation() -> None:
    assert set(EXPLANATIONS) == set(Reason)


@pytest.mark.parametrize("reason", Reason)
def test_an_explanation_is_a_sentence_and_its_status_is_an_error(reason: Reason) -> None:
    status, sentence = EXPLANATIONS[reason]
    assert 400 <= status <= 599
    assert sentence.endswith(".")
    assert sentence == sentence.strip()


def test_codes_are_what_clients_were_promised() -> None:
    assert {
        "no_user_anon_id", "event_not_string", "invalid_id", "invalid_message_id",
        "message_too_large", "unknown_type", "no_previous_id", "no_group_id", "unknown_write_key",
    } <= {reason.value for reason in Reason}  # fmt: skip

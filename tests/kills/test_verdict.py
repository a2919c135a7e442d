"""What `make kills` says of a run: each thing that can go wrong is named, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sandbox.kills.load import Kind, Written, token_of
from sandbox.kills.verdict import Facts, judge

SEND, ANSWER, OWN, FOREIGN = (f"tok-{number:05d}x" for number in range(4))
QUOTED = "<p>{}</p><blockquote><p>tok-00099x</p></blockquote>"


def written(token: str, kind: Kind, *, acknowledged: bool = True) -> Written:
    return Written(token, kind, "carla@contoso-customer.example", acknowledged)


ALL = (written(SEND, "send"), written(ANSWER, "answer"), written(OWN, "own"), written(FOREIGN, "foreign"))


def shown(token: str, status: str = "received") -> dict[str, Any]:
    return {"html": QUOTED.format(token), "status": status, "subject": token}


GOOD = Facts(
    outside=[{"html": QUOTED.format(SEND), "subject": "x"}],
    crm=[shown(SEND, "sent"), shown(ANSWER), shown(OWN)],
    events=[
        {"type": "message.sent", "data": {"id": "msg_1"}},
        {"type": "message.received", "data": {"id": "msg_2"}},
    ],
    mailbox=[{"id": "AA1", "html": QUOTED.format(ANSWER)}, {"id": "AA2", "html": QUOTED.format(FOREIGN)}],
    requests=[{"message_id": "AA1", "reads_body": True}, {"message_id": "AA2", "reads_body": False}],
)


def test_a_good_run() -> None:
    """Where every mail is where it belongs once, nothing is wrong."""
    verdict = judge(ALL, GOOD)
    assert verdict.is_good, verdict
    assert (verdict.attempted, verdict.acknowledged) == (4, 4)
    assert "lost 0, unexpected 0, doubled 0, stuck 0, foreign bodies read 0" in str(verdict)


@pytest.mark.parametrize(
    ("facts", "wrong", "named"),
    [
        (replace(GOOD, outside=[]), "lost", SEND),
        (replace(GOOD, crm=[shown(SEND, "sent"), shown(OWN)]), "lost", ANSWER),
        (replace(GOOD, outside=[*GOOD.outside, *GOOD.outside]), "doubled", SEND),
        (replace(GOOD, crm=[*GOOD.crm, shown(OWN)]), "doubled", OWN),
        (replace(GOOD, events=[*GOOD.events, GOOD.events[0]]), "doubled", "message.sent msg_1"),
        (replace(GOOD, crm=[*GOOD.crm, shown(FOREIGN)]), "unexpected", FOREIGN),
        (replace(GOOD, crm=[*GOOD.crm, shown("tok-00077x")]), "unexpected", "tok-00077x"),
        (replace(GOOD, crm=[shown(SEND, "sending"), *GOOD.crm[1:]]), "stuck", SEND),
        (replace(GOOD, requests=[{"message_id": "AA2", "reads_body": True}]), "foreign_bodies", FOREIGN),
    ],
)
def test_what_goes_wrong_is_named(facts: Facts, wrong: str, named: str) -> None:
    """Each thing that can go wrong is counted under its own name, with the mail it happened to."""
    verdict = judge(ALL, facts)
    assert not verdict.is_good
    assert named in getattr(verdict, wrong)
    assert named in str(verdict)


def test_a_send_that_was_not_taken_may_be_anywhere_but_twice() -> None:
    """A send that the CRM was never told is accepted may have left or not; twice is wrong all the same."""
    unsure = (written(SEND, "send", acknowledged=False), *ALL[1:])
    assert judge(unsure, GOOD).is_good
    assert judge(unsure, replace(GOOD, outside=[], crm=GOOD.crm[1:])).is_good
    assert judge(unsure, replace(GOOD, outside=[*GOOD.outside, *GOOD.outside])).doubled == [SEND]


def test_a_mail_is_known_by_its_own_words() -> None:
    """The token of a mail is the one before what it quotes."""
    assert token_of({"html": QUOTED.format(SEND)}) == SEND
    assert token_of({"html": "<p>Nothing</p>", "text": None}) == ""

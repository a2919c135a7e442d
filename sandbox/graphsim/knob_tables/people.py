"""Who a mail names as its author."""

from __future__ import annotations

from sandbox.graphsim.knob_tables.knob import Knob, choice

PEOPLE: tuple[Knob, ...] = (
    choice(
        "own_from",
        "x500 alias plus address",
        "(f)",
        "office-js issue 3701; Wino-Mail issue 1027",
        "How a sent copy names the mailbox's user: by the legacy X.500 name, in what is written in Outlook by the "
        "user's alias or a plus address, by the address.",
    ),
    choice(
        "proxy_addresses",
        "empty smtp x500",
        "(?)",
        "user resource type",
        "What `proxyAddresses` of /me lists: nothing, as for accounts without a directory; all SMTP addresses; the "
        "X.500 name too.",
    ),
)

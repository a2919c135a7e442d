"""Lists of mails that come cut short, or not at all."""

from __future__ import annotations

from sandbox.graphsim.knob_tables.knob import Knob, choice

LISTS: tuple[Knob, ...] = (
    choice(
        "list_next_link",
        "cut kept",
        "(f)",
        "docs issue 2153",
        "A page of a sorted list ends after a fifth of `$top` without a next link (19 of 100 came), or is whole.",
    ),
    choice(
        "list_500",
        "some never",
        "(f)",
        "docs issue 2913",
        "One received mail in sixteen makes each page that shows more of it than its id a 500, for ever; by its id it "
        "is readable (?).",
    ),
    choice(
        "list_504",
        "sometimes never",
        "(f)",
        "docs issues 5853, 4988",
        "One sorted list in four with $top above 10 answers 504, as those of big mailboxes do for days.",
    ),
)

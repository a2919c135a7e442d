"""Attachments."""

from __future__ import annotations

from sandbox.graphsim.knob_tables.knob import Knob, number

FILES: tuple[Knob, ...] = (
    number(
        "upload_session_minimum_bytes",
        3_145_728,
        "(k)",
        "Attach large files to Outlook messages",
        "Smaller files are refused by createUploadSession.",
    ),
    number(
        "attachment_overhead_bytes",
        310,
        "(k)",
        "attachment resource type",
        "How much `size` is larger than the content.",
    ),
)

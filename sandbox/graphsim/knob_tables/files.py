"""Attachments."""

from __future__ import annotations

from sandbox.graphsim.knob_tables.knob import Knob, choice, number

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
    choice(
        "inline_flag",
        "wrong right",
        "(f)",
        "docs issue 2095; BCApps issue 10288; n8n issue 689",
        "`isInline` of received files; wrong: false on a picture that the text shows, true on a file that it does "
        "not show, as macOS Mail sends all files.",
    ),
    choice(
        "renamed_attachments",
        "renamed kept",
        "(k)",
        "field reports of ATT00001.htm",
        "Names of received parts; renamed: one without a name becomes ATT00001 and so on with the ending of its "
        "type, and a picture that the text shows loses its name.",
    ),
    choice(
        "content_id_cast",
        "accepted refused",
        "(f)",
        "eight public code bases send it; explorer-v4 issue 3916 without the cast",
        "`microsoft.graph.fileAttachment/contentId` in a `$select` on attachments. Default accepted: on "
        "no page, but in wide use.",
    ),
    choice(
        "expand_attachments",
        "accepted refused",
        "(f)",
        "Get message; ten public code bases send it, inbox-zero and rustmailer among them",
        "`$select` within `$expand=attachments(...)`. Default accepted: on no page, but in wide use.",
    ),
    number(
        "expanded_attachments_page",
        10,
        "(?)",
        "Paging Microsoft Graph data in your app",
        "Attachments in one page, listed or expanded; the rest follows by a next link. 0: all in one.",
    ),
    choice(
        "attachment_scan",
        "none placeholder stub",
        "(f)",
        "msgraph-sdk-dotnet issue 2416",
        "What stands in place of a received mail's files while they are scanned: an item, or a stub under each name. "
        "Default none: an organisation chooses it, and no file could be shown at once.",
    ),
    number(
        "attachment_scan_minutes",
        3,
        "(f)",
        "msgraph-sdk-dotnet issue 2416",
        "How long `attachment_scan` lasts.",
    ),
    choice(
        "upload_host",
        "works failing",
        "(f)",
        "msgraph-sdk-javascript issue 1923; python-o365 issue 1027",
        "What a PUT to an upload URL meets: the host takes it, or by chance 401, 403, 500, 503 or a cut connection, "
        "for ever. Default works: failing, a file that fits no request could never leave.",
    ),
)

"""The table of knobs: settings for behaviours that Microsoft does not promise, with source and effect of each.

Confidence: "stated" on a Microsoft page; "(f)" reported from the field; "(k)" long-standing general knowledge;
"(?)" could not be confirmed. Where it is not stated, the default is the setting that is worse for a client, except
where a client could not work at all with the worse one; then `changes` says so.
"""

from __future__ import annotations

from dataclasses import dataclass

Value = str | float | bool


@dataclass(frozen=True, slots=True)
class Knob:
    """A knob. `values`: the permitted words, or None for a number from 0 up."""

    name: str
    values: tuple[str, ...] | None
    default: Value
    confidence: str
    source: str
    changes: str


def _number(name: str, default: float, confidence: str, source: str, changes: str) -> Knob:
    return Knob(name, None, default, confidence, source, changes)


def _choice(name: str, values: str, confidence: str, source: str, changes: str) -> Knob:
    """A knob with words; the first of the space-separated `values` is the default."""
    words = tuple(values.split())
    return Knob(name, words, words[0], confidence, source, changes)


_SENDING = "Overview of the Microsoft Graph send mail process"
_IMMUTABLE = "Obtain immutable identifiers for Outlook resources"
_WEBHOOKS = "Receive change notifications through webhooks"
_LIFECYCLE = "Reduce missing change notifications and removed subscriptions"
_OUTLOOK = "Change notifications for Outlook resources"
_SUBSCRIPTION = "subscription resource type"
_THROTTLING = "Microsoft Graph throttling guidance"
_REPLY = "message: createReply"

KNOBS: tuple[Knob, ...] = (
    # sending
    _number(
        "sent_copy_delay_seconds",
        2.0,
        "stated",
        _SENDING,
        "Time from the 202 of send to the copy in Sent Items; in reality there is no upper limit.",
    ),
    _number(
        "delivery_delay_seconds",
        1.0,
        "stated",
        _SENDING,
        "Time from send to the recipient's inbox; by default before the own sent copy.",
    ),
    _number(
        "transport_per_minute",
        30,
        "stated",
        "Exchange Online limits, quoted in Microsoft Q&A",
        "Mails of one mailbox that transport takes a minute; more wait.",
    ),
    _choice(
        "sent_copy_id",
        "changed kept",
        "(f)",
        _IMMUTABLE + "; docs issues 11969, 1533",
        "Whether the draft's immutable id names the sent copy.",
    ),
    _choice(
        "sent_message_id",
        "changed kept",
        "(f)",
        "office-js issue 6066",
        "Whether the draft's Message-ID survives sending.",
    ),
    _choice(
        "sent_copy_gap",
        "missing draft",
        "stated",
        _SENDING,
        "What GET by id finds between send and filing: 404, or still the draft.",
    ),
    _choice(
        "sent_copy_extended_properties",
        "kept lost",
        "(f)",
        "docs issue 4006",
        "Whether single-value properties survive sending. Default kept: with both ids changed, "
        "nothing else would identify the copy.",
    ),
    _choice(
        "relay_message_id",
        "kept rewritten",
        "(f)",
        "docs-contrib issue 7700",
        "Whether a relay gives the recipients another Message-ID. Default kept: rewritten leaves a "
        "reply no evidence but the conversation.",
    ),
    _choice(
        "bounce_in_reply_to",
        "absent present",
        "(k)",
        "field reports",
        "Whether a non-delivery report names the original in In-Reply-To.",
    ),
    # replies
    _choice(
        "create_reply_status", "200 201", "stated", _REPLY, "The page's text says 201, its samples print 200."
    ),
    _choice(
        "reply_comment",
        "ignored shown",
        "stated",
        "Known issues with Microsoft Graph",
        "Whether `comment` gets into the draft's body.",
    ),
    _choice(
        "reply_message_body",
        "replaces above",
        "(?)",
        _REPLY,
        "Whether `message.body` replaces the quoted original or stands above it.",
    ),
    _choice(
        "reply_recipients",
        "added replace",
        "(?)",
        _REPLY,
        "Whether recipients given in `message` are added to those of the reply or replace them.",
    ),
    _choice(
        "reply_all_marks_read",
        "yes no",
        "(f)",
        "inbox-zero source",
        "createReplyAll marks the original as read, which notifies.",
    ),
    _choice("draft_sender", "null self", "(k)", "message resource type", "`from` and `sender` of a draft."),
    # reading
    _choice(
        "sent_items_reply_tags",
        "absent present",
        "(k)",
        "Exchange property tags",
        "0x1042 and 0x1039 on own drafts and sent items.",
    ),
    _choice(
        "received_reply_tags",
        "either both in_reply_to references none",
        "(k)",
        "Exchange property tags",
        "Which of 0x1042 and 0x1039 received mail carries; `either`: by chance at least one. None "
        "would force reading all headers of foreign mail.",
    ),
    _choice(
        "own_message_headers",
        "none x_only",
        "(k)",
        "message resource type",
        "internetMessageHeaders of own drafts and sent items.",
    ),
    _choice(
        "external_reply_conversation",
        "new matched",
        "(f)",
        "Microsoft Q&A 5629315, 5883983",
        "A reply without Thread-Index gets a new conversationId although References is right.",
    ),
    _choice(
        "contact_thread_index",
        "absent present",
        "(k)",
        "Tracking conversations; MS-OXOMSG",
        "Whether answers from outside carry a Thread-Index, as those of Exchange and Outlook do.",
    ),
    _choice(
        "unordered_list",
        "arbitrary newest_first",
        "(?)",
        "List messages",
        "Order of a filtered list without $orderby.",
    ),
    _choice(
        "ids_differ_by_case",
        "yes no",
        "stated",
        _IMMUTABLE,
        "Neighbouring item ids differ in the case of one letter only.",
    ),
    _choice(
        "inner_error_name",
        "innererror innerError",
        "stated",
        "Error responses and resource types",
        "Documents and metadata spell it differently.",
    ),
    _number(
        "upload_session_minimum_bytes",
        3_145_728,
        "(k)",
        "Attach large files to Outlook messages",
        "Smaller files are refused by createUploadSession.",
    ),
    _number(
        "attachment_overhead_bytes",
        310,
        "(k)",
        "attachment resource type",
        "How much `size` is larger than the content.",
    ),
    # subscriptions
    _choice(
        "subscription_is_draft_filter",
        "refused accepted",
        "(f)",
        "docs issue 11068",
        "`$filter=isDraft eq false` in a subscription's resource.",
    ),
    _choice(
        "expiration_over_maximum",
        "reject clamp",
        "(?)",
        _SUBSCRIPTION,
        "An expirationDateTime beyond the maximum.",
    ),
    _choice(
        "duplicate_subscription",
        "conflict allowed",
        "(?)",
        _WEBHOOKS,
        "Same changeType and resource once more: 409 or a second subscription.",
    ),
    _choice(
        "notification_before_answer",
        "yes no",
        "(k)",
        _WEBHOOKS,
        "Mail of the last minute is notified before the POST of its subscription is answered; nothing rules it out.",
    ),
    _choice(
        "subscription_scope",
        "read_only write_too",
        "stated",
        "Create subscription",
        "Whether Mail.ReadWrite without Mail.Read is enough.",
    ),
    _choice(
        "revalidate_on_renew",
        "yes no",
        "(f)",
        "msgraph-sdk-dotnet issue 2805",
        "PATCH and reauthorize repeat the validation handshake.",
    ),
    _choice(
        "subscription_pauses_with_token",
        "yes no",
        "stated",
        _WEBHOOKS,
        "Delivery pauses when the access token behind the subscription expires.",
    ),
    _choice(
        "reauthorization_events",
        "late formula none",
        "(?)",
        _LIFECYCLE,
        "When reauthorizationRequired comes: 20 and 5 minutes before the token ends; by the page's "
        "illustrative formula; never.",
    ),
    _choice(
        "revocation_removes_subscriptions",
        "yes no",
        "stated",
        _LIFECYCLE,
        "Revoked sessions: subscriptionRemoved, or only the pause.",
    ),
    # notifications
    _number(
        "notification_delay_seconds",
        1.0,
        "stated",
        "Change notifications overview",
        "Change to first attempt; on average under a minute, at most three.",
    ),
    _number("notification_batch_items", 20, "(?)", _WEBHOOKS, "Most items in one POST."),
    _number(
        "notification_retry_first_seconds",
        10,
        "(?)",
        _WEBHOOKS,
        "First step of the exponential backoff; up to 4 hours in all.",
    ),
    _choice(
        "notification_duplicates",
        "sometimes never always",
        "(f)",
        "nodejs-webhooks-sample issue 512",
        "An item is delivered twice (one in five, or each).",
    ),
    _choice(
        "notification_order",
        "shuffled in_order",
        "stated",
        _WEBHOOKS,
        "Order within one POST; nothing is promised.",
    ),
    _choice(
        "notification_path_style",
        "mixed pascal lower parenthesised",
        "stated",
        _WEBHOOKS + "; " + _OUTLOOK,
        "Spelling of `resource` and `@odata.id`.",
    ),
    _choice(
        "notification_times",
        "mixed utc",
        "stated",
        _OUTLOOK,
        "Whether subscriptionExpirationDateTime may carry another offset.",
    ),
    _choice(
        "move_notifications",
        "shuffled deleted_first created_first",
        "(f)",
        "emailengine source",
        "Order of the two notifications of a move.",
    ),
    _choice(
        "received_updated", "yes no", "(f)", "docs issue 11710", "An `updated` follows each received mail."
    ),
    _choice(
        "missed_event",
        "silent sent",
        "(f)",
        "Microsoft Q&A 5825832",
        "Whether a `missed` event reports notifications given up after 4 hours.",
    ),
    # Entra and limits
    _number(
        "access_token_seconds",
        0,
        "(k)",
        "Configurable token lifetimes",
        "Lifetime of access tokens; 0: by chance 60 to 90 minutes.",
    ),
    _number(
        "refresh_token_days",
        90,
        "stated",
        "Refresh tokens",
        "Days of disuse after which a refresh token expires.",
    ),
    _choice(
        "revoked_access_tokens",
        "refused usable",
        "(k)",
        "Continuous access evaluation",
        "Access tokens after revocation: 401 at once, or valid until they expire.",
    ),
    _choice(
        "federated_mismatch",
        "numbered 70021",
        "(f)",
        "azure-workload-identity issues 1200, 616",
        "An assertion without a federated credential: a number each for issuer, audience, subject, or one for all.",
    ),
    _choice("retry_after", "decimal integer absent", "stated", _THROTTLING, "Form of Retry-After on a 429."),
    _number(
        "mailbox_concurrency",
        4,
        "stated",
        "Service-specific throttling limits",
        "Requests in flight per app and mailbox.",
    ),
    _number(
        "mailbox_requests",
        10_000,
        "stated",
        "Service-specific throttling limits",
        "Requests per app and mailbox in 10 minutes.",
    ),
    _number("service_seconds", 0, "stated", "none", "Real seconds that each Graph call takes."),
)

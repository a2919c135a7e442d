"""Reading mails and listing them."""

from __future__ import annotations

from sandbox.graphsim.knob_tables.knob import Knob, choice, number
from sandbox.graphsim.knob_tables.pages import IMMUTABLE

READING: tuple[Knob, ...] = (
    choice(
        "sent_items_reply_tags",
        "absent present",
        "(k)",
        "Exchange property tags",
        "0x1042 and 0x1039 on own drafts and sent items.",
    ),
    choice(
        "received_reply_tags",
        "either both in_reply_to references none",
        "(k)",
        "Exchange property tags",
        "Which of 0x1042 and 0x1039 received mail carries; `either`: by chance at least one. None "
        "would force reading all headers of foreign mail.",
    ),
    choice(
        "reply_tag_form",
        "bare words exact",
        "(?)",
        "RFC 822, section 4.6.2",
        "How 0x1042 and 0x1039 of received mail write Message-IDs: without brackets and parted by commas; folded, "
        "after words; or as RFC 5322 has it.",
    ),
    choice(
        "own_message_headers",
        "none x_only",
        "(k)",
        "message resource type",
        "internetMessageHeaders of own drafts and sent items.",
    ),
    choice(
        "external_reply_conversation",
        "new matched",
        "(f)",
        "Microsoft Q&A 5629315, 5883983",
        "A reply without Thread-Index gets a new conversationId although References is right.",
    ),
    choice(
        "contact_thread_index",
        "absent present",
        "(k)",
        "Tracking conversations; MS-OXOMSG",
        "Whether answers from outside carry a Thread-Index, as those of Exchange and Outlook do.",
    ),
    choice(
        "property_filter",
        "any_value exact",
        "(?)",
        "List messages",
        "A filter on an extended property finds every message that has the property, or those with that value.",
    ),
    choice(
        "unordered_list",
        "arbitrary newest_first",
        "(?)",
        "List messages",
        "Order of a filtered list without $orderby.",
    ),
    choice(
        "ids_differ_by_case",
        "yes no",
        "stated",
        IMMUTABLE,
        "Neighbouring item ids differ in the case of one letter only.",
    ),
    choice(
        "inner_error_name",
        "innererror innerError",
        "stated",
        "Error responses and resource types",
        "Documents and metadata spell it differently.",
    ),
    number(
        "unreadable_minutes",
        0,
        "(f)",
        "corso issue 4834",
        "How long the body of each received mail is refused with `ErrorContentConversionFailed` while its outline "
        "is given. Default 0: no mail could be shown at once.",
    ),
    choice(
        "half_surrogates",
        "cut whole",
        "(?)",
        "RFC 8259, section 8.2",
        "Of a character that UTF-16 writes as a pair, a received mail's texts and names hold the first half alone.",
    ),
    choice(
        "null_members",
        "some none",
        "stated",
        "Microsoft Graph v1.0 metadata",
        "Received mail has null wherever the metadata allows it: an `emailAddress`, names, a header's name, "
        "`contentType` of bodies, and of files whose name says as much. Default without a null `from`: no client "
        "could tell who wrote.",
    ),
)

"""Parts of a mail that Graph lists as files and that nobody sent as one (R8).

Reports: RFC 3464, RFC 3462 (a returned message is `message/rfc822`, which Exchange shows as an attached item), RFC
8098, RFC 5965. Meetings: RFC 6047. Signatures: RFC 8551, RFC 3156, and the names that Thunderbird gives. Exchange: a
clear-signed mail shows one `smime.p7m` of type `multipart/signed` (microsoft-graph-docs#4585); text behind a file
becomes `ATT00001.htm` or `.txt`, and Outlook forwards a part without a name as `Untitled attachment 00001`, with an
ending; `winmail.dat` is a mail's Outlook form (MS-OXTNEF).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from shared.domain.model import FetchedMessage, RemoteFile

REPORT_TYPES: Final = frozenset(
    {
        "message/delivery-status",
        "message/disposition-notification",
        "message/feedback-report",
        "message/global-delivery-status",
        "message/global-disposition-notification",
        "message/global-headers",
        "message/rfc822-headers",
        "text/rfc822-headers",
    }
)
RETURNED_TYPES: Final = frozenset({"message/rfc822", "message/global"})
CALENDAR_TYPES: Final = frozenset({"text/calendar", "application/ics"})
SIGNATURE_TYPES: Final = frozenset(
    {
        "application/pkcs7-signature",
        "application/x-pkcs7-signature",
        "application/pgp-signature",
        "application/pgp-keys",
        "multipart/signed",
    }
)
TNEF_TYPES: Final = frozenset({"application/ms-tnef", "application/vnd.ms-tnef"})
NEVER_COUNT_TYPES: Final = REPORT_TYPES | CALENDAR_TYPES | SIGNATURE_TYPES | TNEF_TYPES
NEVER_COUNT_NAMES: Final = re.compile(
    r"smime\.p7s|signature\.asc|openpgp_.*\.asc|openpgp_signature|winmail\.dat|.*\.ics", re.IGNORECASE
)
# What Exchange names the parts of a report that have no name.
REPORT_NAMES: Final = re.compile(r"(att|untitled attachment )\d{5}(\..*)?|.*\.(eml|msg)", re.IGNORECASE)
TEXT_NAMES: Final = re.compile(r"(att|untitled attachment )\d{5}\.(htm|html|txt)", re.IGNORECASE)
TEXT_TYPES: Final = frozenset({"text/html", "text/plain"})
MAX_TEXT_PART_BYTES: Final = 1_048_576
# One behind each file that may pass: a phone sends many photos with a line between them.
MAX_TEXT_PARTS: Final = 50

ENVELOPE_TYPES: Final = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
RIGHTS_TYPES: Final = frozenset({"application/x-microsoft-rpmsg-message"})
# A `.p7m` under another name is a signed document that somebody attached.
ENVELOPE_NAME: Final = "smime.p7m"

PICTURE_ENDINGS: Final = re.compile(
    r".*\.(png|jpe?g|jpe|jfif|gif|bmp|webp|svg|tiff?|heic|heif|avif|ico|emf|wmf|emz|wmz)", re.IGNORECASE
)
# What Outlook's HTML refers to beside its pictures.
OFFICE_PARTS: Final = frozenset(
    {"oledata.mso", "editdata.mso", "filelist.xml", "themedata.thmx", "colorschememapping.xml"}
)


def declared_type(file: RemoteFile) -> str:
    """The content type as declared, without parameters, in lower case; "" without one."""
    return (file.content_type or "").partition(";")[0].strip().lower()


def is_report(files: Iterable[RemoteFile]) -> bool:
    """Whether the parts of a mail are those of a bounce or a receipt."""
    return any(declared_type(file) in REPORT_TYPES for file in files)


def never_counts(file: RemoteFile, *, of_report: bool) -> bool:
    """Whether the part is no file of anybody. `of_report`: the mail is a bounce, a receipt or an automatic answer."""
    declared, name = declared_type(file), file.name.strip()
    if declared in NEVER_COUNT_TYPES or NEVER_COUNT_NAMES.fullmatch(name):
        return True
    returned = file.kind == "item" or declared in RETURNED_TYPES or REPORT_NAMES.fullmatch(name)
    return of_report and bool(returned)


def is_text_part(file: RemoteFile) -> bool:
    """Whether it is the mail's own text, written behind a file."""
    declared, name = declared_type(file), file.name.strip()
    text = declared in TEXT_TYPES or (bool(name) and declared in {"", "application/octet-stream"})
    named = TEXT_NAMES.fullmatch(name) if name else True
    return file.kind == "file" and text and bool(named) and file.size_bytes <= MAX_TEXT_PART_BYTES


def is_html_part(file: RemoteFile) -> bool:
    """Whether a text part is HTML, by its type, or by its name where Exchange gives it no type."""
    declared = declared_type(file)
    return declared == "text/html" or (
        declared not in TEXT_TYPES and not file.name.lower().rstrip().endswith(".txt")
    )


def is_picture(file: RemoteFile) -> bool:
    """Whether it is a picture by its type or its name, or one of the parts that Outlook writes beside pictures."""
    declared, name = declared_type(file), file.name.strip()
    if declared.startswith("image/") or PICTURE_ENDINGS.fullmatch(name) or name.lower() in OFFICE_PARTS:
        return True
    return not name and declared in {"", "application/octet-stream"}


def is_protected(message: FetchedMessage) -> bool:
    """Whether the mail is encrypted: its text is in a part that only its reader's programs open.

    Evidence: Exchange's message class (MS-OXOSMIME, MS-OXORMMS), the content type (RFC 8551, RFC 3156), the part. A
    clear-signed mail (`multipart/signed`) is not.
    """
    folded = (message.message_class or "").lower()
    if folded.startswith("ipm.note.smime"):
        return not folded.endswith(".multipartsigned")
    headers = {name.lower(): value.strip().lower() for name, value in message.headers}
    if headers.get("content-type", "").startswith((*ENVELOPE_TYPES, "multipart/encrypted")):
        return True
    return any(_is_envelope(file) for file in message.files)


def _is_envelope(file: RemoteFile) -> bool:
    declared, name = declared_type(file), file.name.strip().lower()
    if declared in RIGHTS_TYPES or name.endswith(".rpmsg") or declared == "application/pgp-encrypted":
        return True
    return declared != "multipart/signed" and (
        name == ENVELOPE_NAME or (not name and declared in ENVELOPE_TYPES)
    )


def by_content_id(html_cids: Iterable[str]) -> dict[str, str]:
    """The Content-IDs that a text shows, as it writes them, by the form in which they are compared."""
    return {_comparable(cid): cid for cid in sorted(html_cids)}


def shown_as(file: RemoteFile, shown_ids: Mapping[str, str]) -> str | None:
    """The Content-ID as the text writes it; None where the text does not show the file."""
    if file.kind != "file" or not file.content_id:
        return None
    return shown_ids.get(_comparable(file.content_id))


def is_shown(file: RemoteFile, shown_ids: Mapping[str, str]) -> bool:
    """Whether the text shows the file, whatever `inline` says: Exchange is wrong about it (microsoft-graph-docs#2095).

    Where Graph tells no Content-ID, an inline picture of a mail with pictures is taken for one.
    """
    if file.content_id:
        return shown_as(file, shown_ids) is not None
    return file.inline and bool(shown_ids) and file.kind == "file" and is_picture(file)


def _comparable(content_id: str) -> str:
    """Programs write Content-IDs with and without brackets, and in any case."""
    return content_id.strip().strip("<>").strip().casefold()

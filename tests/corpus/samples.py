"""Bytes of files, by the names that the pairs use: the smallest that programs take for what they are."""

from __future__ import annotations

from typing import Final

REPORT: Final = """Reporting-MTA: dns; mx.relay.example
X-Postfix-Queue-ID: 4XyZ12abcd
Arrival-Date: Mon, 2 Mar 2026 09:00:00 +0000

Final-Recipient: rfc822; ${contact}
Original-Recipient: rfc822;${contact}
Action: failed
Status: 5.1.1
Remote-MTA: dns; mx.customer.example
Diagnostic-Code: smtp; 550 5.1.1 <${contact}>: Recipient address rejected: User unknown
"""

SAMPLES: Final[dict[str, bytes]] = {
    "pdf": b"%PDF-1.7\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n",
    "png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + b"\0" * 60,
    "gif": b"GIF89a" + b"\0" * 60,
    "webp": b"RIFF\x1a\0\0\0WEBPVP8 " + b"\0" * 20,
    "jpg": b"\xff\xd8\xff\xe0\0\x10JFIF" + b"\0" * 60,
    "exe": b"MZ\x90\0" + b"\0" * 60,
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><rect/></svg>',
    "tnef": b"\x78\x9f\x3e\x22\x01\x00" + b"\0" * 60,
    "pkcs7": b"\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03\xa0\x80" + b"\0" * 40,
    "rights": b"\x76\xe8\x04\x60\xc4\x11\xe3\x86" + b"\0" * 60,
    "report": REPORT.encode(),
    "delayed": REPORT.replace("failed", "delayed")
    .replace("Status: 5.1.1", "Status: 4.4.1")
    .replace("550 5.1.1", "451 4.4.1")
    .replace("Recipient address rejected: User unknown", "connection timed out")
    .encode(),
    "delivered": REPORT.replace("failed", "delivered")
    .replace("5.1.1", "2.0.0")
    .replace("550 ", "250 ")
    .replace("Recipient address rejected: User unknown", "delivered")
    .encode(),
    "receipt": b"Reporting-UA: mail.example; Mailer 1\nFinal-Recipient: rfc822;${contact}\n"
    b"Original-Message-ID: ${sent}\nDisposition: manual-action/MDN-sent-manually; displayed\n",
    "calendar": b"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nUID:1@x\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
    "armour": b"-----BEGIN PGP SIGNATURE-----\n\niHUEABYKAB0\n-----END PGP SIGNATURE-----\n",
    "key": b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEY\n-----END PGP PUBLIC KEY BLOCK-----\n",
    "empty": b"",
}


def content_of(wanted: dict[str, object], fill: dict[str, str]) -> bytes:
    """The bytes of a file: a sample filled up to `size` bytes, or `text` (UTF-8); placeholders are filled in."""
    if "text" in wanted:
        return str(wanted["text"]).encode()
    content = SAMPLES[str(wanted["sample"])]
    for name, value in fill.items():
        content = content.replace(f"${{{name}}}".encode(), value.encode())
    return content.ljust(int(str(wanted.get("size", 0))), b"\0")

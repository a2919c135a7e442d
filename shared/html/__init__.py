"""HTML of mails: cleaned for who gets it, and its words as text (H-1)."""

from __future__ import annotations

from shared.html.cleaning import Cleaned, clean_html
from shared.html.pictures import Picture, Pictures
from shared.html.policy import LEAVING, SHOWN, SHOWN_WITHOUT_REMOTE, Policy
from shared.html.words import words_of

__all__ = [
    "LEAVING",
    "SHOWN",
    "SHOWN_WITHOUT_REMOTE",
    "Cleaned",
    "Picture",
    "Pictures",
    "Policy",
    "clean_html",
    "html_to_text",
]


def html_to_text(html: str) -> str:
    """The words of any HTML as plain text."""
    return words_of(clean_html(html, LEAVING).html)[0]

"""Everything outside, as the use cases see it: small Protocols; in tests in-memory stores or simulators fulfil them.

Errors are those of `shared.domain.errors`; no port lets a status number or a library's exception through.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from shared.domain.model import (
    Draft,
    DraftContent,
    FetchedMessage,
    Grant,
    Located,
    OutgoingFile,
    Outline,
    OutlinePage,
    People,
    Profile,
    Refreshed,
    RemoteFile,
    Subscription,
)

if TYPE_CHECKING:
    from shared.domain.listing import Ask  # not loaded until somebody lists: the app's start counts


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """How many data keys were wrapped anew, and how many had the newest version of the key already."""

    rewrapped: int
    current: int


class Clock(Protocol):
    """The time of day; injected everywhere."""

    def now(self) -> datetime:
        """Aware UTC."""
        ...


class Random(Protocol):
    """Randomness; `secrets` in life, seeded in tests."""

    def token(self, size_bytes: int = 32) -> str:
        """Unguessable text, base64url without padding, of `size_bytes` random bytes."""
        ...

    def bytes(self, size_bytes: int) -> builtins.bytes:
        """Unguessable bytes."""
        ...

    def jitter(self) -> float:
        """A number in [0, 1) for jitter."""
        ...


class Access(Protocol):
    """The right to call Graph for one mailbox."""

    @property
    def mailbox_id(self) -> str:
        """Our id of the mailbox: what limits are counted by."""
        ...

    async def token(self, *, rejected: str | None = None, claims: str | None = None) -> str:
        """A bearer token. `rejected` names one that Graph just refused with 401, so that another must be fetched.

        Raises GrantDead when only the user can repair the consent, ProviderUnavailable or Throttled otherwise.
        """
        ...


class MailProvider(Protocol):
    """Microsoft Graph mail, as far as the product needs it.

    Every method may raise Throttled, ProviderUnavailable, GrantDead, MailboxUnusable, ItemGone, UpstreamSurprise;
    the writes that must not be repeated blindly (create_draft, create_reply, attach, send) raise Ambiguous when
    it is unknown whether they happened. Nothing is retried in here except one repeat after a 401.
    """

    async def profile(self, access: Access) -> Profile:
        """Address, display name and aliases of the signed-in mailbox."""
        ...

    async def probe(self, access: Access) -> None:
        """Whether there is a mailbox that can be used: one cheap read of it. Raises MailboxUnusable where not."""
        ...

    async def outline(self, access: Access, graph_message_id: str) -> Outline:
        """Ids and threading tags of one mail; never a word of it."""
        ...

    async def is_in_sent_items(self, access: Access, message: FetchedMessage) -> bool:
        """Whether a fetched mail lay in Sent Items; a call for the first mail of a mailbox, none for later ones."""
        ...

    async def people(self, access: Access, graph_message_id: str) -> People:
        """Sender, to and cc of one mail."""
        ...

    async def fetch(self, access: Access, graph_message_id: str) -> FetchedMessage:
        """One mail whole, with the list of its files but not their bytes; read only after evidence."""
        ...

    async def files(self, access: Access, graph_message_id: str) -> tuple[RemoteFile, ...]:
        """Metadata of the mail's files."""
        ...

    async def file_content(
        self, access: Access, graph_message_id: str, file: RemoteFile, limit_bytes: int
    ) -> bytes:
        """The bytes of one file; raises TooLarge past `limit_bytes`."""
        ...

    async def sweep(self, access: Access, ask: Ask) -> OutlinePage:
        """Outlines of mail modified since a time, oldest first, one page; a link is followed whole."""
        ...

    async def listed_id(self, access: Access, ask: Ask) -> str | None:
        """The graph_message_id of the row where that page begins; asks for nothing more of it."""
        ...

    async def received(
        self, access: Access, since: datetime, until: datetime, skip: int, top: int
    ) -> tuple[Outline, ...]:
        """Outlines of mail received from `since` on and before `until`, oldest first, behind `skip`: one page."""
        ...

    async def conversation(self, access: Access, conversation_id: str) -> tuple[Outline, ...]:
        """Outlines of everything in a conversation, in no order; never a word of it."""
        ...

    async def create_draft(self, access: Access, content: DraftContent) -> Draft:
        """A fresh draft with everything in it; it lacks the files where one request does not hold them all.

        Raises KeyRefused.
        """
        ...

    async def create_reply(self, access: Access, to_graph_message_id: str, content: DraftContent) -> Draft:
        """A reply draft with key and recipients; its `html` or `text` is the quoted original. It lacks body and files.

        Raises KeyRefused.
        """
        ...

    async def fill_reply(
        self, access: Access, graph_message_id: str, content: DraftContent, html: str
    ) -> None:
        """Set a reply draft's whole body and its recipients, whoever createReply put there."""
        ...

    async def attach(
        self, access: Access, graph_message_id: str, file: OutgoingFile, *, directly: bool = False
    ) -> None:
        """Attach one file to a draft, by POST or upload session as its size asks (F-9).

        Raises UploadFailed where the host of the session does not take it; the draft may hold it nevertheless.
        `directly`: without a session; what fits no request raises UploadFailed.
        """
        ...

    async def send(self, access: Access, graph_message_id: str) -> None:
        """Send that draft. Raises ItemGone (404), MessageRefused, Ambiguous."""
        ...

    async def locate(self, access: Access, graph_message_id: str) -> Located:
        """Where the message with that id stands now."""
        ...

    async def find_by_key(self, access: Access, key: str) -> tuple[Located, ...]:
        """Every message of the mailbox that carries our key."""
        ...

    async def find_by_message_id(self, access: Access, internet_message_id: str) -> tuple[Located, ...]:
        """Every message of the mailbox with that Message-ID; Graph may compare without case."""
        ...

    async def delete_draft(self, access: Access, graph_message_id: str) -> None:
        """Put a draft among the deleted items; gone already is fine. It is for the caller to know that it is one."""
        ...

    async def subscribe(
        self,
        access: Access,
        *,
        notification_url: str,
        lifecycle_url: str,
        client_state: str,
        expires_at: datetime,
        filtered: bool,
    ) -> Subscription:
        """Register for `created` on the whole mailbox (drafts filtered out when `filtered`).

        Raises MessageRefused(reason="filter_refused") where the filter is not accepted; adopts an equal one on 409.
        """
        ...

    async def renew(self, access: Access, subscription_id: str, expires_at: datetime) -> Subscription:
        """Extend and re-authorise in one. Raises SubscriptionGone on 404."""
        ...

    async def unsubscribe(self, access: Access, subscription_id: str) -> None:
        """Remove it; gone already is fine."""
        ...

    async def subscriptions(self, access: Access) -> tuple[Subscription, ...]:
        """This app's subscriptions of this user."""
        ...


class SignIn(Protocol):
    """Microsoft Entra sign-in through MSAL."""

    async def begin(self, *, state: str, login_hint: str | None = None) -> tuple[str, dict[str, Any]]:
        """The address to send the browser to, and the flow to keep (holds the PKCE verifier: seal it)."""
        ...

    def consent_link(self, flow: Mapping[str, Any]) -> str:
        """The address at which an administrator approves the app for an organisation; it names no user."""
        ...

    async def redeem(self, flow: Mapping[str, Any], response: Mapping[str, str]) -> Grant:
        """Exchange the code. Raises SignInFailed(reason), ProviderUnavailable."""
        ...

    async def refresh(self, cache: str, *, claims: str | None = None) -> Refreshed:
        """A new access token from a serialised cache. Raises GrantDead, Throttled, ProviderUnavailable."""
        ...

    async def check(self) -> None:
        """Prove that the app can show Entra who it is, as far as that needs no user. Raises ProviderUnavailable."""
        ...


class Sealer(Protocol):
    """Encryption at rest, bound to the place where the value lies (K-1, K-3)."""

    async def seal(self, tenant_id: str, place: Sequence[str], plain: bytes) -> str:
        """Seal for `place` = (table, partition, row, field)."""
        ...

    async def unseal(self, tenant_id: str, place: Sequence[str], sealed: str) -> bytes:
        """Open what was sealed for exactly that place. Raises SealBroken, KeyUnavailable."""
        ...

    async def check(self) -> None:
        """Prove that the key-encryption key can be used. Raises KeyUnavailable, SealBroken."""
        ...

    async def rewrap(self) -> Rewrapped:
        """Wrap every data key with the newest version of the key-encryption key. Raises KeyUnavailable."""
        ...

    async def close(self) -> None:
        """Let go of the connections."""
        ...


class CrmAnswer(Protocol):
    """What came back from the CRM."""

    @property
    def status(self) -> int:
        """HTTP status."""
        ...

    @property
    def retry_after_seconds(self) -> float | None:
        """Parsed Retry-After, if any."""
        ...


class Crm(Protocol):
    """The CRM's side: it is told things."""

    async def deliver(
        self, url: str, event_id: str, body: bytes, secrets: Sequence[bytes], at: datetime
    ) -> CrmAnswer:
        """One signed attempt (Standard Webhooks).

        Raises CrmUnavailable when no answer came, InvalidRequest for an address that may not be called.
        """
        ...


class Fetcher(Protocol):
    """Guarded download of files the CRM points to (C-1 to C-5)."""

    async def fetch(self, url: str, limit_bytes: int) -> bytes:
        """The bytes. Raises TooLarge, InvalidRequest (address refused), CrmUnavailable."""
        ...


class ClientStates(Protocol):
    """The proof that a notification is of a subscription of ours (G-2); no storage is read."""

    @property
    def key_id(self) -> str:
        """Tells the key that mints from others, and nothing of it."""
        ...

    def mint(self, mailbox_key: str, generation: int, nonce: str) -> str:
        """A clientState of at most 128 characters."""
        ...

    def verify(self, client_state: str) -> tuple[str, int] | None:
        """(mailbox key, generation) or None when it is not ours."""
        ...


class FileLinks(Protocol):
    """Signed, expiring links to staged files (F-5)."""

    def mint(self, parts: Sequence[str], expires_at: datetime) -> str:
        """A token for the path."""
        ...

    def verify(self, token: str, now: datetime) -> tuple[str, ...] | None:
        """The parts, or None when it is not ours or too old."""
        ...


class ApiKeys(Protocol):
    """Tenant keys (A-1)."""

    def parse(self, header: str | None) -> tuple[str, str] | None:
        """(key id, secret) of an Authorization header, or None."""
        ...

    def matches(self, secret: str, secret_hash: str) -> bool:
        """Compared in constant time."""
        ...

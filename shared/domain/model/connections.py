"""Who is connected to what: tenants, users, mailboxes, the mailbox, and what a sign-in gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.model.words import ConnectionStatus, FenceState, Reason, Right, SubscriptionState, Trouble


@dataclass(frozen=True, slots=True)
class Tenant:
    """One CRM account: its name, its webhook endpoint and the origins that may frame our page.

    `endpoint_off_at`: since when the endpoint is not called, because it said 410 (C-8). `endpoint_silent_since`: since
    when it has taken no event, as far as two tries of one have failed. `omits_files`: a mail syncs
    without the file that would keep it from syncing (R10). `drops_remote_pictures`: what the CRM shows names no picture
    that lies on another server (H-1). `product_name`: the CRM's own name, as its users know it.
    `return_url`: where our pages lead people back to.
    """

    tenant_id: str
    name: str
    webhook_url: str
    frame_origins: tuple[str, ...] = ()
    allowed_tids: tuple[str, ...] = ()
    disabled: bool = False
    endpoint_off_at: datetime | None = None
    omits_files: bool = False
    drops_remote_pictures: bool = False
    product_name: str = ""
    return_url: str | None = None
    endpoint_silent_since: datetime | None = None

    @property
    def product(self) -> str:
        """What people are told that they connect their mailbox to."""
        return self.product_name or self.name


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A tenant's key as stored: a keyed hash, never the key (A-1)."""

    key_id: str
    tenant_id: str
    secret_hash: str
    scopes: tuple[str, ...]
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class WebhookSecret:
    """The endpoint's signing secrets, sealed; two during rotation (C-7), the former one until a time."""

    sealed: str
    previous_sealed: str | None = None
    previous_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class CrmUser:
    """A user of the CRM as its server names them; `addresses` are the ones the CRM knows of."""

    user_id: str
    display_name: str = ""
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MailboxRef:
    """Where a mailbox's state lives. `mailbox_id` is ours: opaque, and the same for the same (tid, oid) in a tenant."""

    tenant_id: str
    mailbox_id: str


@dataclass(frozen=True, slots=True)
class Connection:
    """One CRM user's consent to sync one mailbox. (tid, oid) is its identity, the address only a label (O-6).

    `replaces`: which connection counted before, and does again where this one's mailbox never opens.
    """

    connection_id: str
    user: CrmUser
    mailbox_id: str
    tid: str
    oid: str
    address: str
    display_name: str
    generation: int
    status: ConnectionStatus
    connected_at: datetime
    ended_at: datetime | None = None
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class SweepPlace:
    """Where a sweep that was interrupted goes on: the page it was at, and what of that page is done.

    `since`, `skip`, `top`: which page is asked for. `suspect`, `refused`: how far the search for a row that no list
    shows has come, as in `shared.domain.listing`; of the refused rows their `skip`. `taken`: names of the rows of the
    page that were decided on (`listing.name_of_row`), `taken_until` the newest time among them.
    """

    since: datetime
    skip: int
    top: int
    suspect: int = 0
    refused: tuple[int, ...] = ()
    taken: tuple[str, ...] = ()
    taken_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit has counted of the threads that were active in the last week: the completeness figure.

    Of the mails received from `since` until half an hour before it began, `in_mailbox` are of those threads; `told`: of
    which the CRM was told; `not_synced`: those of them that it was told do not sync, with a reason; `found_late`: that
    nothing but the audit has brought.
    `calls`: pages that were listed. While it is under way `ended_at` is None, everything before `place` is done and
    `skip` rows of that second, and `failures` are those in a row.
    """

    began_at: datetime
    generation: int
    since: datetime
    place: datetime
    skip: int = 0
    threads: int = 0
    in_mailbox: int = 0
    told: int = 0
    not_synced: int = 0
    found_late: int = 0
    calls: int = 0
    failures: int = 0
    ended_at: datetime | None = None

    @property
    def missing(self) -> int:
        """How many mails of the threads the CRM was not told of when it ended."""
        return max(self.in_mailbox - self.told, 0)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A mailbox as its rows say: who is connected, whether anything may pass, and what is known of it at Graph.

    `connection_id`, `generation` and `state` are what the fence says; the others change more often and lie beside it
    (`shared.state.mailbox_rows`).
    `client_state_key`: which key the subscription's clientState was made with.
    `grant_dead`: the consent works no more; `denied_by_graph` when Graph itself said so, to a token that was good,
    and `denied_right` which right it denied. `doubted_right`, `doubted_since`: what Graph has denied once, which may be
    one call of an outage. `revived_at`: since when the consent, given anew or not, works again.
    `graph_ahead_seconds`: how far Graph's clock was ahead of ours at the last sweep or send.
    `sweep_place`: where in its listing a sweep that goes on stands; it counts only while the cursor is its `since`.
    `sweep_deaths`: so many workers in a row have died in the sweep that is due, the last one at the mail
    `sweep_at_mail`.
    `sweep_again_from`: since when the next sweep lists everything once more, although the cursor stands behind it.
    `sweep_failures`, `renew_failures`: how often the sweep or renewal that is due has failed; `sweep_failing_since`:
    when the sweep that fails was due. `failing_since`, `failed_at`: since when no call of Graph's has worked, and about
    when the last one failed. `unsubscribed_since`: since when a subscription is wanting. `grant_probed_at`: when a dead
    consent was last tried, by one for all. `degraded_because`: why mail comes late, as the CRM was told.
    `paused_since`: when the pause began. `aliases`: what the profile names beside `address`, last read at
    `profile_read_at`; `learned_addresses`: further ones by which mails of its own have named its user.
    `audited`: the last audit that ended; `auditing`: the one under way; `audit_at`: when the next slice of it is due.
    `last_thread_activity_at`: when a mail of a thread was last sent or received; `last_unsynced_at`: when one last came
    that did not sync, or was on its way out.
    """

    connection_id: str
    user_id: str
    address: str
    generation: int
    state: FenceState
    aliases: tuple[str, ...] = ()
    learned_addresses: tuple[str, ...] = ()
    profile_read_at: datetime | None = None
    paused_since: datetime | None = None
    paused_until: datetime | None = None
    subscription: SubscriptionState = SubscriptionState.NONE
    subscription_id: str | None = None
    subscription_expires_at: datetime | None = None
    subscription_filtered: bool = True
    renew_at: datetime | None = None
    renew_failures: int = 0
    sweep_cursor: datetime | None = None
    sweep_again_from: datetime | None = None
    sweep_at: datetime | None = None
    sweep_failures: int = 0
    sweep_failing_since: datetime | None = None
    graph_ahead_seconds: int = 0
    sweep_goes_on: bool = False
    sweep_place: SweepPlace | None = None
    sweep_deaths: int = 0
    sweep_at_mail: str | None = None
    sweep_leased_until: datetime | None = None
    sweep_late_found: int = 0
    sweep_stopped_by: str | None = None
    pending_since: datetime | None = None
    unsubscribed_since: datetime | None = None
    last_thread_activity_at: datetime | None = None
    last_unsynced_at: datetime | None = None
    late_sweeps: int = 0
    failing_since: datetime | None = None
    failed_at: datetime | None = None
    degraded_because: Trouble | None = None
    degraded_since: datetime | None = None
    grant_dead: bool = False
    grant_dead_since: datetime | None = None
    grant_probed_at: datetime | None = None
    denied_by_graph: bool = False
    denied_right: Right | None = None
    doubted_right: Right | None = None
    doubted_since: datetime | None = None
    revived_at: datetime | None = None
    client_state_key: str | None = None
    closed_because: Reason | None = None
    closed_at: datetime | None = None
    audit_at: datetime | None = None
    auditing: Audit | None = None
    audited: Audit | None = None

    @property
    def own_addresses(self) -> tuple[str, ...]:
        """Every address by which the profile names this mailbox's user (see `shared.domain.own_addresses`)."""
        return (self.address, *self.aliases)

    @property
    def last_active_at(self) -> datetime | None:
        """When anything of a thread last came or was on its way, synced or not."""
        return max(filter(None, (self.last_thread_activity_at, self.last_unsynced_at)), default=None)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a completed sign-in gives. `cache` is MSAL's serialised cache and holds the refresh token."""

    tid: str
    oid: str
    username: str
    cache: str = field(repr=False)
    access_token: str = field(repr=False)
    expires_at: datetime
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A fresh access token, with the cache as it stands after."""

    cache: str = field(repr=False)
    access_token: str = field(repr=False)
    expires_at: datetime

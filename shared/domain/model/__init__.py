"""What the rules speak of: connections, mailboxes, threads, messages, sends and what is recorded of them.

All values are frozen. Times are aware UTC. Sizes are bytes. Addresses are as written by people; compare
them only after `addresses.comparable_address`.
"""

from __future__ import annotations

from shared.domain.model.connections import (
    ApiKey,
    Connection,
    CrmUser,
    Gate,
    Grant,
    MailboxRef,
    Refreshed,
    Tenant,
    WebhookSecret,
)
from shared.domain.model.mail import (
    Address,
    ChangeHint,
    Draft,
    DraftContent,
    FetchedMessage,
    Located,
    OutgoingFile,
    Outline,
    OutlinePage,
    People,
    Profile,
    RemoteFile,
    Subscription,
)
from shared.domain.model.records import (
    Activity,
    ConversationLink,
    Event,
    MessageIndex,
    MessageRecord,
    Seen,
    Thread,
    Todo,
)
from shared.domain.model.sends import OutboxItem, SendRequest, StagedFile, UploadedFile
from shared.domain.model.words import (
    ConnectionStatus,
    Direction,
    Evidence,
    GateState,
    Origin,
    Phase,
    Reason,
    SubscriptionState,
    Whereabouts,
    Work,
)

__all__ = [
    "Activity",
    "Address",
    "ApiKey",
    "ChangeHint",
    "Connection",
    "ConnectionStatus",
    "ConversationLink",
    "CrmUser",
    "Direction",
    "Draft",
    "DraftContent",
    "Event",
    "Evidence",
    "FetchedMessage",
    "Gate",
    "GateState",
    "Grant",
    "Located",
    "MailboxRef",
    "MessageIndex",
    "MessageRecord",
    "Origin",
    "OutboxItem",
    "OutgoingFile",
    "Outline",
    "OutlinePage",
    "People",
    "Phase",
    "Profile",
    "Reason",
    "Refreshed",
    "RemoteFile",
    "Seen",
    "SendRequest",
    "StagedFile",
    "Subscription",
    "SubscriptionState",
    "Tenant",
    "Thread",
    "Todo",
    "UploadedFile",
    "WebhookSecret",
    "Whereabouts",
    "Work",
]

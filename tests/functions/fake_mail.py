"""A mailbox, as little of it as the functions need. The simulator is the place for Graph's behaviour."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from shared.domain.errors import (
    ItemGone,
    KeyRefused,
    ProviderUnavailable,
    SubscriptionGone,
    UploadFailed,
)
from shared.domain.listing import Ask
from shared.domain.model import (
    Address,
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
    Whereabouts,
)
from shared.ports import Access, Clock
from tests.functions.fakes import DOMAIN, Failing

SENT_ITEMS = "sent-items"
LOOKS = ("outline", "people", "fetch", "files", "file_content")


@dataclass(slots=True)
class FakeMail(Failing):
    """One mailbox per access token; ids are counted, and a sent draft keeps its id (immutable ids)."""

    clock: Clock | None = None
    mails: dict[str, FetchedMessage] = field(default_factory=dict)
    files_of: dict[str, list[tuple[RemoteFile, bytes]]] = field(default_factory=dict)
    drafts: dict[str, DraftContent] = field(default_factory=dict)
    sent: dict[str, DraftContent] = field(default_factory=dict)
    deleted: dict[str, DraftContent] = field(default_factory=dict)
    lost: dict[str, DraftContent] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)
    times: dict[str, datetime] = field(default_factory=dict)
    attaches_apart: bool = False
    drops: int = 0
    client_states: list[str] = field(default_factory=list)
    subscribed: dict[str, Subscription] = field(default_factory=dict)
    subscribers: dict[str, str] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    page_size: int = 50
    cut: int = 0  # a page that more follows has so many rows, and no next link
    before_pages: list[Callable[[], Awaitable[None]] | None] = field(
        default_factory=list
    )  # of a sweep, one each
    corrupt: set[str] = field(default_factory=set)  # no page lists these
    reply_subject: str | None = None
    renamed_on_send: dict[str, str] = field(default_factory=dict)
    takes_no_key: bool = False
    reply_text: str | None = None
    filled: dict[str, str] = field(default_factory=dict)
    brought_by_replies: tuple[RemoteFile, ...] = ()
    uploads_fail: bool = False
    posts_at_most_bytes: int = 3_145_000
    unreadable: dict[str, Exception] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    drafts_are_from: Address | None = None
    unlisted: set[str] = field(default_factory=set)
    during: dict[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)  # of a step of a send

    async def happens(self, step: str) -> None:
        """What happens while this step of a send is under way."""
        if step in self.during:
            await self.during[step]()

    def now(self) -> datetime:
        assert self.clock is not None
        return self.clock.now()

    # ---- what happens in the mailbox

    def receive(
        self,
        sender: str,
        in_reply_to: str | None = None,
        files: Sequence[tuple[str, bytes]] = (),
        tags: dict[str, Any] | None = None,
        **changes: Any,
    ) -> str:
        """A mail arrives, or the user's own is seen in Sent Items; returns its id. `tags` change its outline."""
        number = f"AAMk-{len(self.mails) + 1}"
        outline = Outline(number, f"<{number}@fabrikam.example>", f"conv-{number}", is_draft=False,
                          in_reply_to=in_reply_to, received_at=self.now(), last_modified_at=self.now())  # fmt: skip
        outline = replace(outline, **(tags or {}))
        mail = FetchedMessage(
            outline=outline, sender=Address(sender), to=(Address(f"ann@{DOMAIN}"),), cc=(), bcc=(), reply_to=(),
            subject="Re: Your offer", html="<p>Yes.</p>", text="Yes.", sent_at=self.now(), received_at=self.now(),
            has_attachments=bool(files),
        )  # fmt: skip
        self.mails[number] = replace(mail, **changes)
        self.files_of[number] = [
            (RemoteFile(f"f{n}", name, None, len(content), inline=False, kind="file"), content)
            for n, (name, content) in enumerate(files)
        ]
        return number

    def delete_drafts(self) -> None:
        """The user throws all drafts away."""
        self.deleted |= self.drafts
        self.drafts.clear()

    def send_drafts(self) -> None:
        """All drafts leave, whether anybody was told or not."""
        self.sent |= self.drafts
        self.drafts.clear()

    def sent_outline(self, graph_message_id: str) -> Outline:
        """How a sent draft looks in Sent Items."""
        key, copy = self.sent[graph_message_id].key, self._draft_outline(graph_message_id)
        name = self.renamed_on_send.get(graph_message_id, copy.internet_message_id)
        return replace(copy, is_draft=False, key=key, internet_message_id=name)

    @property
    def last_sent(self) -> Outline:
        """The outline of the newest sent draft."""
        return self.sent_outline(list(self.sent)[-1])

    def move(self, graph_message_id: str) -> str:
        """A desktop client moves it, which changes even an immutable id; returns the new one."""
        mail, moved = self.mails.pop(graph_message_id), f"{graph_message_id}-moved"
        outline = replace(mail.outline, graph_message_id=moved, last_modified_at=self.now())
        self.mails[moved] = replace(mail, outline=outline)
        self.files_of[moved] = self.files_of.pop(graph_message_id)
        if graph_message_id in self.unreadable:
            self.unreadable[moved] = self.unreadable.pop(graph_message_id)
        return moved

    def looks(self) -> list[str]:
        """The calls that look into a mail, in order."""
        return [call for call in self.calls if call in LOOKS]

    # ---- the port

    async def profile(self, access: Access) -> Profile:
        self.called("profile")
        name = (await access.token()).removeprefix("access-")
        return Profile(f"{name}@{DOMAIN}", name.title(), self.aliases)

    async def probe(self, access: Access) -> None:
        self.called("probe")

    async def outline(self, access: Access, graph_message_id: str) -> Outline:
        await access.token()
        self.called("outline")
        if graph_message_id in self.sent:
            return self.sent_outline(graph_message_id)
        if graph_message_id in self.drafts:
            return self._draft_outline(graph_message_id)
        return self._mail(graph_message_id).outline

    async def is_in_sent_items(self, access: Access, message: FetchedMessage) -> bool:
        self.called("is_in_sent_items")
        return message.folder_id == SENT_ITEMS

    async def people(self, access: Access, graph_message_id: str) -> People:
        self.called("people")
        mail = self._mail(graph_message_id)
        return People(mail.sender, mail.to, mail.cc, mail.message_class)

    async def fetch(self, access: Access, graph_message_id: str) -> FetchedMessage:
        self.called("fetch")
        if graph_message_id in self.unreadable:
            raise self.unreadable[graph_message_id]
        files = tuple(file for file, _ in self.files_of.get(graph_message_id, ()))
        return replace(self._mail(graph_message_id), files=files)

    async def files(self, access: Access, graph_message_id: str) -> tuple[RemoteFile, ...]:
        self.called("files")
        await self.happens("files")
        return tuple(file for file, _ in self.files_of.get(graph_message_id, ()))

    async def file_content(
        self, access: Access, graph_message_id: str, file: RemoteFile, limit_bytes: int
    ) -> bytes:
        self.called("file_content")
        kept = self.files_of[graph_message_id]
        return next(content for each, content in kept if each.remote_id == file.remote_id)

    async def sweep(self, access: Access, ask: Ask) -> OutlinePage:
        await access.token()
        self.called("sweep")
        if self.before_pages and (happening := self.before_pages.pop(0)):
            await happening()
        rows = self._changed_since(ask.since)
        start = int(ask.link or ask.skip)
        page = tuple(rows[start : start + min(ask.top, self.page_size)])
        if any(outline.graph_message_id in self.corrupt for outline in page):
            raise ProviderUnavailable
        if self.cut and start + len(page) < len(rows):
            return OutlinePage(page[: self.cut], None)
        return OutlinePage(page, str(start + len(page)) if start + len(page) < len(rows) else None)

    async def listed_id(self, access: Access, ask: Ask) -> str | None:
        self.called("listed_id")
        return next(
            (outline.graph_message_id for outline in self._changed_since(ask.since)[ask.skip :]), None
        )

    async def received(
        self, access: Access, since: datetime, until: datetime, skip: int, top: int
    ) -> tuple[Outline, ...]:
        """By the time of receipt, also what no list of a sweep shows; what has no such time is old."""
        self.called("received")
        found = [mail.outline for mail in self.mails.values()] + [
            self.sent_outline(sent) for sent in self.sent
        ]
        dated = sorted((outline.received_at or since, number) for number, outline in enumerate(found))
        within = [found[number] for at, number in dated if since.replace(microsecond=0) <= at < until]
        return tuple(within[skip : skip + top])

    async def conversation(self, access: Access, conversation_id: str) -> tuple[Outline, ...]:
        self.called("conversation")
        found = [mail.outline for mail in self.mails.values()] + [
            self.sent_outline(sent) for sent in self.sent
        ]
        return tuple(outline for outline in found if outline.conversation_id == conversation_id)

    def _changed_since(self, since: datetime) -> list[Outline]:
        """As Graph's filter, which takes whole seconds."""
        found = [mail.outline for number, mail in self.mails.items() if number not in self.unlisted] + [
            self.sent_outline(sent) for sent in self.sent
        ]
        dated = sorted(((outline.last_modified_at or since), number) for number, outline in enumerate(found))
        return [found[number] for at, number in dated if at >= since.replace(microsecond=0)]

    async def create_draft(self, access: Access, content: DraftContent) -> Draft:
        await access.token()
        self.called("create_draft")
        await self.happens("create_draft")
        self._judge_key(content)
        return replace(self._draft(content), lacks_files=self.attaches_apart and bool(content.files))

    async def create_reply(self, access: Access, to_graph_message_id: str, content: DraftContent) -> Draft:
        await access.token()
        self.called("create_reply")
        self._judge_key(content)
        draft = self._draft(content)
        self.parents[draft.graph_message_id] = to_graph_message_id
        self.files_of[draft.graph_message_id] = [(file, b"") for file in self.brought_by_replies]
        quoted = {} if self.reply_text is None else {"html": "", "text": self.reply_text}
        return replace(draft, subject=self.reply_subject, lacks_files=bool(content.files), **quoted)

    async def fill_reply(
        self, access: Access, graph_message_id: str, content: DraftContent, html: str
    ) -> None:
        self.called("fill_reply")
        await self.happens("fill_reply")
        self.filled[graph_message_id] = html

    async def attach(
        self, access: Access, graph_message_id: str, file: OutgoingFile, *, directly: bool = False
    ) -> None:
        self.called("attach")
        await self.happens("attach")
        if self.uploads_fail and not directly:
            raise UploadFailed
        if directly and len(file.content) > self.posts_at_most_bytes:
            raise UploadFailed
        if self.drops:
            self.drops -= 1
            return
        remote = RemoteFile(
            file.name, file.name, file.content_type, len(file.content), inline=False, kind="file"
        )
        self.files_of.setdefault(graph_message_id, []).append((remote, file.content))

    async def send(self, access: Access, graph_message_id: str) -> None:
        await access.token()
        self.called("send")
        await self.happens("send")
        if graph_message_id not in self.drafts:
            raise ItemGone
        self.sent[graph_message_id] = self.drafts.pop(graph_message_id)
        self.times[graph_message_id] = self.now()

    async def locate(self, access: Access, graph_message_id: str) -> Located:
        await access.token()
        self.called("locate")
        await self.happens("locate")
        for place, whereabouts in self._places():
            if graph_message_id in place:
                return self._located(graph_message_id, whereabouts)
        raise ItemGone

    async def find_by_key(self, access: Access, key: str) -> tuple[Located, ...]:
        self.called("find_by_key")
        return tuple(
            self._located(graph_message_id, whereabouts)
            for place, whereabouts in self._places()
            for graph_message_id, content in place.items()
            if content.key == key
        )

    async def find_by_message_id(self, access: Access, internet_message_id: str) -> tuple[Located, ...]:
        self.called("find_by_message_id")
        received = [Located(mail.outline, Whereabouts.SENT) for mail in self.mails.values()]
        ours = [
            self._located(graph_message_id, where)
            for place, where in self._places()
            for graph_message_id in place
        ]
        found = [
            copy for copy in (*received, *ours) if copy.outline.internet_message_id == internet_message_id
        ]
        return tuple(found)

    async def delete_draft(self, access: Access, graph_message_id: str) -> None:
        self.called("delete_draft")
        if graph_message_id in self.drafts:
            self.deleted[graph_message_id] = self.drafts.pop(graph_message_id)

    async def subscribe(
        self, access: Access, *, client_state: str, expires_at: datetime, notification_url: str, **_: Any
    ) -> Subscription:
        await access.token()
        self.called("subscribe")
        self.client_states.append(client_state)
        number = f"sub-{len(self.client_states)}"
        made = Subscription(number, expires_at, "me/messages", client_state, notification_url)
        self.subscribed[number] = made
        self.subscribers[number] = access.mailbox_id
        return made

    async def renew(self, access: Access, subscription_id: str, expires_at: datetime) -> Subscription:
        await access.token()
        self.called("renew")
        if subscription_id in self.gone:
            raise SubscriptionGone
        return Subscription(subscription_id, expires_at, "me/messages")

    async def unsubscribe(self, access: Access, subscription_id: str) -> None:
        await access.token()
        self.called("unsubscribe")
        self.subscribed.pop(subscription_id, None)

    async def subscriptions(self, access: Access) -> tuple[Subscription, ...]:
        await access.token()
        self.called("subscriptions")
        mine = access.mailbox_id
        return tuple(
            made for number, made in self.subscribed.items() if self.subscribers.get(number, mine) == mine
        )

    # ---- inside

    def _judge_key(self, content: DraftContent) -> None:
        if self.takes_no_key and content.key is not None:
            raise KeyRefused

    def _draft(self, content: DraftContent) -> Draft:
        number = f"draft-{len(self.drafts) + len(self.sent) + len(self.deleted) + 1}"
        self.drafts[number] = content
        self.times[number] = self.now()
        outline = self._draft_outline(number)
        return Draft(number, outline.internet_message_id, outline.conversation_id, "<p>Quoted.</p>",
                     sender=self.drafts_are_from)  # fmt: skip

    def _draft_outline(self, number: str) -> Outline:
        return Outline(number, f"<{number}@{DOMAIN}>", f"conv-{number}", is_draft=True, received_at=self.times[number],
                       last_modified_at=self.times[number])  # fmt: skip

    def _places(self) -> tuple[tuple[dict[str, DraftContent], Whereabouts], ...]:
        return (
            (self.sent, Whereabouts.SENT),
            (self.drafts, Whereabouts.DRAFT),
            (self.deleted, Whereabouts.DELETED_DRAFT),
        )

    def _located(self, number: str, whereabouts: Whereabouts) -> Located:
        if whereabouts is Whereabouts.SENT:
            return Located(self.sent_outline(number), whereabouts)
        key = (self.drafts | self.deleted)[number].key
        return Located(replace(self._draft_outline(number), key=key or None), whereabouts)

    def _mail(self, graph_message_id: str) -> FetchedMessage:
        if graph_message_id not in self.mails:
            raise ItemGone
        return self.mails[graph_message_id]

"""The route table: the operations of the simulated Graph, with the scopes and query options of each.

Paths and query options as in Graph v1.0; any of the scopes suffices (Microsoft Graph permissions reference).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.graphsim import attachments, folders, messages, subscription_api
from sandbox.graphsim.calls import Operation

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sandbox.graphsim.calls import Call, Reply

_PROFILE = ("User.Read", "User.ReadWrite")
_READ = ("Mail.Read", "Mail.ReadWrite")
_WRITE = ("Mail.ReadWrite",)
_SEND = ("Mail.Send",)
_PAGED = ("$select", "$top", "$skip")
# The query options that Graph accepts on a collection and on a single item; those not imitated are answered with 501.
_OF_COLLECTIONS = ("$count", "$expand", "$filter", "$orderby", "$search", "$select", "$skip", "$top")
_OF_ITEMS = ("$select", "$expand")
_COLLECTIONS = {"message.list", "attachment.list", "folder.list", "folder.children", "folder.messages"}
_ITEMS = {"me.get", "message.get", "attachment.get", "folder.get", "folder.message"}
_OF_FOLDERS = {"folder.list", "folder.get", "folder.children"}


def _operation(
    name: str,
    route: str,
    handler: Callable[[Call], Awaitable[Reply]],
    scopes: tuple[str, ...] = (),
    query: tuple[str, ...] = (),
) -> Operation:
    method, template = route.split(" ")
    return Operation(name, method, template, handler, scopes, query, _not_imitated(name, query))


def _not_imitated(name: str, query: tuple[str, ...]) -> frozenset[str]:
    taken = set(_OF_COLLECTIONS if name in _COLLECTIONS else _OF_ITEMS if name in _ITEMS else ())
    hidden = {"includeHiddenFolders"} if name in _OF_FOLDERS else set()
    return frozenset((taken | hidden) - set(query))


OPERATIONS: tuple[Operation, ...] = (
    _operation("me.get", "GET me", folders.get_me, _PROFILE, ("$select",)),
    _operation("me.sendMail", "POST me/sendMail", messages.send_mail, _SEND),
    _operation("message.list", "GET me/messages", messages.list_messages, _READ, messages.LIST_OPTIONS),
    _operation("message.create", "POST me/messages", messages.create_message, _WRITE),
    _operation(
        "message.get", "GET me/messages/{message}", messages.get_message, _READ, messages.READ_OPTIONS
    ),
    _operation("message.update", "PATCH me/messages/{message}", messages.update_message, _WRITE),
    _operation("message.delete", "DELETE me/messages/{message}", messages.delete_message, _WRITE),
    _operation("message.value", "GET me/messages/{message}/$value", messages.get_mime, _READ),
    _operation(
        "message.createReply", "POST me/messages/{message}/createReply", messages.create_reply, _WRITE
    ),
    _operation(
        "message.createReplyAll",
        "POST me/messages/{message}/createReplyAll",
        messages.create_reply_all,
        _WRITE,
    ),
    _operation(
        "message.createForward", "POST me/messages/{message}/createForward", messages.create_forward, _WRITE
    ),
    _operation("message.send", "POST me/messages/{message}/send", messages.send, _SEND),
    _operation("message.move", "POST me/messages/{message}/move", messages.move, _WRITE),
    _operation("message.copy", "POST me/messages/{message}/copy", messages.copy, _WRITE),
    _operation(
        "message.permanentDelete",
        "POST me/messages/{message}/permanentDelete",
        messages.permanent_delete,
        _WRITE,
    ),
    _operation(
        "attachment.list",
        "GET me/messages/{message}/attachments",
        attachments.list_attachments,
        _READ,
        ("$select", "$top", "$skip"),
    ),
    _operation(
        "attachment.create", "POST me/messages/{message}/attachments", attachments.add_attachment, _WRITE
    ),
    _operation(
        "attachment.createUploadSession",
        "POST me/messages/{message}/attachments/createUploadSession",
        attachments.create_upload_session,
        _WRITE,
    ),
    _operation(
        "attachment.get",
        "GET me/messages/{message}/attachments/{attachment}",
        attachments.get_attachment,
        _READ,
        ("$select",),
    ),
    _operation(
        "attachment.delete",
        "DELETE me/messages/{message}/attachments/{attachment}",
        attachments.delete_attachment,
        _WRITE,
    ),
    _operation(
        "attachment.value",
        "GET me/messages/{message}/attachments/{attachment}/$value",
        attachments.get_content,
        _READ,
    ),
    _operation("folder.list", "GET me/mailFolders", folders.list_folders, _READ, _PAGED),
    _operation("folder.create", "POST me/mailFolders", folders.create_folder, _WRITE),
    _operation("folder.get", "GET me/mailFolders/{folder}", folders.get_folder, _READ, ("$select",)),
    _operation(
        "folder.children",
        "GET me/mailFolders/{folder}/childFolders",
        folders.list_child_folders,
        _READ,
        _PAGED,
    ),
    _operation(
        "folder.messages",
        "GET me/mailFolders/{folder}/messages",
        folders.list_folder_messages,
        _READ,
        messages.LIST_OPTIONS,
    ),
    _operation(
        "folder.message",
        "GET me/mailFolders/{folder}/messages/{message}",
        folders.get_folder_message,
        _READ,
        messages.READ_OPTIONS,
    ),
    _operation("subscription.list", "GET subscriptions", subscription_api.list_subscriptions),
    _operation("subscription.create", "POST subscriptions", subscription_api.create_subscription),
    _operation("subscription.get", "GET subscriptions/{subscription}", subscription_api.get_subscription),
    _operation(
        "subscription.update", "PATCH subscriptions/{subscription}", subscription_api.update_subscription
    ),
    _operation(
        "subscription.delete", "DELETE subscriptions/{subscription}", subscription_api.delete_subscription
    ),
    _operation(
        "subscription.reauthorize",
        "POST subscriptions/{subscription}/reauthorize",
        subscription_api.reauthorize,
    ),
)

"""Handlers of the caller's profile and mail folders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.graphsim import ids as id_forms
from sandbox.graphsim import messages, render, schema
from sandbox.graphsim.calls import Call, Reply
from sandbox.graphsim.errors import GraphError, bad_body, bad_query, bad_request, item_not_found, malformed_id
from sandbox.graphsim.store import Folder

if TYPE_CHECKING:
    from typing import Any

PAGE = 10


def _apply_select(call: Call, type_name: str, body: dict[str, Any]) -> dict[str, Any]:
    text = call.query.get("$select")
    if text is None:
        return body
    names = [part.strip() for part in text.split(",")]
    for name in names:
        if name not in schema.properties_of(type_name):
            raise bad_query(
                f"Could not find a property named '{name}' on type 'microsoft.graph.{type_name}'."
            )
    call.entry.fields = names
    return {name: body.get(name) for name in ["id", *(n for n in names if n != "id")]}


async def get_me(call: Call) -> Reply:
    """GET the signed-in user."""
    person = render.user(call.caller.user)
    if "$select" in call.query:  # not among the default properties
        person["proxyAddresses"] = render.proxy_addresses(call.world, call.caller.user)
    body = _apply_select(call, "user", person)
    return Reply(200, {"@odata.context": call.context("users/$entity"), **body})


def find_folder(call: Call) -> Folder:
    """The folder that the path names by id or well-known name; raises Graph's 400 or 404."""
    reference = call.ids["folder"]
    folder = call.mailbox.folder(reference)
    if folder is None:
        raise item_not_found() if id_forms.looks_like_id(reference) else malformed_id()
    return folder


async def list_folders(call: Call) -> Reply:
    """GET the folders directly below the root."""
    return _list_below(call, call.mailbox.root_id)


async def list_child_folders(call: Call) -> Reply:
    """GET the folders directly below a folder."""
    return _list_below(call, find_folder(call).folder_id)


def _list_below(call: Call, parent_id: str) -> Reply:
    box = call.mailbox
    found = [f for f in box.folders.values() if f.parent_id == parent_id != f.folder_id]
    top = call.query.get("$top", str(PAGE))
    if not top.isdigit() or int(top) < 1:
        raise bad_query(f"Invalid value '{top}' for $top query option.")
    if not (skipped := call.query.get("$skip", "0")).isdigit():
        raise bad_query(f"Invalid value '{skipped}' for $skip query option.")
    skip = int(skipped)
    value = [_apply_select(call, "mailFolder", render.folder(box, f)) for f in found[skip : skip + int(top)]]
    body: dict[str, Any] = {"@odata.context": call.mailbox_context("mailFolders"), "value": value}
    if skip + int(top) < len(found):
        body["@odata.nextLink"] = (
            f"{call.base_url}/v1.0/{'/'.join(call.segments)}?$top={top}&$skip={skip + int(top)}"
        )
    return Reply(200, body)


async def get_folder(call: Call) -> Reply:
    """GET one folder."""
    body = _apply_select(call, "mailFolder", render.folder(call.mailbox, find_folder(call)))
    return Reply(200, {"@odata.context": call.mailbox_context("mailFolders/$entity"), **body})


async def create_folder(call: Call) -> Reply:
    """POST a folder below the root."""
    value = call.json_body()
    if problem := schema.check("mailFolder", value, request=True):
        raise bad_body(problem)
    name = value.get("displayName")
    if set(value) - {"displayName", "isHidden", "@odata.type"} or not name:
        raise bad_request("A folder is made from its displayName.", "ErrorInvalidRequest")
    box = call.mailbox
    if any(f.display_name.lower() == name.lower() for f in box.folders.values()):
        raise GraphError(409, "ErrorFolderExists", "A folder with the specified name already exists.")
    folder_id = call.world.ids.item(id_forms.FOLDER, box.id_part)
    folder = box.folders[folder_id] = Folder(folder_id, name, box.root_id)
    body = render.folder(box, folder)
    return Reply(201, {"@odata.context": call.mailbox_context("mailFolders/$entity"), **body})


async def list_folder_messages(call: Call) -> Reply:
    """GET the messages directly in one folder."""
    folder = find_folder(call)
    return messages.list_page(
        call, call.mailbox.in_folder(folder.folder_id), f"mailFolders('{folder.folder_id}')/messages"
    )


async def get_folder_message(call: Call) -> Reply:
    """GET one message by a path through its folder."""
    folder = find_folder(call)
    if messages.find(call).folder_id != folder.folder_id:
        raise item_not_found()
    call.entry.internet_message_ids.clear()
    return await messages.get_message(call)

"""Members of received mail as Graph hands on what strangers' programs wrote: half characters, and nulls (knobs).

Only received mail is answered so. A draft comes back as it was made, because its maker compares.
"""

from __future__ import annotations

import mimetypes
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.graphsim.world import World

Json = dict[str, Any]
_PEOPLE = ("toRecipients", "ccRecipients", "replyTo")
_BODIES = ("body", "uniqueBody")


def half(text: str) -> str:
    """The first half alone of every character that UTF-16 writes as a pair."""
    return "".join(chr(0xD800 + (ord(c) - 0x10000 >> 10)) if ord(c) > 0xFFFF else c for c in text)


def of_message(world: World, out: Json) -> Json:
    """A rendered message as a received one."""
    if world.knobs.text("half_surrogates") == "cut":
        out = _halved(out)
    return _with_nulls(out) if world.knobs.text("null_members") == "some" else out


def of_attachment(world: World, out: Json) -> Json:
    """A rendered attachment as one of a received message."""
    if world.knobs.text("half_surrogates") == "cut" and out.get("name"):
        out = out | {"name": half(out["name"])}
    if world.knobs.text("null_members") == "some" and _is_told_by_its_name(out):
        out = out | {"contentType": None}
    return out


def _is_told_by_its_name(out: Json) -> bool:
    kind = mimetypes.guess_type(out.get("name") or "")[0]
    return kind is not None and kind == out.get("contentType")


def _halved(value: Any) -> Any:
    if isinstance(value, str):
        return half(value)
    if isinstance(value, list):
        return [_halved(item) for item in value]
    return {name: _halved(item) for name, item in value.items()} if isinstance(value, dict) else value


def _with_nulls(out: Json) -> Json:
    """Null wherever the v1.0 metadata allows it and the mail still says who wrote what to whom."""
    out = dict(out)
    for name in _PEOPLE:
        if name in out:
            out[name] = [*(_nameless(person) for person in out[name]), {"emailAddress": None}]
    for name in ("from", "sender"):
        if out.get(name):
            out[name] = _nameless(out[name])
    for name in _BODIES:
        if name in out:
            out[name] = out[name] | {"contentType": None}
    if out.get("internetMessageHeaders"):
        out["internetMessageHeaders"] = [*out["internetMessageHeaders"], {"name": None, "value": None}]
    return out


def _nameless(person: Json) -> Json:
    return {"emailAddress": person["emailAddress"] | {"name": None}}

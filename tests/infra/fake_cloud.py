"""A fake `az` and `azd`: executables for a temporary folder, with their state in a JSON file beside them.

The answers and errors have the form of the real ones: the CLI's JSON on stdout, `ERROR: Forbidden({...})` of `az rest`
on stderr, the sentences of `az storage` and `az account`. Run as `fake_cloud.py STATE az|azd ARGUMENTS…`.
"""

from __future__ import annotations

import itertools
import json
import sys

if __name__ != "__main__":  # run as a program it starts a hundred times in a test run, so it imports little
    from typing import Any

GRAPH = "https://graph.microsoft.com/v1.0"
NOT_LOGGED_IN = "ERROR: Please run 'az login' to setup account."
STORAGE_DENIED = """
You do not have the required permissions needed to perform this operation.
Depending on your operation, you may need to be assigned one of the following roles:
    "Storage Blob Data Owner"
    "Storage Blob Data Contributor"
"""
BLANK: dict[str, Any] = {
    "logged_in": True,
    "subscription": "00000000-0000-0000-0000-000000000001",
    "tenant": "11111111-1111-1111-1111-111111111111",
    "default_tenant": "11111111-1111-1111-1111-111111111111",
    "permissions": [{"actions": ["*"], "notActions": []}],
    "may_list_deleted": True,
    "deleted_vaults": [],
    "entra": "allowed",  # "denied": nothing of Entra, "read": no writing
    "applications": [],
    "credentials": {},
    "principals": [],
    "blob_denials": 0,
    "blobs": [],
    "references": {},
    "resolve_after": 0,
    "secrets": {},
    "variables": {},
    "writes": [],
    "calls": [],
}


_numbers = itertools.count()


def new_id(state: dict[str, Any]) -> str:
    """An id that no other thing of this cloud has."""
    return f"00000000-0000-4000-8000-{len(state['calls']):08d}{next(_numbers):04d}"


def text_of(file: str) -> str:
    with open(file, encoding="utf-8") as opened:  # noqa: PTH123 - pathlib takes longer to import than the rest
        return opened.read()


def load(file: str) -> Any:
    return json.loads(text_of(file))


class Failure(Exception):
    """The command ends with 1 and this on stderr."""


def graph_error(status: str, code: str, message: str) -> Failure:
    error = json.dumps({"error": {"code": code, "message": message, "innerError": {}}})
    return Failure(f"ERROR: {status}({error})")


def option(arguments: list[str], name: str, default: str = "") -> str:
    return arguments[arguments.index(name) + 1] if name in arguments else default


class Az:
    """The commands of `az` that the hooks use; anything else is refused as the CLI would."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state

    def run(self, arguments: list[str]) -> Any:
        if not self.state["logged_in"]:
            raise Failure(NOT_LOGGED_IN)
        match arguments:
            case ["account", "show", *rest]:
                tenant = "tenant" if "--subscription" in rest else "default_tenant"
                return {
                    "id": self.state["subscription"],
                    "tenantId": self.state[tenant],
                    "user": {"name": "ops@example.com", "type": "user"},
                }
            case ["keyvault", "list-deleted", *_]:
                if not self.state["may_list_deleted"]:
                    raise Failure("ERROR: (AuthorizationFailed) The client does not have authorization")
                return self.state["deleted_vaults"]
            case ["storage", "blob", verb, *rest]:
                return self.blob(verb, rest)
            case ["rest", *rest]:
                body = option(rest, "--body")
                content = load(body[1:]) if body else None
                return self.rest(option(rest, "--method"), option(rest, "--url"), content)
        return self.run_by_hand(arguments)

    def run_by_hand(self, arguments: list[str]) -> Any:
        """What operators type, by docs/runbook.md."""
        match arguments:
            case ["keyvault", "secret", "show", *rest]:
                assert option(rest, "--query") == "value"
                return self.state["secrets"][option(rest, "--name")]
            case ["keyvault", "secret", "set", *rest]:
                self.state["secrets"][option(rest, "--name")] = text_of(option(rest, "--file"))
                self.wrote(f"secret {option(rest, '--name')}")
                return None
            case ["functionapp", "show", *rest]:
                group = f"/subscriptions/{self.state['subscription']}/resourceGroups/{option(rest, '--resource-group')}"
                return f"{group}/providers/Microsoft.Web/sites/{option(rest, '--name')}"
            case ["functionapp", "restart", *rest]:
                return self.wrote(f"restart {option(rest, '--name')}")
        raise Failure(f"ERROR: '{' '.join(arguments[:2])}' is misspelled or not recognized by the system.")

    def wrote(self, what: str, content: Any = None) -> None:
        self.state["writes"].append([what, content])

    def blob(self, verb: str, rest: list[str]) -> Any:
        if option(rest, "--auth-mode") != "login":
            raise Failure("ERROR: Server failed to authenticate the request.")
        if self.state["blob_denials"]:
            self.state["blob_denials"] -= 1
            raise Failure(STORAGE_DENIED)
        name = "/".join(option(rest, key) for key in ("--account-name", "--container-name", "--name"))
        if verb == "exists":
            return {"exists": name in self.state["blobs"]}
        self.state["blobs"].append(name)
        self.wrote(f"blob {name}")
        return {"etag": '"0x8DD"', "lastModified": "2026-11-29T00:00:00+00:00"}

    def rest(self, method: str, url: str, body: Any) -> Any:
        if url.startswith(GRAPH):
            path = url.removeprefix(GRAPH).split("?", maxsplit=1)[0]
            if self.state["entra"] == "denied" or (self.state["entra"] == "read" and method != "get"):
                words = "Insufficient privileges to complete the operation."
                raise graph_error("Forbidden", "Authorization_RequestDenied", words)
            return self.graph(method, path, body)
        if url.split("?", maxsplit=1)[0].endswith("/Microsoft.Authorization/permissions"):
            return {"value": self.state["permissions"]}
        return self.site(method, url)

    def site(self, method: str, url: str) -> Any:
        here, _, query = url.partition("?")
        assert here.startswith("https://management.azure.com/subscriptions/"), url
        assert query.startswith("api-version="), url
        references_of, _, refresh = here.partition("/config/configreferences/appsettings")
        references = self.state["references"]
        if refresh == "/refresh":
            assert method == "post"
            self.wrote("refresh")
            self.state["resolve_after"] -= 1
            if self.state["resolve_after"] <= 0:
                references.update(dict.fromkeys(references, "Resolved"))
            return None
        assert (method, refresh) == ("get", ""), url
        assert "/providers/Microsoft.Web/sites/" in references_of, url
        return {
            "value": [
                {"id": f"{here}/{name}", "name": name, "properties": {"reference": "@…", "status": status}}
                for name, status in references.items()
            ]
        }

    def graph(self, method: str, path: str, body: Any) -> Any:
        if method != "get":
            self.wrote(f"{method} {path}", body)
        if path == "/servicePrincipals":
            self.state["principals"].append(body["appId"])
            return {"id": new_id(self.state), "appId": body["appId"]}
        kind, _, rest = path.removeprefix("/").partition("(")
        if rest:
            selector, _, below = rest.partition(")")
            key, _, value = selector.partition("=")
            value = value.strip("'")
        else:
            kind, key, value, *more = path.removeprefix("/").replace("/", "/id/", 1).split("/", 3)
            below = "/" + more[0] if more else ""
        if kind == "servicePrincipals":
            if value in self.state["principals"]:
                return {"id": new_id(self.state)}
            raise self.missing(value)
        assert kind == "applications", path
        application = next((a for a in self.state["applications"] if a.get(key) == value), None)
        if application is None and method == "patch" and key == "uniqueName":
            application = {"id": new_id(self.state), "appId": new_id(self.state), key: value, **body}
            self.state["applications"].append(application)
            return application
        if application is None:
            raise self.missing(value)
        if below:
            return self.credential(method, application["id"], below, body)
        if method == "patch":
            application.update(body)
            return None
        return application

    def credential(self, method: str, application: str, below: str, body: Any) -> Any:
        kept = self.state["credentials"].setdefault(application, [])
        if method == "get":
            return {"value": kept}
        if method == "post":
            kept.append({"id": new_id(self.state), **body})
            return kept[-1]
        (item,) = [item for item in kept if below.endswith(item["id"])]
        item.update(body)
        return None

    @staticmethod
    def missing(value: str) -> Failure:
        words = f"Resource '{value}' does not exist or one of its queried reference-property objects are not present."
        return graph_error("Not Found", "Request_ResourceNotFound", words)


def azd(state: dict[str, Any], arguments: list[str]) -> None:
    match arguments:
        case ["env", "set", name, value, *_]:
            state["variables"][name] = value
            state["writes"].append([f"azd {name}", value])
        case ["env", "get-value", name]:
            sys.stdout.write(state["variables"][name])
        case _:
            raise Failure(f'ERROR: unknown command "{" ".join(arguments)}" for "azd"')


def main() -> int:
    file, program, *arguments = sys.argv[1:]
    state = load(file)
    state["calls"].append([program, *arguments])
    plain = [item for item in arguments if item != "--only-show-errors"]
    try:
        answer = Az(state).run(plain) if program == "az" else azd(state, plain)
    except Failure as failure:
        sys.stderr.write(f"{failure}\n")
        return 1
    finally:
        with open(file, "w", encoding="utf-8") as opened:  # noqa: PTH123 - as above
            json.dump(state, opened)
    if answer is not None:
        sys.stdout.write(answer if isinstance(answer, str) else json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())

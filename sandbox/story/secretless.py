"""The act that is played on Azure's stand-ins only: what the product used in the place of secrets."""

from __future__ import annotations

from sandbox.story.stage import Stage, expect
from sandbox.story.telling import Told

DATA_KEY_BYTES = 32
USED = {"https://storage.azure.com", "https://vault.azure.net", "api://AzureADTokenExchange"}
BY_THE_APP = {"keys/read", "keys/wrap/action", "keys/unwrap/action", "secrets/getSecret/action"}


async def nothing_secret(stage: Stage, told: Told) -> None:
    """No secret was used: sign-in by the identity's word, the vault saw data keys and no token, storage a bearer."""
    del told
    assert stage.azure is not None
    _, log = await stage.requests()
    asked = [entry for entry in log if entry["operation"] == "entra.token" and entry["status"] == 200]
    expect("the product signed in at Entra", asked)
    expect("each time by a token of its identity", {entry["credential"] for entry in asked} == {"federated"})
    tokens = (await stage.azure.get("/__control/tokens")).json()["tokens"]
    expect(
        "its identity got tokens for storage, vault and sign-in alone",
        {token["resource"] for token in tokens} == USED,
    )
    served = [
        entry
        for entry in (await stage.azure.get("/__control/vault-log")).json()["requests"]
        if entry["status"] != 401  # the challenge, which carries nothing
    ]
    expect("the vault refused nothing", {entry["status"] for entry in served} == {200})
    expect("the vault was used as agreed", {entry["action"] for entry in served} <= BY_THE_APP)
    sizes = {
        entry["bytes"] for entry in served if entry["action"] in {"keys/wrap/action", "keys/unwrap/action"}
    }
    expect("it wrapped data keys and nothing else", sizes == {DATA_KEY_BYTES})

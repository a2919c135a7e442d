"""Who the app is at Azure: a managed identity, or on an operator's machine the person behind `azd` or `az`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Self

from shared.domain.errors import ProviderUnavailable

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken
    from azure.core.credentials_async import AsyncTokenCredential

# "Access Microsoft Entra protected resources by managed identity federation": the audience of such an assertion.
EXCHANGE_SCOPE: Final = "api://AzureADTokenExchange/.default"


class Identity:
    """An azure-identity credential that is loaded by its first token; it keeps tokens until shortly before they end."""

    def __init__(self, load: Callable[[], AsyncTokenCredential]) -> None:
        self._load = load
        self._real: AsyncTokenCredential | None = None

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """A token for these scopes, as Azure's clients ask for one. Raises azure-core's ClientAuthenticationError."""
        if self._real is None:
            self._real = self._load()
        return await self._real.get_token(*scopes, **options)

    async def assertion(self) -> str:
        """What the app registration takes in the place of a secret. Raises ProviderUnavailable."""
        from azure.core.exceptions import AzureError

        try:
            return str((await self.get_token(EXCHANGE_SCOPE)).token)
        except AzureError as err:
            raise ProviderUnavailable("No token of the managed identity is to be had now.") from err

    async def close(self) -> None:
        """Let go of the connections, if there are any."""
        if self._real is not None:
            await self._real.close()
            self._real = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def managed_identity(client_id: str | None) -> Identity:
    """The user-assigned identity with this client id; with None the one that the system assigned."""

    def load() -> AsyncTokenCredential:
        from azure.identity.aio import ManagedIdentityCredential

        return ManagedIdentityCredential(client_id=client_id)

    return Identity(load)


def signed_in_operator(tenant_id: str | None) -> Identity:
    """The person who is signed in with `azd auth login`, else with `az login`; `tenant_id` as in `AZURE_TENANT_ID`."""

    def load() -> AsyncTokenCredential:
        from azure.identity.aio import AzureCliCredential, AzureDeveloperCliCredential, ChainedTokenCredential

        tenant = tenant_id or ""
        return ChainedTokenCredential(
            AzureDeveloperCliCredential(tenant_id=tenant), AzureCliCredential(tenant_id=tenant)
        )

    return Identity(load)

"""Encryption at rest: a value opens where it was sealed, and nowhere else (K-1 to K-5)."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.domain.errors import KeyUnavailable, RowExists, SealBroken, UnknownForm
from shared.ports import Rewrapped
from shared.security.sealing import CACHED_FOR, EnvelopeSealer, LocalKeyWrapper
from shared.state.tenants import Tenants
from tests.builders import TENANT, SeededRandom, StillClock, ready_tables

PLACE = ("Connections", "ten|user", "tokens", "cache")
SECRET = b"canary: a refresh token"


@dataclass
class Keys:
    """Wrapped data keys in a dictionary; the newest is the last one made."""

    kept: dict[tuple[str, str], str] = field(default_factory=dict)
    loads: int = 0

    async def load_data_key(self, tenant_id: str, key_id: str | None) -> tuple[str, str] | None:
        self.loads += 1
        of_tenant = [
            (number, wrapped) for (owner, number), wrapped in self.kept.items() if owner == tenant_id
        ]
        found = [kept for kept in of_tenant if key_id in {None, kept[0]}]
        return found[-1] if found else None

    async def create_data_key(self, tenant_id: str, key_id: str, wrapped: str) -> None:
        if (tenant_id, key_id) in self.kept:
            raise RowExists
        self.kept[tenant_id, key_id] = wrapped


class Counting(LocalKeyWrapper):
    """Counts how often the key-encryption key is asked."""

    unwrapped = 0

    async def unwrap(self, wrapped: str) -> bytes:
        self.unwrapped += 1
        return await super().unwrap(wrapped)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_bytes(bytes(range(32)))
    path.chmod(0o600)
    return path


@dataclass
class Bench:
    keys: Keys
    clock: StillClock
    wrapper: Counting
    sealer: EnvelopeSealer

    async def opened(self, sealed: str, place: Sequence[str] = PLACE, tenant_id: str = TENANT) -> bytes:
        return await self.sealer.unseal(tenant_id, place, sealed)

    def again(self) -> EnvelopeSealer:
        """Another worker over the same keys."""
        return EnvelopeSealer(self.wrapper, self.keys, self.clock, SeededRandom())


@pytest.fixture
def bench(key_file: Path) -> Bench:
    keys, clock, wrapper = Keys(), StillClock(), Counting(key_file)
    return Bench(keys, clock, wrapper, EnvelopeSealer(wrapper, keys, clock, SeededRandom()))


async def test_what_was_sealed_opens(bench: Bench) -> None:
    """A sealed value opens in this worker and in another one, and is not readable."""
    sealed = await bench.sealer.seal(TENANT, PLACE, SECRET)
    assert await bench.opened(sealed) == SECRET
    assert await bench.again().unseal(TENANT, PLACE, sealed) == SECRET
    assert re.fullmatch(r"v1\.local\.k1\.[A-Za-z0-9_-]+", sealed)
    assert "canary" not in sealed
    assert "canary" not in "".join(bench.keys.kept.values())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # more keys in the bench do no harm
@given(st.binary(max_size=100), st.lists(st.text(max_size=8), min_size=1, max_size=5))
async def test_any_value_opens_in_any_place(bench: Bench, plain: bytes, place: list[str]) -> None:
    """Any value opens in the place where it was sealed, whatever the place is called."""
    assert await bench.opened(await bench.sealer.seal(TENANT, place, plain), place) == plain


@pytest.mark.parametrize(
    "moved",
    [
        ("Claims", "ten|user", "tokens", "cache"),
        ("Connections", "ten|eve", "tokens", "cache"),
        ("Connections", "ten|user", "pending", "cache"),
        ("Connections", "ten|user", "tokens", "access"),
        ("Connections", "ten|user", "tokens"),
        ("Connections", "ten|user", "tokens", "cache", ""),
        ("Connections", "ten|user", "token", "scache"),
        ("Connectionsten|user", "", "tokens", "cache"),
        ("ten|user", "Connections", "tokens", "cache"),
        (),
    ],
)
async def test_a_value_moved_elsewhere_does_not_open(bench: Bench, moved: tuple[str, ...]) -> None:
    """A value that was moved to another table, partition, row or field does not open (K-3)."""
    sealed = await bench.sealer.seal(TENANT, PLACE, SECRET)
    with pytest.raises(SealBroken):
        await bench.opened(sealed, moved)


async def test_another_tenants_value_does_not_open(bench: Bench) -> None:
    """A value does not open for another tenant (K-3)."""
    sealed = await bench.sealer.seal(TENANT, PLACE, SECRET)
    await bench.sealer.seal("ten_other", PLACE, SECRET)
    with pytest.raises(SealBroken):
        await bench.opened(sealed, tenant_id="ten_other")
    with pytest.raises(SealBroken):
        await bench.opened(sealed, tenant_id="ten_without_keys")


async def test_a_changed_value_does_not_open(bench: Bench) -> None:
    """A sealed value that was changed in any letter does not open."""
    sealed = await bench.sealer.seal(TENANT, PLACE, SECRET)
    body = sealed.rindex(".") + 1
    for at in range(body, len(sealed) - 1):  # the last letter has bits that stand for nothing
        changed = sealed[:at] + ("A" if sealed[at] != "A" else "B") + sealed[at + 1 :]
        with pytest.raises(SealBroken):
            await bench.opened(changed)


async def test_a_cut_value_does_not_open(bench: Bench) -> None:
    """A sealed value that was cut anywhere does not open."""
    sealed = await bench.sealer.seal(TENANT, PLACE, SECRET)
    for length in range(len(sealed)):
        with pytest.raises(SealBroken):
            await bench.opened(sealed[:length])


@pytest.mark.parametrize(
    "form",
    [
        "v0.local.k1.{}",
        "V1.local.k1.{}",
        ".local.k1.{}",
        "v1.vault.k1.{}",
        "v1..k1.{}",
        "v1.local.k2.{}",
        "v1.local..{}",
        "v1.local.k1.{}.x",
        "local.k1.{}",
        "{}",
    ],
)
async def test_an_unknown_version_or_key_never_falls_back(bench: Bench, form: str) -> None:
    """A value of an unknown version or key is an error, and no other key is tried (K-2)."""
    body = (await bench.sealer.seal(TENANT, PLACE, SECRET)).rpartition(".")[2]
    with pytest.raises(SealBroken):
        await bench.opened(form.format(body))


async def test_a_later_version_is_left_to_who_knows_it(bench: Bench) -> None:
    """A value of a later version is no broken one: a newer deployment opens it."""
    body = (await bench.sealer.seal(TENANT, PLACE, SECRET)).rpartition(".")[2]
    for form in ("v2.local.k1.{}", "v17.{}"):
        with pytest.raises(UnknownForm):
            await bench.opened(form.format(body))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(st.characters(), max_size=60)
    | st.text("Aa_-=.\u00fc\ud800", max_size=60).map("v1.local.k1.{}".format)
)
async def test_any_text_is_opened_or_refused(bench: Bench, text: str) -> None:
    """Any text that was not sealed is refused."""
    await bench.sealer.seal(TENANT, PLACE, SECRET)
    with pytest.raises(SealBroken):
        await bench.opened(text)


async def test_the_same_value_is_never_sealed_alike(bench: Bench) -> None:
    """The same value is sealed under a fresh 96-bit nonce each time, with a 128-bit tag (K-1)."""
    bodies = [(await bench.sealer.seal(TENANT, PLACE, SECRET)).rpartition(".")[2] for _ in range(20)]
    raw = [base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)) for body in bodies]
    assert {len(sealed) for sealed in raw} == {12 + len(SECRET) + 16}
    assert len({sealed[:12] for sealed in raw}) == len({sealed[12:] for sealed in raw}) == 20


async def test_the_key_encryption_key_is_asked_once_in_ten_minutes(bench: Bench) -> None:
    """A data key is unwrapped once in ten minutes (K-1)."""
    first = await bench.sealer.seal(TENANT, PLACE, SECRET)
    for _ in range(10):
        await bench.opened(await bench.sealer.seal(TENANT, PLACE, SECRET))
    asked, loads = bench.wrapper.unwrapped, bench.keys.loads
    assert asked == 1
    bench.clock.at += CACHED_FOR
    await bench.opened(first)
    assert (bench.wrapper.unwrapped, bench.keys.loads) == (asked + 1, loads + 1)
    assert CACHED_FOR.total_seconds() <= 600


async def test_a_new_data_key_takes_over_and_the_old_one_still_opens(bench: Bench) -> None:
    """A new data key seals within ten minutes, and the old one still opens its values (K-4)."""
    old = await bench.sealer.seal(TENANT, PLACE, SECRET)
    await bench.keys.create_data_key(TENANT, "k2", await bench.wrapper.wrap(b"2" * 32))
    assert (await bench.sealer.seal(TENANT, PLACE, SECRET)).startswith("v1.local.k1.")
    bench.clock.at += CACHED_FOR
    new = await bench.sealer.seal(TENANT, PLACE, SECRET)
    assert new.startswith("v1.local.k2.")
    for sealed in (old, new):
        assert await bench.opened(sealed) == SECRET
        assert await bench.again().unseal(TENANT, PLACE, sealed) == SECRET
    with pytest.raises(SealBroken):
        await bench.opened(old.replace(".k1.", ".k2."))


async def test_a_destroyed_data_key_takes_its_values_along(bench: Bench) -> None:
    """Values under a destroyed data key do not open any more (D-2)."""
    sealed = await bench.sealer.seal(TENANT, PLACE, SECRET)
    bench.keys.kept.clear()
    with pytest.raises(SealBroken):
        await bench.again().unseal(TENANT, PLACE, sealed)


async def test_of_two_first_data_keys_the_first_stays(bench: Bench) -> None:
    """When two workers make a tenant's first data key at once, both use the one that was kept."""

    class Late(Keys):
        async def load_data_key(self, tenant_id: str, key_id: str | None) -> tuple[str, str] | None:
            found = await bench.keys.load_data_key(tenant_id, key_id)
            self.loads += 1
            return None if self.loads == 1 else found

        async def create_data_key(self, tenant_id: str, key_id: str, wrapped: str) -> None:
            await bench.keys.create_data_key(tenant_id, key_id, wrapped)

    first = await bench.sealer.seal(TENANT, PLACE, SECRET)
    other = EnvelopeSealer(bench.wrapper, Late(), bench.clock, SeededRandom())
    second = await other.seal(TENANT, PLACE, SECRET)
    assert len(bench.keys.kept) == 1
    assert await other.unseal(TENANT, PLACE, first) == await bench.opened(second) == SECRET


async def test_a_data_key_that_is_neither_there_nor_new_is_an_error(bench: Bench) -> None:
    """A data key that can be neither loaded nor made is an error, and nothing is sealed."""

    class Torn(Keys):
        async def create_data_key(self, tenant_id: str, key_id: str, wrapped: str) -> None:
            raise RowExists

    with pytest.raises(SealBroken):
        await EnvelopeSealer(bench.wrapper, Torn(), bench.clock, SeededRandom()).seal(TENANT, PLACE, SECRET)


async def test_another_key_encryption_key_opens_nothing(bench: Bench, tmp_path: Path) -> None:
    """Another key file opens nothing."""
    sealed = await bench.sealer.seal(TENANT, PLACE, SECRET)
    theirs = tmp_path / "theirs"
    theirs.write_bytes(b"x" * 32)
    theirs.chmod(0o600)
    stranger = EnvelopeSealer(LocalKeyWrapper(theirs), bench.keys, bench.clock, SeededRandom())
    with pytest.raises(SealBroken):
        await stranger.unseal(TENANT, PLACE, sealed)


@pytest.mark.parametrize("wrapped", ["", "AAAA", "A" * 54, "!", "\u00fc", "A" * 53])
async def test_a_broken_wrapped_key_is_no_key(bench: Bench, wrapped: str) -> None:
    """A wrapped key that was damaged is refused (RFC 3394)."""
    with pytest.raises(SealBroken):
        await bench.wrapper.unwrap(wrapped)


async def test_wrapping_does_not_show_the_key(bench: Bench) -> None:
    """A wrapped key does not show the key and unwraps to the very same."""
    wrapped = await bench.wrapper.wrap(SECRET.ljust(32))
    assert "canary" not in wrapped
    assert await bench.wrapper.unwrap(wrapped) == SECRET.ljust(32)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o666, 0o601])
def test_a_key_file_that_others_may_touch_is_not_used(key_file: Path, mode: int) -> None:
    """A key file that others than its owner may touch is not used (K-5)."""
    key_file.chmod(mode)
    with pytest.raises(SealBroken, match="600"):
        asyncio.run(LocalKeyWrapper(key_file).wrap(b"x" * 32))


@pytest.mark.parametrize("content", [b"", b"x" * 31, b"x" * 33, b"x" * 16])
def test_a_key_file_of_another_length_is_not_used(key_file: Path, content: bytes) -> None:
    """A key file of another length than 32 bytes is not used (K-5)."""
    key_file.write_bytes(content)
    with pytest.raises(SealBroken, match="32"):
        asyncio.run(LocalKeyWrapper(key_file).wrap(b"x" * 32))


class Versions:
    """A key-encryption key of several versions, as a vault has them."""

    kek_id = "vault-key"

    def __init__(self) -> None:
        self.newest = "1"
        self.disabled: set[str] = set()
        self.unwraps = 0

    async def wrap(self, key: bytes) -> str:
        return f"{self.newest}.{key.hex()}"

    async def unwrap(self, wrapped: str) -> bytes:
        self.unwraps += 1
        version, _, text = wrapped.partition(".")
        if version in self.disabled:
            raise KeyUnavailable
        return bytes.fromhex(text)

    def version_of(self, wrapped: str) -> str:
        return wrapped.partition(".")[0]

    async def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
async def tenants() -> Tenants:
    return Tenants(await ready_tables(), StillClock())


def sealer_over(tenants: Tenants, versions: Versions) -> EnvelopeSealer:
    return EnvelopeSealer(versions, tenants, StillClock(), SeededRandom())


async def test_data_keys_move_to_the_newest_version(tenants: Tenants) -> None:
    """After a new version and one rewrapping every sealed value opens without the former version (K-4)."""
    versions = Versions()
    sealer = sealer_over(tenants, versions)
    sealed = {tenant: await sealer.seal(tenant, PLACE, SECRET) for tenant in ("ten_a", "ten_b", "ten_c")}
    assert await sealer.rewrap() == Rewrapped(0, 3)
    versions.newest = "2"
    sealed["ten_d"] = await sealer.seal("ten_d", PLACE, SECRET)
    assert await sealer.rewrap() == Rewrapped(3, 1)
    assert await sealer.rewrap() == Rewrapped(0, 4)
    versions.disabled.add("1")
    fresh = sealer_over(tenants, versions)
    for tenant, text in sealed.items():
        assert await fresh.unseal(tenant, PLACE, text) == SECRET


async def test_a_rewrapping_that_stopped_goes_on(tenants: Tenants) -> None:
    """A rewrapping that was stopped in the middle goes on with what is left, and nothing is lost (K-4)."""
    versions = Versions()
    sealer = sealer_over(tenants, versions)
    for tenant in ("ten_a", "ten_b", "ten_c"):
        await sealer.seal(tenant, PLACE, SECRET)
    versions.newest = "2"
    wrap, wrapped = versions.wrap, []

    async def dying(key: bytes) -> str:
        if len(wrapped) == 2:
            raise KeyUnavailable
        wrapped.append(key)
        return await wrap(key)

    versions.wrap = dying  # type: ignore[method-assign]
    with pytest.raises(KeyUnavailable):
        await sealer.rewrap()
    versions.wrap = wrap  # type: ignore[method-assign]
    assert await sealer.rewrap() == Rewrapped(1, 2)


async def test_a_vault_that_does_not_answer_breaks_no_seal(tenants: Tenants) -> None:
    """While the vault does not answer, what was used within ten minutes opens, and the rest waits."""
    versions = Versions()
    clock = StillClock()
    sealer = EnvelopeSealer(versions, tenants, clock, SeededRandom())
    sealed = await sealer.seal(TENANT, PLACE, SECRET)
    assert await sealer.unseal(TENANT, PLACE, sealed) == SECRET
    versions.disabled.add("1")
    assert await sealer.unseal(TENANT, PLACE, sealed) == SECRET
    clock.forward(minutes=11)
    with pytest.raises(KeyUnavailable):
        await sealer.unseal(TENANT, PLACE, sealed)
    versions.disabled.clear()
    assert await sealer.unseal(TENANT, PLACE, sealed) == SECRET

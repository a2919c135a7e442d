"""What every `TableStore` must do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum, StrEnum

import pytest

from shared.domain.errors import RowChanged, RowExists, RowMissing, TooLarge, UpstreamSurprise
from shared.storage.api import Delete, Insert, Op, Replace, Row, TableStore, Upsert, Value

ODD_KEYS = [
    "plain",
    "Plain",
    "PLAIN",
    "tenant|user",
    "conn:4711",
    "100%",
    "%2F",
    "a b",
    "a+b&c=d",
    "it's",
    'say "x"',
    "semi;colon,comma",
    "[x]{y}",
    "Zoë",
    "ключ",
    "鍵",
    "😀",
    "~",
    "!",
    "@at$",
]


class State(StrEnum):
    """Text with names."""

    OPEN = "open"


class Number(IntEnum):
    """Numbers with names."""

    ONE = 1


class TableStoreCases:
    """Give it a fixture `opened`; each case works in a table of its own."""

    @pytest.fixture
    async def store(self, opened: TableStore, fresh: str) -> AsyncIterator[TableStore]:
        await opened.ensure([fresh])
        yield opened
        await opened.close()

    @pytest.fixture
    def table(self, fresh: str) -> str:
        return fresh

    async def test_a_missing_row_is_none(self, store: TableStore, table: str) -> None:
        """Reading a row that nobody wrote gives None."""
        assert await store.get(table, "p", "r") is None

    async def test_a_row_comes_back_as_it_went(self, store: TableStore, table: str) -> None:
        """Every type of column survives, to the microsecond and the 64th bit, and None is not stored."""
        moment = datetime(2026, 3, 2, 9, 0, 0, 123456, tzinfo=UTC)
        values: dict[str, Value] = {
            "text": "Grüße 😀 'quoted' \"twice\"\nnext\tline <&>",
            "empty": "",
            "small": -7,
            "int32": 2**31 - 1,
            "beyond": 2**31,
            "large": 2**63 - 1,
            "negative": -(2**63),
            "half": 0.5,
            "yes": True,
            "no": False,
            "at": moment,
            "whole_at": moment.replace(microsecond=0),
            "data": bytes(range(256)),
            "nothing": None,
        }
        etag = await store.insert(table, "p", "r", values)
        expected = {name: value for name, value in values.items() if value is not None}
        row = await store.get(table, "p", "r")
        assert row == Row("p", "r", expected, etag)
        assert {name: type(value) for name, value in row.values.items()} == {
            name: type(value) for name, value in expected.items()
        }

    async def test_a_whole_float_keeps_its_value(self, store: TableStore, table: str) -> None:
        """A whole float comes back with the same value, although JSON may have made it an int on the way."""
        await store.insert(table, "p", "r", {"x": 2.0})
        assert await self._values(store, table, "p", "r") == {"x": 2.0}

    async def test_a_time_of_another_zone_comes_back_in_utc(self, store: TableStore, table: str) -> None:
        """A time of another zone comes back as the same moment in UTC."""
        there = datetime(2026, 3, 2, 9, 0, tzinfo=timezone(timedelta(hours=5, minutes=30)))
        await store.insert(table, "p", "r", {"at": there})
        at = (await self._values(store, table, "p", "r"))["at"]
        assert at == there
        assert isinstance(at, datetime)
        assert at.tzinfo is UTC

    async def test_a_naive_time_is_refused(self, store: TableStore, table: str) -> None:
        """A time without a zone is refused before it is stored."""
        with pytest.raises(ValueError, match="cannot hold"):
            await store.insert(table, "p", "r", {"at": datetime(2026, 3, 2)})  # noqa: DTZ001 - the mistake itself

    async def test_enumerations_are_stored_by_value(self, store: TableStore, table: str) -> None:
        """A StrEnum is stored as its text, and other enumerations are refused."""
        await store.insert(table, "p", "r", {"state": State.OPEN})
        assert repr((await self._values(store, table, "p", "r"))["state"]) == "'open'"
        with pytest.raises(ValueError, match="not its value"):
            await store.upsert(table, "p", "r", {"state": Number.ONE})

    async def test_a_second_insert_is_refused(self, store: TableStore, table: str) -> None:
        """A second insert of a row is refused, and the first one's row stays (E-3)."""
        await store.insert(table, "p", "r", {"x": 1})
        with pytest.raises(RowExists) as refused:
            await store.insert(table, "p", "r", {"x": 2})
        assert refused.value.row == "r"
        assert await self._values(store, table, "p", "r") == {"x": 1}

    async def test_replace_takes_only_the_etag_last_given(self, store: TableStore, table: str) -> None:
        """A replace under an older ETag is refused, and one under the present ETag gives a new one (E-2)."""
        first = await store.insert(table, "p", "r", {"x": 1, "gone": True})
        second = await store.replace(table, "p", "r", {"x": 2}, first)
        assert second != first
        assert await self._values(store, table, "p", "r") == {"x": 2}
        with pytest.raises(RowChanged):
            await store.replace(table, "p", "r", {"x": 3}, first)
        row = await store.get(table, "p", "r")
        assert row == Row("p", "r", {"x": 2}, second)

    async def test_replace_of_a_missing_row_is_refused(self, store: TableStore, table: str) -> None:
        """A replace does not bring back a row that was deleted meanwhile."""
        etag = await store.insert(table, "p", "r", {"x": 1})
        await store.delete(table, "p", "r")
        with pytest.raises(RowMissing):
            await store.replace(table, "p", "r", {"x": 2}, etag)
        assert await store.get(table, "p", "r") is None

    async def test_a_row_inserted_again_has_another_etag(self, store: TableStore, table: str) -> None:
        """A row that was deleted and inserted anew cannot be overwritten under its former ETag."""
        old = await store.insert(table, "p", "r", {"x": 1})
        await store.delete(table, "p", "r", old)
        await asyncio.sleep(0.002)  # Azurite's ETags are the millisecond in which a request arrived
        await store.insert(table, "p", "r", {"x": 1})
        with pytest.raises(RowChanged):
            await store.replace(table, "p", "r", {"x": 2}, old)

    async def test_upsert_writes_over_anything(self, store: TableStore, table: str) -> None:
        """An upsert stores the whole row, whether or not it was there."""
        await store.upsert(table, "p", "r", {"x": 1, "y": 1})
        etag = await store.upsert(table, "p", "r", {"x": 2})
        assert await store.get(table, "p", "r") == Row("p", "r", {"x": 2}, etag)

    async def test_delete_without_etag_is_content_with_a_missing_row(
        self, store: TableStore, table: str
    ) -> None:
        """Deleting a missing row without an ETag is no error."""
        await store.delete(table, "p", "r")
        await store.insert(table, "p", "r", {"x": 1})
        await store.delete(table, "p", "r")
        assert await store.get(table, "p", "r") is None

    async def test_delete_with_etag_is_exact(self, store: TableStore, table: str) -> None:
        """A delete with an ETag takes only the row that was read, and a missing row is an error."""
        old = await store.insert(table, "p", "r", {"x": 1})
        new = await store.replace(table, "p", "r", {"x": 2}, old)
        with pytest.raises(RowChanged):
            await store.delete(table, "p", "r", old)
        await store.delete(table, "p", "r", new)
        with pytest.raises(RowMissing):
            await store.delete(table, "p", "r", new)

    async def test_odd_keys_stay_apart(self, store: TableStore, table: str) -> None:
        """Keys that differ by case, spaces, quotes, percent signs or script are different rows."""
        for number, key in enumerate(ODD_KEYS):
            await store.insert(table, key, key, {"n": number})
        for number, key in enumerate(ODD_KEYS):
            assert await self._values(store, table, key, key) == {"n": number}, key
            assert [row.row for row in await store.query(table, key)] == [key]

    async def test_odd_keys_can_be_replaced_and_deleted(self, store: TableStore, table: str) -> None:
        """A row under an odd key can be replaced and deleted, alone and in a transaction."""
        for key in ODD_KEYS:
            etag = await store.insert(table, key, key, {"n": 1})
            etag = await store.replace(table, key, key, {"n": 2}, etag)
            (etag,) = await store.transact(table, key, [Replace(key, {"n": 3}, etag)])
            assert await self._values(store, table, key, key) == {"n": 3}, key
            await store.delete(table, key, key, etag)
            assert await store.get(table, key, key) is None, key

    @pytest.mark.parametrize("key", ["a/b", "a\\b", "a#b", "a?b", "a\nb", "a\x85b", "k" * 513])
    async def test_forbidden_keys_are_refused(self, store: TableStore, table: str, key: str) -> None:
        """Keys that Azure refuses are refused before anything is sent."""
        for write in (
            store.insert(table, key, "r", {}),
            store.insert(table, "p", key, {}),
            store.get(table, "p", key),
        ):
            with pytest.raises(ValueError, match="forbidden"):
                await write

    async def test_query_is_a_half_open_range_in_key_order(self, store: TableStore, table: str) -> None:
        """A query gives one partition's rows in key order, from the first bound up to but without the second."""
        for key in ["b", "a", "c|2", "c|10", "C", "d", "c"]:
            await store.insert(table, "p", key, {})
        await store.insert(table, "other", "b", {})
        assert await self._keys(store, table) == ["C", "a", "b", "c", "c|10", "c|2", "d"]
        assert await self._keys(store, table, "b", "d") == ["b", "c", "c|10", "c|2"]
        assert await self._keys(store, table, row_from="c|") == ["c|10", "c|2", "d"]
        assert await self._keys(store, table, row_to="b") == ["C", "a"]
        assert await self._keys(store, table, "b", "b") == []
        assert await self._keys(store, table, "x", "b") == []

    async def test_query_stops_at_its_limit(self, store: TableStore, table: str) -> None:
        """A query's limit gives the first rows of the range."""
        await store.transact(table, "p", [Insert(f"{number:03}", {}) for number in range(10)])
        assert await self._keys(store, table, "002", limit=3) == ["002", "003", "004"]
        assert await self._keys(store, table, limit=0) == []

    async def test_query_follows_continuations(self, store: TableStore, table: str) -> None:
        """A query gives more rows than a page of the service (1,000) in order, whatever their keys."""
        keys = [f"ü|{number:05}" for number in range(1205)]
        for start in range(0, len(keys), 100):
            await store.transact(table, "p", [Insert(key, {}) for key in keys[start : start + 100]])
        assert await self._keys(store, table) == keys
        assert await self._keys(store, table, "ü|", "ü}", 1100) == keys[:1100]

    async def test_query_partitions_reads_a_range_of_them(self, store: TableStore, table: str) -> None:
        """Partitions are read by range, and rows within them by range."""
        for partition in ["t1|a", "t1|b", "t2|a"]:
            for row in ["mailbox", "out:1", "out:2"]:
                await store.insert(table, partition, row, {})
        found = [(row.partition, row.row) async for row in store.query_partitions(table, "t1|", "t1}")]
        assert found == [
            (partition, row) for partition in ("t1|a", "t1|b") for row in ("mailbox", "out:1", "out:2")
        ]
        found = [(row.partition, row.row) async for row in store.query_partitions(table, row_from="out:2")]
        assert found == [("t1|a", "out:2"), ("t1|b", "out:2"), ("t2|a", "out:2")]
        assert len([row async for row in store.query_partitions(table)]) == 9

    async def test_a_transaction_does_everything(self, store: TableStore, table: str) -> None:
        """A transaction inserts, replaces, upserts and deletes together, and gives the ETags that stand."""
        before = {row: await store.insert(table, "p", row, {"x": 1, "y": 1}) for row in ("b", "d", "e")}
        etags = await store.transact(
            table,
            "p",
            [
                Insert("a", {"x": 2, "none": None}),
                Replace("b", {"x": 2}, before["b"]),
                Delete("d", before["d"]),
                Delete("e"),
                Upsert("f", {"x": 2}),
            ],
        )
        rows = {row.row: row for row in await store.query(table, "p")}
        assert {key: row.values for key, row in rows.items()} == {
            "a": {"x": 2},
            "b": {"x": 2},
            "f": {"x": 2},
        }
        assert etags == [rows["a"].etag, rows["b"].etag, "", "", rows["f"].etag]

    @pytest.mark.parametrize(
        ("failing", "error"),
        [
            (Insert("there", {"x": 9}), RowExists),
            (Replace("there", {"x": 9}, "stale"), RowChanged),
            (Delete("there", "stale"), RowChanged),
            (Replace("missing", {"x": 9}, "stale"), RowMissing),
            (Delete("missing", "stale"), RowMissing),
            (Delete("missing"), RowMissing),
        ],
    )
    async def test_a_transaction_that_fails_does_nothing(
        self, store: TableStore, table: str, failing: Op, error: type[RowExists | RowChanged | RowMissing]
    ) -> None:
        """One refused operation of a transaction undoes all others, and the error names its row."""
        stale = await store.insert(table, "p", "there", {"x": 0})
        kept = await store.replace(table, "p", "there", {"x": 1}, stale)
        other = await store.insert(table, "p", "other", {"x": 1})
        if not isinstance(failing, Insert) and getattr(failing, "etag", None):
            failing = type(failing)(**{**_fields(failing), "etag": stale})
        ops: list[Op] = [Insert("new", {}), Replace("other", {"x": 2}, other), failing, Insert("newer", {})]
        with pytest.raises(error) as refused:
            await store.transact(table, "p", ops)
        assert refused.value.row == failing.row
        assert [(row.row, row.values, row.etag) for row in await store.query(table, "p")] == [
            ("other", {"x": 1}, other),
            ("there", {"x": 1}, kept),
        ]

    async def test_a_transaction_may_have_a_hundred_operations(self, store: TableStore, table: str) -> None:
        """A transaction may have 100 operations; 101, or none, are refused."""
        etags = await store.transact(
            table, "p", [Insert(f"{number}", {"n": number}) for number in range(100)]
        )
        assert len(etags) == 100
        assert len(await store.query(table, "p")) == 100
        with pytest.raises(TooLarge):
            await store.transact(table, "q", [Insert(f"{number}", {}) for number in range(101)])
        with pytest.raises(TooLarge):
            await store.transact(table, "q", [])

    async def test_a_row_appears_once_in_a_transaction(self, store: TableStore, table: str) -> None:
        """Two operations on one row in a transaction are refused."""
        with pytest.raises(ValueError, match="only once"):
            await store.transact(table, "p", [Insert("r", {}), Upsert("r", {})])

    async def test_a_transaction_is_under_four_mebibytes(self, store: TableStore, table: str) -> None:
        """A transaction just under 4 MiB is stored whole, and one over it is refused before it is sent."""
        text = "x" * 32_000
        ops = [Insert(f"{number}", {f"c{part}": text for part in range(12)}) for number in range(10)]
        assert len(await store.transact(table, "p", ops)) == 10
        with pytest.raises(TooLarge):
            await store.transact(table, "q", [*ops, Insert("11", {f"c{part}": text for part in range(12)})])

    async def test_big_values_have_their_limits(self, store: TableStore, table: str) -> None:
        """A column takes 32,768 UTF-16 units or 64 KiB, a row 1 MiB, and not one more."""
        full: dict[str, Value] = {"text": "x" * 32_768, "wide": "😀" * 16_384, "data": b"\0" * 65_536}
        await store.insert(table, "p", "r", full)
        assert await self._values(store, table, "p", "r") == full
        for name, value in {"text": "x" * 32_769, "wide": "😀" * 16_385, "data": b"\0" * 65_537}.items():
            with pytest.raises(TooLarge):
                await store.upsert(table, "p", "r", {name: value})
        with pytest.raises(TooLarge):
            await store.upsert(table, "p", "r", {f"c{number}": "x" * 32_768 for number in range(17)})
        with pytest.raises(TooLarge):
            await store.upsert(table, "p", "r", {f"c{number}": 1 for number in range(253)})

    async def test_one_of_many_writers_wins(self, store: TableStore, table: str) -> None:
        """Of many who write over the same state at once exactly one succeeds, and the others are told."""
        etag = await store.insert(table, "p", "r", {"x": 0})
        writers = (store.replace(table, "p", "r", {"x": number}, etag) for number in range(20))
        results = await asyncio.gather(*writers, return_exceptions=True)
        assert [type(result) for result in results if not isinstance(result, str)] == [RowChanged] * 19

    async def test_one_of_many_inserters_wins(self, store: TableStore, table: str) -> None:
        """Of many who insert the same row at once exactly one succeeds."""
        results = await asyncio.gather(
            *(store.insert(table, "p", "r", {"x": number}) for number in range(20)), return_exceptions=True
        )
        assert [type(result) for result in results if not isinstance(result, str)] == [RowExists] * 19

    async def test_transactions_exclude_each_other(self, store: TableStore, table: str) -> None:
        """Of transactions over the same row exactly one gets through, and only its rows are there."""
        for turn in range(5):
            shared = await store.insert(table, f"p{turn}", "mailbox", {"x": 0})
            attempts = (
                store.transact(
                    table,
                    f"p{turn}",
                    [Insert(f"out:{n}", {}), Replace("mailbox", {"x": n}, shared), Insert(f"task:{n}", {})],
                )
                for n in range(12)
            )
            results = await asyncio.gather(*attempts, return_exceptions=True)
            assert [type(result) for result in results if not isinstance(result, list)] == [RowChanged] * 11
            (winner,) = (number for number, result in enumerate(results) if isinstance(result, list))
            assert [row.row for row in await store.query(table, f"p{turn}")] == [
                "mailbox",
                f"out:{winner}",
                f"task:{winner}",
            ]
            assert (await self._values(store, table, f"p{turn}", "mailbox"))["x"] == winner

    async def test_counting_up_loses_nothing(self, store: TableStore, table: str) -> None:
        """Concurrent counters that write under the ETag and repeat when refused lose nothing."""
        await store.insert(table, "p", "r", {"x": 0})

        async def add() -> None:
            while True:
                row = await store.get(table, "p", "r")
                assert row is not None
                try:
                    await store.transact(
                        table, "p", [Replace("r", {"x": int(str(row.values["x"])) + 1}, row.etag)]
                    )
                except RowChanged:
                    await asyncio.sleep(0)
                else:
                    return

        await asyncio.gather(*(add() for _ in range(8)))
        assert await self._values(store, table, "p", "r") == {"x": 8}

    async def test_ensure_may_be_repeated(self, store: TableStore, table: str) -> None:
        """Creating a table that is there keeps its rows."""
        await store.insert(table, "p", "r", {})
        await store.ensure([table])
        assert await store.get(table, "p", "r") is not None

    async def test_a_missing_table_is_a_surprise(self, store: TableStore) -> None:
        """Using a table that was never created is an error of set-up, not an absent row."""
        for act in (
            store.get("nosuchtable", "p", "r"),
            store.insert("nosuchtable", "p", "r", {}),
            store.transact("nosuchtable", "p", [Insert("r", {})]),
            store.query("nosuchtable", "p"),
        ):
            with pytest.raises(UpstreamSurprise):
                await act

    @staticmethod
    async def _values(store: TableStore, table: str, partition: str, row: str) -> dict[str, Value]:
        found = await store.get(table, partition, row)
        assert found is not None
        return found.values

    @staticmethod
    async def _keys(
        store: TableStore,
        table: str,
        row_from: str | None = None,
        row_to: str | None = None,
        limit: int | None = None,
    ) -> list[str]:
        return [row.row for row in await store.query(table, "p", row_from, row_to, limit)]


def _fields(op: Op) -> dict[str, object]:
    return {name: getattr(op, name) for name in op.__dataclass_fields__}

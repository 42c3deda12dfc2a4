"""Personal text is ciphertext to everybody but the edge, and gone with its key."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.keystore import KEY_BYTES, KeyStore, KeysUnavailable
from infra.sealing import ERASED, seal, unseal

REPORT = "ws10k8-01941f29-7c00-7000-8000-000000000001"


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[KeyStore]:
    store = KeyStore(tmp_path / "keys.db")
    yield store
    store.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyStore]:
    store = KeyStore(tmp_path_factory.mktemp("keys") / "keys.db")
    yield store
    store.close()


@given(text=st.text(max_size=200), person=st.sampled_from(["ann", "bob"]))
def test_what_was_sealed_is_read_again_and_nothing_of_it_shows(shared: KeyStore, text: str, person: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    sealed = seal(shared, text, person=person, subject=REPORT, name="description")
    assert unseal(shared, sealed, subject=REPORT, name="description") == text
    assert len(text) < 8 or text not in sealed.cipher


def test_the_same_text_in_the_same_place_gives_the_same_bytes(keys: KeyStore) -> None:
    def once(person: str = "ann", subject: str = REPORT, name: str = "description") -> str:
        return seal(keys, "井盖没了", person=person, subject=subject, name=name).cipher

    assert once() == once()
    assert len({once(), once(person="bob"), once(subject="another"), once(name="contact")}) == 4


def test_a_text_moved_elsewhere_cannot_be_read(keys: KeyStore) -> None:
    sealed = seal(keys, "井盖没了", person="ann", subject=REPORT, name="description")
    assert unseal(keys, sealed, subject=REPORT, name="contact") == ERASED
    assert unseal(keys, sealed, subject="another", name="description") == ERASED


def test_destroying_the_key_erases_the_person_for_good(keys: KeyStore) -> None:
    sealed = seal(keys, "13800000000", person="ann", subject=REPORT, name="contact")
    assert keys.destroy("ann")
    assert unseal(keys, sealed, subject=REPORT, name="contact") == ERASED
    assert not keys.destroy("ann"), "there was nothing left"
    seal(keys, "a new life", person="ann", subject=REPORT, name="contact")
    assert unseal(keys, sealed, subject=REPORT, name="contact") == ERASED, "a new key does not bring the past back"


def test_keys_outlive_the_process_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "keys.db"
    first = KeyStore(path)
    sealed = seal(first, "井盖没了", person="ann", subject=REPORT, name="description")
    again = KeyStore(path)  # while the first is open: a key is on the disk before it is given out
    assert unseal(again, sealed, subject=REPORT, name="description") == "井盖没了"
    assert again.find("ann") == first.find("ann")
    assert again.find("bob") is None
    assert len(again.ensure("bob")) == KEY_BYTES
    first.close()
    again.close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_destroyed_key_leaves_no_bytes_in_the_file(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "keys.db")
    key = store.ensure("ann")
    store.ensure("bob")
    assert key in (tmp_path / "keys.db").read_bytes()
    store.destroy("ann")
    store.close()
    assert key not in (tmp_path / "keys.db").read_bytes()


def test_keys_for_many_are_made_at_once_and_keep_those_there_are(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "keys.db")
    known = store.ensure("ann")
    store.ensure_all(["ann", "bob", "cleo", "bob"])
    assert store.find("ann") == known
    made = store.find("bob"), store.find("cleo")
    store.close()
    again = KeyStore(tmp_path / "keys.db")
    assert (again.find("bob"), again.find("cleo")) == made
    assert len({known, *made}) == 3
    again.close()


def test_a_locked_file_gives_no_key_and_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.keystore.BUSY_TIMEOUT_SECONDS", 0.05)
    store = KeyStore(tmp_path / "keys.db")
    known = store.ensure("ann")
    foreign = sqlite3.connect(tmp_path / "keys.db", isolation_level=None)
    foreign.execute("BEGIN EXCLUSIVE")
    with pytest.raises(KeysUnavailable, match="locked"):
        store.ensure("bob")
    with pytest.raises(KeysUnavailable):
        store.ensure_all(["bob"])
    with pytest.raises(KeysUnavailable):
        store.destroy("ann")
    assert store.ensure("ann") == known, "a key that is known needs no file"
    assert store.find("bob") is None
    foreign.execute("ROLLBACK")
    assert len(store.ensure("bob")) == KEY_BYTES
    foreign.close()
    store.close()

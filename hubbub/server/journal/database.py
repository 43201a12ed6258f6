"""The SQLite file of a journal: its format, and one connection each for writing, reading and checkpoints.

A commit never checkpoints the write-ahead log, because this would delay all members. The journal's maintenance thread
calls `checkpoint`.
"""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hubbub.server.journal.file_lock import FileLock
from hubbub.server.journal.journal import DamagedError, JournalError

APPLICATION_ID = 0x43484154  # "CHAT": in the file's header, to recognise another program's database
FORMAT = 2  # of the tables below
FORMAT_WITHOUT_ROOM_KEYS = 1  # of version 0.1.0; the column `lock` makes it format 2
DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
WAL_BYTES = 67_108_864  # of the write-ahead log; a checkpoint of a longer one blocks writing for a moment

_TABLES = """
CREATE TABLE IF NOT EXISTS rooms (key TEXT PRIMARY KEY, name TEXT NOT NULL, purged INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pages (
    room TEXT NOT NULL, last INTEGER NOT NULL, first INTEGER NOT NULL, time INTEGER NOT NULL, lines BLOB NOT NULL,
    PRIMARY KEY (room, last)
);
CREATE INDEX IF NOT EXISTS pages_by_time ON pages (time);
CREATE INDEX IF NOT EXISTS purged_rooms ON rooms (key) WHERE purged > 0;
CREATE TABLE IF NOT EXISTS sessions (
    token_hash BLOB PRIMARY KEY, name TEXT NOT NULL, color TEXT NOT NULL, room TEXT NOT NULL,
    accepted INTEGER NOT NULL, present INTEGER NOT NULL, seen INTEGER NOT NULL, lock TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sessions_by_seen ON sessions (seen);
CREATE TABLE IF NOT EXISTS facts (
    kind TEXT NOT NULL, key TEXT NOT NULL, fact TEXT NOT NULL, PRIMARY KEY (kind, key)
) WITHOUT ROWID;
"""


class Database:
    """The open file. Any thread may call any method but `checkpoint`; all but that one raise JournalError."""

    def __init__(self, path: Path, *, fsync: bool) -> None:
        """Lock the file, and open or create it. With `fsync` a commit survives a power failure."""
        self.path = path
        self._write_lock = threading.Lock()  # guards the writing connection, one transaction at a time
        self._read_lock = threading.Lock()  # guards the reading connection
        self._find_lock = threading.Lock()  # guards the finding connection
        self._file = Path(os.path.realpath(path))  # beside which SQLite has its other files
        self._wal = self._file.with_name(self._file.name + "-wal")
        self._check_lock = threading.Lock()  # guards the size and whether the file is truncated
        self._is_truncated = False
        with self._explaining():
            self._file_lock = FileLock(self._file)
        try:
            with self._explaining():
                self._open(fsync=fsync)
        except JournalError:
            self._file_lock.remove()
            raise

    @contextlib.contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise JournalError(
                f"cannot use the journal {self.path}: {reason}; choose another with --journal FILE"
            ) from error

    def _open(self, *, fsync: bool) -> None:
        with contextlib.ExitStack() as opened:  # all at once: a server without a free descriptor could open none later
            self._writer = opened.enter_context(contextlib.closing(self._connect()))
            self._check_header()
            self._convert()
            self._writer.execute("PRAGMA journal_mode = WAL")
            self._writer.execute(f"PRAGMA synchronous = {'FULL' if fsync else 'NORMAL'}")
            self._writer.executescript(f"BEGIN IMMEDIATE; {_TABLES} COMMIT;")
            self._reader = opened.enter_context(contextlib.closing(self._connect()))
            self._finder = opened.enter_context(contextlib.closing(self._connect()))
            self._checkpointer = opened.enter_context(contextlib.closing(self._connect()))
            self._size = self._file_lock.stat().st_size  # which never shrinks
            self._wal_state = self._wal.stat()  # the file stays the same while it is open
            self._connections = opened.pop_all()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._file, isolation_level=None, check_same_thread=False, timeout=0.0)
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        return connection

    def _check_header(self) -> None:
        """Refuse a file that is damaged or belongs to another program."""
        damage = self._read_value("PRAGMA quick_check(1)")
        if damage != "ok":
            raise sqlite3.DatabaseError(f"the file is damaged ({damage})")
        owner, version = self._read_value("PRAGMA application_id"), self._read_value("PRAGMA user_version")
        if self._read_value("SELECT count(*) FROM sqlite_master") == 0:
            self._writer.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self._writer.execute(f"PRAGMA user_version = {FORMAT}")
        elif owner != APPLICATION_ID or version not in (FORMAT, FORMAT_WITHOUT_ROOM_KEYS):
            raise sqlite3.DatabaseError(f"it is not a journal of this program's format {FORMAT}")

    def _convert(self) -> None:
        if self._read_value("PRAGMA user_version") == FORMAT_WITHOUT_ROOM_KEYS:
            column = "ALTER TABLE sessions ADD COLUMN lock TEXT NOT NULL DEFAULT ''"
            self._writer.executescript(f"BEGIN IMMEDIATE; {column}; PRAGMA user_version = {FORMAT}; COMMIT;")

    def _read_value(self, statement: str) -> Any:
        return self._writer.execute(statement).fetchone()[0]

    def check_files(self) -> None:
        """Raise JournalError if a file was deleted, replaced or truncated: what is written now would be lost."""
        with self._check_lock:  # another thread's checkpoint may make the file longer
            state = self._file_lock.stat()
            if state.st_size < self._size:
                self._is_truncated = True  # for good: what SQLite holds in memory does not fit the file any more
            self._size = state.st_size
        if self._is_truncated:
            raise JournalError(f"the journal {self.path} was truncated; stop the server and put a copy in its place")
        for path, expected in ((self._file, state), (self._wal, self._wal_state)):
            try:
                is_there = os.path.samestat(path.stat(), expected)
            except OSError:
                is_there = False
            if not is_there:
                raise JournalError(f"the file {path} was deleted or replaced; put it back, or stop the server")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Yield the writing connection inside a transaction, which an exception rolls back."""
        with self._write_lock:
            self.check_files()
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                yield self._writer
                self._writer.execute("COMMIT")
            except sqlite3.Error as error:
                if self._writer.in_transaction:
                    with contextlib.suppress(sqlite3.Error):  # the first error is the one to report
                        self._writer.execute("ROLLBACK")
                raise JournalError(f"cannot write the journal {self.path}: {error}") from error

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Yield the reading connection. What it reads may raise DamagedError."""
        with self._read_lock, self._explaining_reads():
            yield self._reader

    def find(self, statement: str, values: dict[str, Any]) -> Any:
        """Return the row of a query that ends at once; never waits for `reading`. May raise DamagedError."""
        with self._find_lock, self._explaining_reads():
            return self._finder.execute(statement, values).fetchone()

    @contextlib.contextmanager
    def _explaining_reads(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            kind = DamagedError if getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGED else JournalError
            raise kind(f"cannot read the journal {self.path}: {error}") from error

    def checkpoint(self) -> None:
        """Copy the write-ahead log into the file, and cut a long one; for one thread. Raises sqlite3.Error, OSError."""
        self.check_files()
        self._checkpointer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        with contextlib.suppress(FileNotFoundError):
            if self._wal.stat().st_size > WAL_BYTES:
                with self._write_lock:  # little is left to copy, so the delivery thread waits only a moment
                    self._checkpointer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def close(self) -> None:
        """Close the file and release its lock. Called once."""
        with self._write_lock, self._read_lock, self._find_lock:
            self._connections.close()  # the last one checkpoints, and removes the write-ahead log
        self._file_lock.release()

"""How large a database is: rows and bytes of all its tables, with their indexes."""

from dataclasses import dataclass

from psycopg import sql

from tests.benchmarks.servers import Postgres


@dataclass(frozen=True, slots=True)
class Size:
    rows: int
    bytes: int

    def __sub__(self, other: "Size") -> "Size":
        return Size(self.rows - other.rows, self.bytes - other.bytes)


@dataclass(frozen=True, slots=True)
class Growth:
    """Rows and bytes for each 1,000 refreshes."""

    rows: float
    bytes: float

    @classmethod
    def by(cls, size: Size, refreshes: int) -> "Growth":
        """``size``: by which a database has grown. Without refreshes it has not grown by them."""
        return cls(size.rows / refreshes * 1000, size.bytes / refreshes * 1000) if refreshes else cls(0, 0)


def size_of(postgres: Postgres, database: str) -> Size:
    tables = postgres.ask(database, "SELECT relname, pg_total_relation_size(relid) FROM pg_stat_user_tables")
    count = sql.SQL("SELECT count(*) FROM {}")
    rows = [postgres.ask(database, count.format(sql.Identifier(name)))[0][0] for name, _ in tables]
    return Size(sum(rows), sum(size for _, size in tables))


def rotations(postgres: Postgres, database: str) -> int | None:
    """How often sessions have been rotated, as Latchkey's rows say; None for a database of anybody else."""
    if postgres.ask(database, "SELECT to_regclass('tokens_refreshtoken')") == [(None,)]:
        return None
    [(found,)] = postgres.ask(database, "SELECT sum(generation) FROM tokens_refreshtoken")
    return int(found)

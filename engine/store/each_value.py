"""The different values of a column that leads an index, one search each. `SELECT DISTINCT` reads the whole index."""

from __future__ import annotations


def each_value(table: str, column: str) -> str:
    """A query without parameters, also for `IN (...)`."""
    return (
        f"WITH RECURSIVE each_value(v) AS (SELECT min({column}) FROM {table} UNION ALL "
        f"SELECT (SELECT min({column}) FROM {table} WHERE {column} > v) FROM each_value WHERE v IS NOT NULL) "
        "SELECT v FROM each_value WHERE v IS NOT NULL"
    )

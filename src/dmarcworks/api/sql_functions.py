"""The functions and types that the SQL API knows, by lower-case name; what does not stand here is refused.

None of them reads a table, a file, a host or a setting, waits, or makes much out of little. Names that the engine
itself takes in any case are kept as written, since a result column is named after them.
"""

from __future__ import annotations

_ANY_CASE = """
    count sum avg min max now if length lower upper round floor ceil log ln pow substring position bin hex today
    concat abs coalesce ifnull nullif greatest least replace first_value last_value sqrt exp sign least mod
    char_length
"""
_EXACT = """
    any anyLast argMax argMin sumIf countIf avgIf minIf maxIf anyIf uniq uniqExact uniqIf uniqExactIf quantile
    quantileExact quantileExactWeighted quantileWeighted quantiles median topK topKWeighted groupUniqArray
    groupArray formatDateTime toDateTime toDate toYear toQuarter toMonth toDayOfWeek toDayOfMonth toDayOfYear
    toHour toMinute toSecond toUnixTimestamp toYYYYMM toYYYYMMDD toISOWeek yesterday dateDiff toStartOfInterval
    toStartOfYear toStartOfQuarter toStartOfMonth toStartOfWeek toStartOfDay toStartOfHour
    toStartOfFifteenMinutes toStartOfTenMinutes toStartOfFiveMinutes toStartOfMinute empty notEmpty lowerUTF8
    upperUTF8 toLower toUpper lengthUTF8 startsWith endsWith format replaceOne replaceAll trimBoth splitByChar
    has hasAny arrayJoin arrayElement arrayStringConcat arrayDistinct tuple tupleElement toString toUInt8
    toUInt16 toUInt32 toUInt64 toInt8 toInt16 toInt32 toInt64 toFloat32 toFloat64 intDiv modulo isNull isNotNull
    multiIf isIPv4String isIPv6String cutToFirstSignificantSubdomain bitAnd bitOr bitXor bitNot bitCount
    bitHammingDistance bitRotateLeft bitRotateRight bitShiftLeft bitShiftRight bitTest
"""

FUNCTIONS = {name.lower(): name for name in _EXACT.split()}
ANY_CASE = frozenset(_ANY_CASE.split())
NAMES = sorted({*FUNCTIONS.values(), *ANY_CASE})

# The original's names and meanings where the engine's differ: lower cases by letter, a week begins on Monday.
RENAMED = {"toLower": "lowerUTF8", "toUpper": "upperUTF8"}

TYPES = {
    "TEXT": "String", "VARCHAR": "String", "DATE": "Date", "DATETIME": "DateTime", "TIMESTAMP": "DateTime",
    "UTINYINT": "UInt8", "USMALLINT": "UInt16", "UINT": "UInt32", "UBIGINT": "UInt64", "TINYINT": "Int8",
    "SMALLINT": "Int16", "INT": "Int32", "BIGINT": "Int64", "FLOAT": "Float32", "DOUBLE": "Float64",
}  # fmt: skip

UNITS = frozenset(["YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND"])

FORMATS = {
    "json": ("JSON", "application/json"),
    "jsoneachrow": ("JSONEachRow", "application/x-ndjson"),
    "tabseparated": ("TabSeparated", "text/tab-separated-values; charset=utf-8"),
    "tabseparatedwithnames": ("TabSeparatedWithNames", "text/tab-separated-values; charset=utf-8"),
    "csv": ("CSV", "text/csv; charset=utf-8"),
    "csvwithnames": ("CSVWithNames", "text/csv; charset=utf-8"),
    "parquet": ("Parquet", "application/vnd.apache.parquet"),
    "arrow": ("Arrow", "application/vnd.apache.arrow.file"),
}

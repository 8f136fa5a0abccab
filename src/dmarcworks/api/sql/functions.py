"""The functions and types that the SQL API knows, by lower-case name; all others are refused.

None of them reads a table, a file, a host or a setting, waits, or makes much out of little. Names that the engine
itself accepts in any case are kept as written, since a result column is named after them.
"""

from __future__ import annotations

_ANY_CASE = """
    count sum avg min max now if length lower upper round floor ceil log ln pow substring position bin hex today
    concat abs coalesce ifnull nullif greatest least replace first_value last_value sqrt exp sign mod
    char_length date_trunc reverse left right truncate row_number rank dense_rank percent_rank ntile nth_value lag
    lead
"""
_EXACT = """
    any anyLast argMax argMin sumIf countIf avgIf minIf maxIf anyIf argMaxIf argMinIf uniq uniqExact uniqIf
    uniqExactIf quantile quantileIf quantileExact quantileExactWeighted quantileWeighted quantiles median topK
    topKWeighted groupUniqArray groupArray groupUniqArrayIf groupArrayIf avgWeighted stddevPop stddevSamp varPop
    varSamp corr lagInFrame leadInFrame
    formatDateTime toDateTime toDate toTimeZone toYear toQuarter toMonth toDayOfWeek toDayOfMonth toDayOfYear toHour
    toMinute toSecond toUnixTimestamp toYYYYMM toYYYYMMDD toISOWeek yesterday dateDiff toStartOfInterval
    toStartOfYear toStartOfQuarter toStartOfMonth toStartOfWeek toStartOfDay toStartOfHour toStartOfFifteenMinutes
    toStartOfTenMinutes toStartOfFiveMinutes toStartOfMinute addSeconds addMinutes addHours addDays addWeeks
    addMonths addYears subtractDays subtractWeeks subtractMonths subtractYears toLastDayOfMonth
    empty notEmpty lowerUTF8 upperUTF8 toLower toUpper lengthUTF8 startsWith endsWith format replaceOne replaceAll
    trimBoth trimLeft trimRight splitByChar splitByString substringUTF8 countSubstrings reverseUTF8
    has hasAny hasAll indexOf arrayJoin arrayElement arrayStringConcat arrayDistinct arrayConcat arraySort
    arrayReverse arrayUniq arraySum arrayMin arrayMax arraySlice tuple tupleElement
    toString toUInt8 toUInt16 toUInt32 toUInt64 toUInt128 toInt8 toInt16 toInt32 toInt64 toInt128
    toFloat32 toFloat64 toUInt8OrZero
    toUInt32OrZero toUInt64OrZero toInt64OrZero toFloat64OrZero toUInt64OrNull toInt64OrNull toFloat64OrNull
    toTypeName intDiv modulo isNull isNotNull isNaN isFinite multiIf
    isIPv4String isIPv6String isIPAddressInRange IPv4StringToNum IPv4NumToString IPv4NumToStringClassC
    cutToFirstSignificantSubdomain topLevelDomain domainWithoutWWW
    bitAnd bitOr bitXor bitNot bitCount bitHammingDistance bitRotateLeft bitRotateRight bitShiftLeft bitShiftRight
    bitTest formatReadableQuantity formatReadableSize
"""

FUNCTIONS = {name.lower(): name for name in _EXACT.split()}
ANY_CASE = frozenset(_ANY_CASE.split())
NAMES = sorted({*FUNCTIONS.values(), *ANY_CASE})

# The original's names and meanings where the engine's differ: lower is by Unicode character, a week begins on Monday.
RENAMED = {"toLower": "lowerUTF8", "toUpper": "upperUTF8"}

TYPES = {
    "TEXT": "String", "VARCHAR": "String", "DATE": "Date", "DATETIME": "DateTime", "TIMESTAMP": "DateTime",
    "UTINYINT": "UInt8", "USMALLINT": "UInt16", "UINT": "UInt32", "UBIGINT": "UInt64", "TINYINT": "Int8",
    "SMALLINT": "Int16", "INT": "Int32", "BIGINT": "Int64", "FLOAT": "Float32", "DOUBLE": "Float64",
}  # fmt: skip

UNITS = frozenset(["YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND"])

FORMATS = {
    "json": ("JSON", "application/json"),
    "jsoncompact": ("JSONCompact", "application/json"),
    "jsoneachrow": ("JSONEachRow", "application/x-ndjson"),
    "tabseparated": ("TabSeparated", "text/tab-separated-values; charset=utf-8"),
    "tabseparatedwithnames": ("TabSeparatedWithNames", "text/tab-separated-values; charset=utf-8"),
    "csv": ("CSV", "text/csv; charset=utf-8"),
    "csvwithnames": ("CSVWithNames", "text/csv; charset=utf-8"),
    "parquet": ("Parquet", "application/vnd.apache.parquet"),
    "arrow": ("Arrow", "application/vnd.apache.arrow.file"),
}

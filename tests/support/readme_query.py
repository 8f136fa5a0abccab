"""The query of the README."""

from __future__ import annotations

README_QUERY = """SELECT
    timestamp,
    blob1 AS reportMetadataReportId,
    blob2 AS reportMetadataOrgName,
    toDateTime(double1) AS reportMetadataDateRangeBegin,
    toDateTime(double2) AS reportMetadataDateRangeEnd,
    blob3 AS reportMetadataError,
    blob4 AS policyPublishedDomain,
    double3 AS policyPublishedADKIM,
    double4 AS policyPublishedASPF,
    double5 AS policyPublishedP,
    double6 AS policyPublishedSP,
    double7 AS policyPublishedPct,
    blob5 AS recordRowSourceIP,
    toUInt32(double8) AS recordRowCount,
    double9 AS recordRowPolicyEvaluatedDKIM,
    double10 AS recordRowPolicyEvaluatedSPF,
    double11 AS recordRowPolicyEvaluatedDisposition,
    double12 AS recordRowPolicyEvaluatedReasonType,
    blob6 AS recordIdentifiersEnvelopeTo,
    blob7 AS recordIdentifiersHeaderFrom
FROM dmarc_reports
WHERE timestamp > NOW() - INTERVAL '24' DAY"""

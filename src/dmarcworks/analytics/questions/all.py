"""The queries that the product runs on its report rows, one method each, typed in and out.

Every figure counts messages (the sum of the records' counts), exactly; days are UTC days of a report's begin, first
and last inclusive. Each statement names one account first, which is the sort key's first column: nobody else's rows
are read. Every value, and above all a stranger's text, is bound by the engine, never pasted into a statement. The
queries are grouped by subject in the modules of this package; dashboard, REST and GraphQL use them through `Questions`.
"""

from __future__ import annotations

from dmarcworks.analytics.questions.failures import FailureDay, FailureQuestions, FailureSource
from dmarcworks.analytics.questions.policy import (
    DispositionVolume,
    PolicyEffect,
    PolicyQuestions,
    PublishedPolicy,
    ReasonVolume,
)
from dmarcworks.analytics.questions.policy_cases import (
    PolicyCase,
    PolicyCaseQuestions,
    PolicyDay,
    PolicyLevels,
    PolicySum,
    PolicySums,
)
from dmarcworks.analytics.questions.reports import FailureRow, KindQuestions, TlsPage, TlsPolicyRow
from dmarcworks.analytics.questions.scope import Counted, Domains, Slice, SlicePage
from dmarcworks.analytics.questions.sender_details import (
    FailureSample,
    SenderAddress,
    SenderAddressPage,
    SenderDetailQuestions,
    SenderPair,
    SenderReporter,
    SenderSelector,
)
from dmarcworks.analytics.questions.sender_groups import (
    SenderDay,
    SenderGroup,
    SenderGroupPage,
    SenderGroupQuestions,
)
from dmarcworks.analytics.questions.sender_rows import OwnRule, SenderRows
from dmarcworks.analytics.questions.senders import SelectorVolume, SenderQuestions, SenderVolume
from dmarcworks.analytics.questions.sources import (
    ORDERS,
    RESULTS,
    RecordPage,
    RecordRow,
    Seen,
    SourcePage,
    SourceQuestions,
    SourceVolume,
)
from dmarcworks.analytics.questions.spf_passes import PassingAddress, SpfPassQuestions
from dmarcworks.analytics.questions.tls import TlsDay, TlsFailureVolume, TlsPolicyVolume, TlsQuestions
from dmarcworks.analytics.questions.volume import (
    Change,
    DayVolume,
    DomainVolume,
    Figures,
    ReporterVolume,
    VolumeQuestions,
)

__all__ = [
    "ORDERS",
    "RESULTS",
    "Change",
    "Counted",
    "DayVolume",
    "DispositionVolume",
    "DomainVolume",
    "Domains",
    "FailureDay",
    "FailureRow",
    "FailureSample",
    "FailureSource",
    "Figures",
    "OwnRule",
    "PassingAddress",
    "PolicyCase",
    "PolicyDay",
    "PolicyEffect",
    "PolicyLevels",
    "PolicySum",
    "PolicySums",
    "PublishedPolicy",
    "Questions",
    "ReasonVolume",
    "RecordPage",
    "RecordRow",
    "ReporterVolume",
    "Seen",
    "SelectorVolume",
    "SenderAddress",
    "SenderAddressPage",
    "SenderDay",
    "SenderGroup",
    "SenderGroupPage",
    "SenderPair",
    "SenderReporter",
    "SenderRows",
    "SenderSelector",
    "SenderVolume",
    "Slice",
    "SlicePage",
    "SourcePage",
    "SourceVolume",
    "TlsDay",
    "TlsFailureVolume",
    "TlsPage",
    "TlsPolicyRow",
    "TlsPolicyVolume",
]


class Questions(
    VolumeQuestions,
    SourceQuestions,
    SenderQuestions,
    SenderGroupQuestions,
    SenderDetailQuestions,
    PolicyQuestions,
    PolicyCaseQuestions,
    SpfPassQuestions,
    TlsQuestions,
    FailureQuestions,
    KindQuestions,
):
    """All questions, over one store."""

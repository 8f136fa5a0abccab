"""Example queries on the GraphQL page; each runs unchanged for the user who is logged in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from dmarcworks.analytics.period import STANDARD, last_days


@dataclass(frozen=True, slots=True)
class GraphqlExample:
    """A query; `variables` of an account, its first domain and today."""

    key: str
    name: str
    query: str
    variables: Callable[[str, str, date], dict[str, Any]]


def _zone(account: str, zone: str, today: date) -> dict[str, Any]:
    return {"zone": zone, "since": last_days(STANDARD, today)[0].isoformat()}


def _account(account: str, zone: str, today: date) -> dict[str, Any]:
    return {"account": account}


EXAMPLES = (
    GraphqlExample(
        "sources",
        "Who sends",
        """query Sources($zone: String!, $since: Date!) {
  viewer {
    zones(filter: {zoneTag: $zone}) {
      dmarcReportsSourcesAdaptiveGroups(
        limit: 20
        filter: {date_geq: $since}
        orderBy: [sum_totalMatchingMessages_DESC]
      ) {
        dimensions { sourceIP headerFrom dkim spf disposition }
        sum { totalMatchingMessages dmarc dkimPass spfPass }
      }
    }
  }
}""",
        _zone,
    ),
    GraphqlExample(
        "days",
        "Day by day",
        """query Days($zone: String!, $since: Date!) {
  viewer {
    zones(filter: {zoneTag: $zone}) {
      dmarcReportsSourcesAdaptiveGroups(limit: 30, filter: {date_geq: $since}, orderBy: [datetimeDay_DESC]) {
        dimensions { datetimeDay }
        sum { totalMatchingMessages dmarc dmarcFail }
        avg { dmarc }
        uniq { ipCount reporters }
      }
    }
  }
}""",
        _zone,
    ),
    GraphqlExample(
        "failing",
        "What fails",
        """query Failing($zone: String!, $since: Date!) {
  viewer {
    zones(filter: {zoneTag: $zone}) {
      sources(limit: 20, filter: {date_geq: $since, dmarc: "fail"}, orderBy: [messages_DESC]) {
        sourceIP sourceHost sourceOrgName messages rejected quarantined firstDate lastDate
      }
    }
  }
}""",
        _zone,
    ),
    GraphqlExample(
        "account",
        "All domains",
        """query Account($account: String!) {
  viewer {
    accounts(filter: {accountTag: $account}) {
      domains(limit: 100) { name zoneTag rua }
      dmarcReportsSourcesAdaptiveGroups(limit: 100, orderBy: [sum_totalMatchingMessages_DESC]) {
        dimensions { zoneName }
        sum { totalMatchingMessages dmarc }
      }
      reports(limit: 5, orderBy: [received_DESC]) { received reporter policyDomain messages }
      problems(limit: 5, filter: {state: "open"}) { reason detail }
    }
  }
}""",
        _account,
    ),
    GraphqlExample(
        "limits",
        "Limits",
        """query Limits($zone: String!) {
  viewer {
    budget
    zones(filter: {zoneTag: $zone}) {
      settings {
        dmarcReportsSourcesAdaptiveGroups { maxPageSize maxNumberOfFields availableFields }
      }
    }
  }
}""",
        lambda account, zone, today: {"zone": zone},
    ),
)

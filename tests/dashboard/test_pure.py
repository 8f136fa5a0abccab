"""Figures, times, periods, sentences and charts: values in, exact text out."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from dmarcworks.analytics.questions.all import DayVolume, Figures
from dmarcworks.api.limits import Tries
from dmarcworks.dashboard import axis, charts, format
from dmarcworks.dashboard.pages.audit import action_words
from dmarcworks.dashboard.pages.raw import plain_name
from dmarcworks.dashboard.period import Period, period
from dmarcworks.dashboard.verdict import Failing, verdict
from dmarcworks.policy.tags import DomainPolicy

TODAY = date(2026, 11, 24)


@pytest.mark.parametrize(
    ("part", "whole", "said"),
    [
        (0, 0, "–"),
        (0, 5, "0 %"),
        (5, 5, "100 %"),
        (1, 100_000, "0.1 %"),
        (99_999, 100_000, "99.9 %"),
        (968, 1000, "96.8 %"),
    ],
)
def test_a_share_never_rounds_to_all_or_nothing(part: int, whole: int, said: str) -> None:
    """100 % means all and 0 % means none; without a whole nothing is known."""
    assert format.percent(part, whole) == said


def test_changes_are_said_in_words_and_unknown_is_never_zero() -> None:
    """Against nothing there is no percentage."""
    assert format.change(104, 100) == "+4.0 % from the previous period"
    assert format.change(96, 100) == "−4.0 % from the previous period"
    assert format.change(5, 5) == "unchanged from the previous period"
    assert format.change(5, 0) == "none in the previous period"
    assert format.change(1_000_000, 10) == "+999,990 from the previous period"
    assert format.change(900, 100, (30, 3)) == "the previous period has reports about only 3 days"
    assert format.change(900, 100, (30, 15)) == "+800.0 % from the previous period"
    assert format.points((968, 1000), (962, 1000)) == "+0.6 points"
    assert format.points((0, 0), (1, 1)) == "–"
    assert format.number(None) == "–"


def test_times_are_as_people_write_them() -> None:
    """Short words on the page, exact UTC in the title, and years that no calendar holds are no error."""
    now = datetime(2026, 11, 24, 13, 10, 27, tzinfo=UTC)
    assert format.day(now.date()) == "24 Nov 2026"
    assert format.exact(now) == "2026-11-24 13:10:27 UTC"
    assert format.ago(now - timedelta(minutes=14), now) == "14 minutes ago"
    assert format.ago(now - timedelta(hours=1), now) == "1 hour ago"
    assert format.ago(now - timedelta(days=90), now) == "on 26 Aug 2026"
    assert format.ago(now + timedelta(hours=1), now) == "just now"
    assert format.unix(1_700_000_000_000) is None


def asked(**query: str) -> Callable[[str], str]:
    return lambda name: query.get(name, "")


def test_the_period_ends_today_unless_no_report_is_about_it() -> None:
    """The last 30 days include today; when all reports are older it ends with the newest, and says that it moved."""
    usual = period(asked(), TODAY - timedelta(days=1), TODAY)
    assert usual == Period(date(2026, 10, 26), date(2026, 11, 24))
    assert period(asked(), None, TODAY) == usual
    old = period(asked(days="7"), date(2013, 2, 3), TODAY)
    assert old == Period(date(2013, 1, 28), date(2013, 2, 3), date(2013, 2, 3), moved=True)
    assert old.before == Period(date(2013, 1, 21), date(2013, 1, 27), date(2013, 1, 27))
    exact = period(asked(days="7", last="2026-11-24"), date(2013, 2, 3), TODAY)
    assert exact == Period(date(2026, 11, 18), date(2026, 11, 24))
    assert period(asked(until="2026-11-12"), TODAY, TODAY) == Period(
        date(2026, 10, 14), date(2026, 11, 12), date(2026, 11, 12)
    )


def test_a_period_is_compared_with_as_many_days_as_reports_can_be_there_for() -> None:
    """Yesterday's reports may be on their way: 28 days are compared with 28; a longer silence counts as one."""
    usual = period(asked(), TODAY, TODAY)
    assert usual.compared(TODAY).first == date(2026, 9, 26)
    assert usual.compared(TODAY - timedelta(days=1)).first == date(2026, 9, 27)
    assert usual.compared(TODAY - timedelta(days=9)).first == date(2026, 9, 28)
    assert {usual.compared(TODAY - timedelta(days=back)).last for back in (0, 1, 9)} == {date(2026, 10, 25)}
    one = period(asked(days="1"), TODAY, TODAY)
    assert one.compared(TODAY - timedelta(days=1)) == Period(*[TODAY - timedelta(days=1)] * 3)


def figures(messages: int, failed: int) -> Figures:
    return Figures(messages, messages - failed, failed, 0, 0, 0, 0, 3, 4, 2)


def worst(name: str, failed: int, senders: int = 1, peak: int = 0) -> Failing:
    day = DayVolume(date(2026, 11, 22), peak, 0, peak, 0, 0, 1) if peak else None
    return Failing(name, failed, senders, f"name:{name}", peak=day)


def test_the_sentence_says_only_what_the_figures_say() -> None:
    """All pass, some fail, much more fail than before, silence, nothing: each has its own words."""
    yesterday = TODAY - timedelta(days=1)
    well = verdict(figures(100, 0), figures(0, 0), None, yesterday, TODAY)
    assert (well.tone, well.headline) == ("ok", "All 100 messages passed DMARC.")
    assert well.next == "No action is needed. 2 reporters saw 3 sending addresses."
    some = verdict(figures(1000, 20), figures(1000, 10), worst("Zendesk", 15, 3, 12), yesterday, TODAY)
    assert (some.tone, some.headline) == ("warn", "20 of 1,000 messages failed DMARC (2.0 %).")
    assert some.next == (
        "Zendesk sent 15 of them, 2 other senders sent 5. Most failed on 22 Nov 2026: 12. If a sender is yours,"
        " have it sign with DKIM using your domain; if not, a policy of quarantine or reject stops it."
    )
    assert (some.link, some.sender) == ("senders", "")
    reject = DomainPolicy("reject")
    strict = verdict(figures(1000, 20), figures(1000, 10), worst("Zendesk", 20), yesterday, TODAY, reject)
    assert strict.next == (
        "Zendesk sent all of them. If a sender is yours, have it sign with DKIM using your domain; if not, your"
        " policy p=reject already applies to its messages."
    )
    assert (strict.link, strict.sender) == ("sender", "name:Zendesk")
    some_of_it = verdict(
        figures(1000, 20), figures(1000, 10), worst("Zendesk", 20), yesterday, TODAY, DomainPolicy("reject", pct=20)
    )
    assert some_of_it.next.endswith(
        "if not, your policy p=reject applies to 20 % of its messages; without pct it applies to all."
    )
    settled = replace(worst("Zendesk", 20), settled=True)
    known = verdict(figures(1000, 20), figures(1000, 10), settled, yesterday, TODAY)
    assert (known.tone, known.link) == ("ok", "sender")
    assert known.next == "Zendesk sent all of them. No sender needs your decision, and no fix is open."
    mine = verdict(figures(1000, 20), figures(1000, 10), replace(worst("Zendesk", 20), mine=True), yesterday, TODAY)
    assert mine.next == "Zendesk sent all of them. Zendesk is yours: have it sign with DKIM using your domain."
    foreign = replace(settled, not_mine=20)
    assert verdict(figures(1000, 20), figures(1000, 10), foreign, yesterday, TODAY).next == (
        "Zendesk sent all of them. All of these are from senders that you decided are not yours: a policy of"
        " quarantine or reject stops them."
    )
    assert verdict(figures(1000, 20), figures(1000, 10), foreign, yesterday, TODAY, reject).next == (
        "Zendesk sent all of them. All of these are from senders that you decided are not yours: your policy p=reject"
        " already applies to their messages. No sender needs your decision, and no fix is open."
    )
    both = replace(worst("Zendesk", 15, 2), not_mine=5)
    assert verdict(figures(1000, 20), figures(1000, 10), both, yesterday, TODAY, reject).next == (
        "Zendesk sent 15 of them, 1 other sender sent 5. 5 are from senders that you decided are not yours: your policy"
        " p=reject already applies to their messages. If a sender is yours, have it sign with DKIM using your domain;"
        " if not, your policy p=reject already applies to its messages."
    )
    fell = verdict(figures(1000, 300), figures(1000, 10), worst("Zendesk", 300), yesterday, TODAY)
    assert fell.tone == "bad"
    assert fell.headline.endswith(" It was 1.0 % in the previous period.")
    silent = verdict(figures(1000, 0), figures(0, 0), None, TODAY - timedelta(days=9), TODAY)
    assert silent.headline == "No report about the last 9 days."
    worse = verdict(figures(1000, 20), figures(0, 0), worst("Zendesk", 20), TODAY - timedelta(days=9), TODAY)
    assert worse.next.endswith("still names this system. 20 of 1,000 messages failed DMARC (2.0 %).")
    assert verdict(figures(0, 0), figures(0, 0), None, None, TODAY).headline == "No messages in this period."


def volume(day: date, passed: int, failed: int) -> DayVolume:
    return DayVolume(day, passed + failed, passed, failed, 0, 0, 1)


def test_the_chart_has_a_bar_per_day_with_a_report_and_a_gap_for_the_rest() -> None:
    """Three days, the middle one without a report: two bars, two links, null in the data."""
    first = date(2026, 11, 1)
    series = charts.bars(
        [volume(first, 8, 2), volume(first + timedelta(days=2), 5, 0)],
        [volume(first - timedelta(days=3), 4, 0)],
        first,
        first + timedelta(days=2),
    )
    broad, slim, _ = charts.chart_svg(series, lambda day: f"/x?day={day}&y=<").split("</svg>")
    assert re.findall(r'class="(\w+ \w+)" viewBox="([\d ]+)"', broad + slim) == [
        ("bars broad", "0 0 1128 240"),
        ("bars slim", "0 0 334 200"),
    ]
    assert [int(value.replace(",", "")) for value in re.findall(r">([\d,]+)</text>", slim)] == [0, 3, 6, 9, 12]
    svg = broad
    assert svg.count("<a href=") == 2
    assert svg.count('class="pass"') == 2
    assert svg.count('class="fail"') == 1
    assert "/x?day=2026-11-01&amp;y=&lt;" in svg
    assert "1 Nov 2026: 8 pass, 2 fail" in svg
    data = charts.chart_data(series, str)
    assert data["pass"] == [8, None, 5]
    assert data["before"] == [4, None, None]
    assert data["top"] == 12


def test_T17_the_days_of_a_report_over_several_days_are_shaded() -> None:
    """Counted on its first day, which says how many it covers; days before the period and after it are not there."""
    first = date(2026, 11, 1)
    long = {first + timedelta(days=1): 3, first - timedelta(days=9): 9, first - timedelta(days=2): 3}
    series = charts.bars([volume(first + timedelta(days=1), 8, 2)], [], first, first + timedelta(days=5), long)
    assert [bar.shaded for bar in series] == [True, True, True, True, False, False]
    assert [bar.covers for bar in series] == [1, 3, 1, 1, 1, 1]
    frames = str(charts.chart_svg(series, str)).split("</svg>")[:2]
    heights = [re.findall(r'class="covered"[^>]* height="([0-9.]+)"', frame) for frame in frames]
    assert heights == [["208.0"] * 4, ["168.0"] * 4]
    assert charts.chart_data(series, str)["covers"] == [1, 3, 1, 1, 1, 1]


def test_the_axis_holds_every_value_with_four_even_lines() -> None:
    """For any value the top is at least it, at most a third more than needed, and divides by four."""
    chance = random.Random(7)
    for value in [0, 1, 4, 5, 10**15, *(chance.randrange(10**9) for _ in range(200))]:
        top = axis.ceiling(value)
        assert top >= value
        assert top % 4 == 0
        assert top <= max(4, value * 2)


def test_axes_have_lines_with_values_and_about_six_labels() -> None:
    """The grid is the same for every chart; labels thin out as bars become more, and are escaped."""
    axes = axis.BarAxes.holding(30, 9, 10)
    frame = str(axes.opening('mail "per" day'))
    assert axes.top == 12
    assert re.findall(r'<text x="48" y="([\d.]+)" text-anchor="end">([^<]*)</text>', frame) == [
        ("220.0", "0"), ("168.0", "3"), ("116.0", "6"), ("64.0", "9"), ("12.0", "12"),
    ]  # fmt: skip
    assert re.findall(r'<line class="grid" x1="56" x2="1128" y1="([\d.]+)"', frame) == [
        "216.0", "164.0", "112.0", "60.0", "8.0",
    ]  # fmt: skip
    assert 'aria-label="mail &#34;per&#34; day"' in frame
    labels = [str(axes.label(index, f"<{index}>")) for index in range(30)]
    assert [index for index, label in enumerate(labels) if label] == [0, 5, 10, 15, 20, 25]
    assert labels[5] == '<text x="252.5" y="236" text-anchor="middle">&lt;5&gt;</text>\n'
    assert axes.point(0, 6) == "73.9,112.0"
    assert axis.BarAxes.holding(0).top == 4


def test_a_sparkline_breaks_at_gaps() -> None:
    """Days 1, 2 and 4 of four: a line for two, a dot for one."""
    first = date(2026, 11, 1)
    daily = [(first, 3, 3), (first + timedelta(days=1), 6, 1), (first + timedelta(days=3), 1, 1)]
    svg = charts.sparkline(daily, first, first + timedelta(days=3), 'a "label"')
    assert svg.count("<polyline") == 1
    assert svg.count("<circle") == 1
    assert "a &#34;label&#34;" in svg


def test_a_share_bar_is_never_wider_than_itself() -> None:
    """Nothing of nothing is an empty bar."""
    assert 'class="pass" width="36.0"' in charts.share(1, 2)
    assert 'class="pass" width="72.0"' in charts.share(5, 2)
    assert 'class="pass" width="0.0"' in charts.share(0, 0)


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("../../etc/passwd", "passwd"),
        ("a\r\nSet-Cookie: x.zip", "a_Set-Cookie_x.zip"),
        ('x".xml', "x_.xml"),
        ("..", "report"),
        ("", "report"),
        ("bücher.xml", "b_cher.xml"),
        ("C:\\reports\\google.com!example.com!1!2.zip", "google.com!example.com!1!2.zip"),
        ("x" * 500 + ".gz", "x" * 117 + ".gz"),
    ],
)
def test_a_download_has_a_plain_name(name: str, plain: str) -> None:
    """No path, no quotes, no line breaks, no other alphabet in a header."""
    assert plain_name(name) == plain


def test_tries_are_counted_per_network_and_forgotten() -> None:
    """An IPv6 /64 is one address; a right try does not count; memory stays bounded."""
    now = [0.0]
    tries = Tries(lambda: now[0])
    for tail in range(5):
        assert tries.take(f"2001:db8:1:2::{tail}") == 0
    assert tries.take("2001:db8:1:2::ffff") == 60
    assert tries.take("2001:db8:1:3::1") == 0
    assert tries.take("::ffff:192.0.2.1") == 0
    tries.give_back("192.0.2.1")
    now[0] = 30.0
    for _ in range(5):
        assert tries.take("192.0.2.1") == 0
    assert tries.take("192.0.2.1") == 60
    now[0] = 60.0
    assert tries.take("2001:db8:1:2::1") == 0
    for number in range(20_000):
        tries.take(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(tries._limiter) == 10_000


def test_an_action_of_the_audit_log_has_words() -> None:
    assert action_words("sender.unname") == "Own name of a sender removed"
    assert action_words("token.rotate") == "Token replaced"
    assert action_words("other.new-action") == "Other new action"

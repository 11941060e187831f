"""The page's comparisons: verdicts are counted, and nobody's words become part of the page's code."""

import re

from hypothesis import given
from hypothesis import strategies as st

from pipelines.report.comparisons import comparisons, verdict_counts

VERDICTS = ("ahead", "behind", "level")


def compared(verdict, better=7):
    return {"verdict": verdict, "better": better, "worse": 3, "n": 10, "p_holm": 0.012, "median_difference": 1.234}


def metrics_of(groups, by_end, by_time):
    both = {"final_mm": by_end, "arrival_s": by_time}
    return {
        "about": {
            "methods": {"default": "Ours", "proportional": "Plain <b>"},
            "gaps": {name: {"title": f"Title of {name} <i>", "group": group} for name, group in groups.items()},
        },
        "comparison": {"default_minus_proportional": both},
    }


@given(st.lists(st.sampled_from(VERDICTS), max_size=30))
def test_every_gap_is_counted_under_its_verdict(verdicts):
    counts = verdict_counts({str(index): compared(verdict) for index, verdict in enumerate(verdicts)})
    assert counts == {verdict: verdicts.count(verdict) for verdict in VERDICTS}


def test_the_sentence_says_how_many_gaps_are_won_by_distance_and_by_time():
    level = {name: compared("level") for name in "ab"}
    text = comparisons(metrics_of({"a": "nominal", "b": "camera"}, level | {"b": compared("behind")}, level))
    plain = re.sub("<[^>]*>", "", text)
    assert "ahead in 0, behind in 1, level in 1 of 2 gaps by final distance" in plain
    assert "ahead in 0, behind in 0, level in 2 of 2 gaps by time to the goal" in plain


def test_a_gap_in_which_ours_is_behind_is_never_folded_away():
    level = {name: compared("level") for name in ("nominal", "light", "clutter")}
    groups = {"nominal": "nominal", "light": "picture", "clutter": "picture"}
    text = comparisons(metrics_of(groups, level, level | {"light": compared("behind")}))
    shown, _, folded = text.partition("<details>")
    assert "The other 1 gaps" in folded
    assert ("Title of light" in shown, "Title of clutter" in shown) == (True, False)
    assert "Title of clutter" in folded


def test_titles_are_escaped_and_figures_signed():
    level = {"nominal": compared("level")}
    text = comparisons(metrics_of({"nominal": "nominal"}, level, level))
    assert "<b>" not in text.replace("<b>Plain &lt;b&gt;</b>", "")
    assert "Title of nominal &lt;i&gt;" in text
    assert "<td>+1.23</td>" in text
    assert "better 7, worse 3 of 10; p 0.012 (Holm)" in text

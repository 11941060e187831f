"""The part of the page that shows whether the trained actor is better than the plain controllers."""

from collections.abc import Sequence
from html import escape

from pipelines.gauntlet.reading import Metrics


def comparisons(metrics: Metrics) -> str:
    """Compare the trained actor with each plain controller: sentences, then tables."""
    parts = [
        '<p class="note">The trained actor minus each plain controller, on the same predictions and episodes: by the '
        "distance at the end, and by the time from which the tool stays within 10 mm. Wilcoxon's signed-rank test, "
        "Holm's correction over all gaps; ahead or behind at the 5 % level; medians of the differences.</p>"
    ]
    names = metrics["about"]["methods"]
    rivals = {key: names[key.removeprefix("default_minus_")] for key in metrics["comparison"]}
    for key, rival in rivals.items():
        both = metrics["comparison"][key]
        end, time = _counts(both["final_mm"]), _counts(both["arrival_s"])
        parts.append(f"<p>Against <b>{escape(rival)}</b>: {end} by final distance; {time} by time to the goal.</p>")
    shown = list(next(iter(metrics["comparison"].values()))["final_mm"])
    telling = [
        gap
        for gap in shown
        if metrics["about"]["gaps"][gap]["group"] in ("nominal", "dynamics")
        or any(one[gap]["verdict"] == "behind" for both in metrics["comparison"].values() for one in both.values())
    ]
    parts.append(_comparison_table(metrics, rivals, telling))
    rest = [gap for gap in shown if gap not in telling]
    if rest:
        table = _comparison_table(metrics, rivals, rest)
        parts.append(f"<details><summary>The other {len(rest)} gaps</summary>{table}</details>")
    return "\n".join(parts)


def _comparison_table(metrics: Metrics, rivals: dict[str, str], gaps: Sequence[str]) -> str:
    head = "".join(f'<th colspan="4">against {escape(rival)}</th>' for rival in rivals.values())
    columns = '<th colspan="2">distance, mm</th><th colspan="2">time, s</th>' * len(rivals)
    rows = []
    for gap in gaps:
        cells = ""
        for key in rivals:
            for measure, digits in (("final_mm", 2), ("arrival_s", 1)):
                one = metrics["comparison"][key][measure][gap]
                why = f"better {one['better']}, worse {one['worse']} of {one['n']}; p {one['p_holm']:.2g} (Holm)"
                cells += (
                    f'<td class="{one["verdict"]}" title="{why}">{one["verdict"]}</td>'
                    f"<td>{one['median_difference']:+.{digits}f}</td>"
                )
        rows.append(f"<tr><td>{escape(metrics['about']['gaps'][gap]['title'])}</td>{cells}</tr>")
    return (
        f"<table><thead><tr><th></th>{head}</tr><tr><th>gap</th>{columns}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _counts(gaps: dict[str, dict]) -> str:
    counts = verdict_counts(gaps)
    return (
        f'<span class="ahead">ahead in {counts["ahead"]}</span>, <span class="behind">behind in {counts["behind"]}'
        f"</span>, level in {counts['level']} of {len(gaps)} gaps"
    )


def verdict_counts(gaps: dict[str, dict]) -> dict[str, int]:
    """The number of gaps with each verdict."""
    verdicts = [one["verdict"] for one in gaps.values()]
    return {verdict: verdicts.count(verdict) for verdict in ("ahead", "behind", "level")}

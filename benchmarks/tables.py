"""``python -m benchmarks.tables``: write the tables of ``benchmarks/README.md`` from the stored results."""

import json
import re
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent
_MARK = "<!-- made from the JSON files by python -m benchmarks.tables -->"


def evaluation_rows(results: dict[str, Any]) -> list[list[str]]:
    """One row a case."""
    rows = [["backbone, images", "objective", "shot", "cached, s", "faster than per episode", "than learn2learn"]]
    for case in results["cases"]:
        ratios = [case["ratios"].get(f"cached / {name}") for name in ("per episode", "learn2learn")]
        rows.append(
            [
                f"{case['backbone']}, {case['images']['count']} of {case['images']['name']}",
                case["objective"],
                str(case["episodes"]["k_shot"]),
                f"{case['seconds_for_all_episodes']['cached']:.1f}",
                *(f"{found['median']:.1f}x" if found else "" for found in ratios),
            ]
        )
    return rows


def sampling_rows(results: dict[str, Any]) -> list[list[str]]:
    """One row for each of our ways in each stage."""
    peers = ["easyfsl", "learn2learn", "learn2learn, fused"]
    rows = [["stage, images", "ours", "episodes/s", *(f"x {peer}" for peer in peers)]]
    for stage in results["stages"]:
        side = stage["images"]["shape"][-1]
        for name, facts in stage["contestants"].items():
            if name.startswith("ours"):
                ratios = [f"{stage['ratios'][f'{name} / {peer}']['median']:.1f}" for peer in peers]
                what = stage["stage"] + (f", {side}x{side}" if stage["stage"] != "index only" else "")
                rows.append([what, name.removeprefix("ours, "), f"{facts['items_per_s']:,.0f}", *ratios])
    return rows


def classification_rows(results: dict[str, Any]) -> list[list[str]]:
    """One row a contestant."""
    (case,) = results["cases"]
    ratios = ["x plain loop", "x backbone alone"]
    rows = [["who", "images/s", *ratios, *(f"{what}, processor time" for what in ratios), "not backbone"]]
    for name, facts in case["contestants"].items():
        row = [name, f"{facts['items_per_s']:,.1f}"]
        for kind in ("ratios", "ratios_of_processor_time"):
            for other in ("plain loop", f"backbone alone{name.removeprefix('ours')}"):
                found = case[kind].get(f"{name} / {other}")
                row.append("{median:.2f} ({min:.2f} to {max:.2f})".format(**found) if found else "")
        parts = case["parts_of_a_step"].get(name)
        rows.append([*row, f"{100 * parts['not_backbone']['median']:.1f} %" if parts else ""])
    return rows


def markdown(title: str, results: dict[str, Any], rows: list[list[str]]) -> str:
    """A table with a line that says where it was measured."""
    facts = results["provenance"]
    where = f"{facts['device']['name']}, {facts['device']['threads']} thread, torch {facts['versions']['torch']}"
    if "load_average" in results:
        before, after = results["load_average"]
        where += f", {results['cores']} cores, load average {before:.1f} before and {after:.1f} after"
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    rule = "|" + "---|" * len(rows[0])
    return "\n".join([f"**{title}** ({where}; {facts['date'][:10]})", "", head, rule, *body])


ROWS = {"evaluation": evaluation_rows, "sampling": sampling_rows, "classification": classification_rows}


def main() -> None:
    """Replace what stands below the mark, up to the next heading."""
    tables = []
    for name, rows_of in ROWS.items():
        results = json.loads((_FOLDER / "results" / f"{name}_cpu.json").read_text())
        tables.append(markdown(name, results, rows_of(results)))
    page = _FOLDER / "README.md"
    section = re.compile(re.escape(_MARK) + r".*?(?=\n## )", re.DOTALL)
    page.write_text(section.sub("\n\n".join([_MARK, *tables]).replace("\\", r"\\") + "\n", page.read_text()))


if __name__ == "__main__":
    main()

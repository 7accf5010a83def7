"""The preprint's figure of the gain by the number of aggregated views, from a run to its files."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from fewshot_sla.paper.figures.options import ViewBudgets
from fewshot_sla.paper.figures.output import lines_about, write_numbers
from fewshot_sla.reporting.formats import show
from fewshot_sla.reporting.pictures import COLORS, picture, picture_path
from fewshot_sla.reporting.tables import Table, percent
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.provenance import device_facts
from fewshot_sla.studies.view_budgets import BudgetCurve, BudgetedRun, budget_curves, open_budgeted, settings_of
from fewshot_sla.training.recipe import Hardware


def figure_views(path: str, options: ViewBudgets, hardware: Hardware) -> None:
    """Test a run with every number of views, print the table, write picture and numbers.

    Raises:
        UserError: if the run cannot be tested so.
    """
    began = time.monotonic()
    output = picture_path(options.output)
    baseline = RunFolder(options.baseline) if options.baseline else None
    budgeted = open_budgeted(RunFolder(path), baseline, options.inference, options.split)
    settings = settings_of(
        budgeted, options.split, options.n_way, options.k_shot, options.n_query, options.episodes, options.seed
    )
    curves = budget_curves(budgeted, settings, options.subsets, hardware)
    over = f"over {options.baseline}" if options.baseline else "over single inference"
    title = f"{budgeted.images.name}: gain {over}"
    draw_budgets(output, curves, title)
    write_numbers(output, "views", _numbers(budgeted, curves, options, hardware), began)
    tables = [budget_table(curve, title) for curve in curves]
    unit = "episodes" if budgeted.is_few_shot else "images"
    tables[-1].notes.append(
        f"Mean over the subsets of the views that hold the image itself; ± over {curves[0].units} {unit}, paired; "
        "first m: in the order of the transformations."
    )
    show(*tables, *lines_about(output), form=options.format)


def budget_table(curve: BudgetCurve, title: str) -> Table:
    """A row a number of views: how many subsets there are, and in per cent the accuracy and the relative gains."""
    shots = f", {curve.setting}" if curve.setting else ""
    table = Table(f"{title}{shots}, %", ["views", "subsets", "accuracy", "gain ± 95 %", "worst", "best", "first m"])
    for at in curve.gains:
        others = (percent(gain, signed=True) for gain in (at.lowest, at.highest, at.first))
        gain = percent(at.gain.value, at.gain.ci95, signed=True)
        table.add(str(at.m), at.subsets, percent(at.accuracy), gain, *others)
    return table


def draw_budgets(path: Path, curves: Sequence[BudgetCurve], title: str) -> None:
    """The mean gain with its interval, from the worst to the best subset shaded, the first m views dashed."""
    with picture(path, 6.4, 4.8) as figure:
        axes = figure.subplots()
        for number, curve in enumerate(curves):
            color = COLORS[number % len(COLORS)]
            views = [at.m for at in curve.gains]
            lowest, highest = ([100 * getattr(at, name) for at in curve.gains] for name in ("lowest", "highest"))
            means, spreads = [100 * at.gain.value for at in curve.gains], [100 * at.gain.ci95 for at in curve.gains]
            axes.fill_between(views, lowest, highest, color=color, alpha=0.15, linewidth=0)
            axes.errorbar(views, means, spreads, color=color, marker="o", markersize=5, capsize=3, linewidth=1.8)
            axes.plot(views, [100 * at.first for at in curve.gains], "--", color=color, linewidth=1.2)
        axes.axhline(0, color="black", linewidth=0.8)
        axes.set_xlabel("views aggregated")
        axes.set_ylabel("relative gain, %")
        axes.set_title(title, fontsize=11)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        named = [
            Line2D([], [], color=COLORS[number % len(COLORS)], linewidth=3, label=curve.setting)
            for number, curve in enumerate(curves)
            if curve.setting
        ]
        meaning = [
            Line2D([], [], color="#444444", marker="o", label="mean of subsets, ± 95 %"),
            Line2D([], [], color="#444444", linestyle="--", label="first m views"),
            Patch(color="#444444", alpha=0.15, label="worst to best subset"),
        ]
        figure.legend(handles=[*named, *meaning], loc="outside lower center", ncols=3, fontsize=9)


def _numbers(
    budgeted: BudgetedRun, curves: Sequence[BudgetCurve], options: ViewBudgets, hardware: Hardware
) -> dict[str, Any]:
    """Every gain and accuracy, fractions, and where they come from."""
    run, objective = budgeted.run, budgeted.run.recipe.objective
    device = next(run.model.parameters()).device
    return {
        "run_folder": str(run.folder.path),
        "objective": type(objective).__name__,
        "inference": budgeted.inference,
        "transformations": list(objective.transformations.names),
        "step": run.step,
        "seed": run.recipe.seed,
        "baseline": options.baseline or None,
        "data": {
            "name": budgeted.images.name,
            "fingerprint": budgeted.images.fingerprint,
            "images": len(budgeted.images),
        },
        "settings": asdict(options),
        "curves": [asdict(curve) for curve in curves],
        "device": device_facts(device, hardware.used_precision, 1),
    }

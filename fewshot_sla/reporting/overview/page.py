"""The page of one run or of several, side by side."""

from collections.abc import Sequence
from datetime import UTC, datetime

from fewshot_sla.reporting.html import count, element, name, text
from fewshot_sla.reporting.overview.classes import classes_section, confusion_section
from fewshot_sla.reporting.overview.curves import curves_section
from fewshot_sla.reporting.overview.facts import RunFacts
from fewshot_sla.reporting.overview.figures import figures_section
from fewshot_sla.reporting.overview.parts import RunParts
from fewshot_sla.reporting.overview.pictures import examples_section
from fewshot_sla.reporting.overview.provenance import provenance_section
from fewshot_sla.reporting.overview.trained import trained_section
from fewshot_sla.reporting.overview.views import map_section, views_section
from fewshot_sla.reporting.page.document import contents, document, moment, style_sheet


def overview_page(
    runs: Sequence[RunFacts],
    parts: Sequence[RunParts],  # one a run
) -> str:
    """The page as HTML."""
    names = [run.name for run in runs]
    sections = {
        "trained": ("What was trained", trained_section(runs)),
        "figures": ("Accuracies", figures_section(runs, [part.results for part in parts])),
        "curves": ("Training curves", curves_section(runs)),
        "views": (
            "Gain by the number of views",
            views_section([(run, part.by_views) for run, part in zip(names, parts, strict=True)]),
        ),
        "examples": (
            "Pictures and predictions",
            examples_section([(run, part.examples) for run, part in zip(names, parts, strict=True)]),
        ),
        "confusion": (
            "Which classes are confused",
            confusion_section([(run, part.confusion) for run, part in zip(names, parts, strict=True)]),
        ),
        "classes": (
            "Accuracy by class",
            classes_section([(run, part.by_class) for run, part in zip(names, parts, strict=True)]),
        ),
        "features": (
            "Features",
            map_section([(run, part.features) for run, part in zip(names, parts, strict=True)]),
        ),
        "provenance": ("Provenance", provenance_section(runs)),
    }
    titles = {key: title for key, (title, _) in sections.items()}
    headline = runs[0].recipe or runs[0].name if len(runs) == 1 else count(len(runs), "run")
    header = [f"<h1>{name(headline)}</h1>", _lead(runs, parts), contents(titles)]
    main = [element("section", [f"<h2>{title}</h2>", content], id=key) for key, (title, content) in sections.items()]
    style = style_sheet("fewshot_sla.reporting.overview", "overview.css")
    return document(f"Report: {headline}", header, main, style)


def _lead(runs: Sequence[RunFacts], parts: Sequence[RunParts]) -> str:
    written = f"Written {moment(datetime.now(UTC).isoformat(timespec='minutes'))}."
    tested = [(run.name, part.tested) for run, part in zip(runs, parts, strict=True) if part.tested]
    looked = list(dict.fromkeys(said for _, said in tested))
    if not looked:
        return f"<p>{written}</p>"
    if len(looked) == 1 and len(tested) == len(runs):
        return f"<p>Pictures, confusions and classes are of {text(looked[0])}. {written}</p>"
    items = [f"<li>{name(run)}: {text(said)}</li>" for run, said in tested]
    return f"<p>{written} Pictures, confusions and classes are of:</p>\n{element('ul', items, class_='notes')}"

"""The part of the page about the pictures whose class was asked for, the uncertain ones first."""

import re
from collections.abc import Iterator, Sequence

from fewshot_sla.prediction.page.support import MOST_CLASSES, class_id
from fewshot_sla.prediction.report import PredictionReport, QueryPrediction
from fewshot_sla.reporting.html import count, element, image, name, text, whole_percent

QUERY_BOX = 112  # CSS pixels
TOP = 3
MOST_QUERIES = 500


def agreement(query: QueryPrediction) -> float:
    """Share of the views that vote for the predicted class."""
    return query.agreeing_views / query.views


def margin(query: QueryPrediction) -> float:
    """Probability of the first class less that of the second."""
    return query.probabilities[0] - (query.probabilities[1] if len(query.probabilities) > 1 else 0.0)


def by_uncertainty(queries: Sequence[QueryPrediction]) -> list[QueryPrediction]:
    """The least certain first: fewest agreeing views, then smallest margin, then as given."""
    return sorted(queries, key=lambda query: (agreement(query), margin(query)))


def queries_section(report: PredictionReport) -> str:
    """A card a picture, those on which the views disagree before the others."""
    parts = ["<h2>Predictions, the uncertain first</h2>"]
    if not report.queries:
        return element("section", [*parts, "<p>No picture was asked about.</p>"], id="queries")
    ordered = by_uncertainty(report.queries)
    shown = ordered[:MOST_QUERIES]
    folders = {folder_and_file(query.name)[0] for query in report.queries}
    several_views = any(query.views > 1 for query in report.queries)
    parts.append(f"<p>{_order(several_views)} {_where(folders)}</p>")
    if hidden := len(ordered) - len(shown):
        parts.append(
            f"<p>The {len(shown)} least certain are shown; {hidden:,} more are in <code>predictions.csv</code>, "
            "which has all.</p>"
        )
    places = {label: number for number, label in enumerate(report.classes[:MOST_CLASSES])}
    for title, group in _groups(ordered, several_views):
        cards = [_card(query, places, with_folder=len(folders) > 1) for query in group[: len(shown)]]
        shown = shown[len(cards) :]
        parts += [title, element("ol", cards, class_="cards")] if cards else []
    return element("section", parts, id="queries")


def _order(several_views: bool) -> str:
    votes = "how few of the views vote for the label, then by " if several_views else ""
    return f"Ordered by {votes}how little the first percentage exceeds the second."


def _where(folders: set[str]) -> str:
    folder = next(iter(folders))
    return f"All are in <code>{name(folder)}</code>." if len(folders) == 1 and folder else ""


def _groups(ordered: list[QueryPrediction], several_views: bool) -> Iterator[tuple[str, list[QueryPrediction]]]:
    if not several_views:
        yield "", ordered
        return
    split = [query for query in ordered if agreement(query) < 1]
    for title, group in (("The views disagree", split), ("All views agree", ordered[len(split) :])):
        yield f"<h3>{title}: {count(len(group), 'picture')}</h3>", group


def folder_and_file(path: str) -> tuple[str, str]:
    r"""A path cut before its last part; the folder is "" if there is none.

    >>> folder_and_file("shots/new/a.png"), folder_and_file("a.png")
    (('shots/new', 'a.png'), ('', 'a.png'))
    """
    match = re.fullmatch(r"(?s)(?:(.*)[/\\])?([^/\\]+)", path)
    return (match[1] or "", match[2]) if match else ("", path)


def _card(query: QueryPrediction, places: dict[str, int], with_folder: bool) -> str:
    file = folder_and_file(query.name)[1]
    said = [f'<p class="file small soft" title="{text(query.name)}">{name(query.name if with_folder else file)}</p>']
    bars = [
        _bar(label, share, places.get(label))
        for label, share in zip(query.labels[:TOP], query.probabilities[:TOP], strict=True)
    ]
    said.append(element("ol", bars, class_="bars"))
    if query.views > 1:
        split = " split" if query.agreeing_views < query.views else ""
        said.append(f'<p class="views{split}">{query.agreeing_views} of {query.views} views agree</p>')
    parts = [image(query.picture, f"query {file}", QUERY_BOX), element("div", said, class_="said")]
    return element("li", parts, class_="card")


def _bar(label: str, share: float, place: int | None) -> str:
    """One row: label, percentage and the bar; the label leads to the labelled pictures of its class."""
    shown = name(label) if place is None else f'<a href="#{class_id(place)}">{name(label)}</a>'
    return (
        f'<li><span class="of">{shown}</span> <span class="share">{text(whole_percent(share))}</span>'
        f'<span class="bar" aria-hidden="true"><span style="width:{100 * share:.1f}%"></span></span></li>'
    )

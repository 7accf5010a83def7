"""The page of predictions: one HTML file with the pictures in it, for a browser, a phone and a printer."""

from collections.abc import Iterator

from fewshot_sla.prediction.page.queries import queries_section
from fewshot_sla.prediction.page.support import confusion_section, support_section
from fewshot_sla.prediction.report import PredictionReport
from fewshot_sla.reporting.html import count, element, name, text, whole_percent
from fewshot_sla.reporting.page.document import contents, document, moment, style_sheet

MOST_LINES = 200  # of broken files, and of notes
INFERENCES = {"aggregated": "aggregated inference (AG)", "single": "single inference (SI)"}


def style() -> str:
    """The style sheet of the page, besides what all pages have in common."""
    return style_sheet("fewshot_sla.prediction.page", "page.css")


def page(report: PredictionReport) -> str:
    """The page as HTML."""
    headline = f"{count(len(report.queries), 'picture')}, {count(len(report.classes), 'class', 'classes')}"
    sections = {
        "queries": ("Predictions", queries_section(report)),
        "support": ("Labelled pictures", support_section(report)),
        "confusion": ("Confusions", confusion_section(report)),
        "broken": ("Files not read", _broken_section(report)),
        "notes": ("Notes", _notes_section(report)),
    }
    titles = {key: title for key, (title, content) in sections.items() if content}
    header = [f"<h1>{headline}</h1>", *_lead(report), contents(titles)]
    main = [_trust_section(report), *(content for _, content in sections.values() if content)]
    return document(f"Predictions: {headline}", header, main, style())


def _lead(report: PredictionReport) -> Iterator[str]:
    yield (
        f"<p>Predicted from {count(len(report.support), 'labelled picture')} by <code>{name(report.model)}</code>, "
        f"{text(INFERENCES.get(report.inference, report.inference))}, {moment(report.created)}.</p>"
    )
    if report.broken:
        files = count(len(report.broken), "file")
        yield f'<p class="alarm"><a href="#broken">{files} could not be read</a> and took no part.</p>'


def _trust_section(report: PredictionReport) -> str:
    facts = [_leave_one_out(report)]
    views = max((query.views for query in report.queries), default=1)
    if views > 1:
        agreed = sum(query.agreeing_views == query.views for query in report.queries)
        others = " The others come first below: look for yourself." if agreed < len(report.queries) else ""
        facts.append(
            f"<li><strong>{agreed:,} of {len(report.queries):,}</strong><p>predictions have the votes of all {views} "
            f"views, which show the picture as it is and transformed.{others}</p></li>"
        )
    facts.append(
        "<li><strong>Not calibrated</strong><p>The percentages at the bars rank the classes; 90&nbsp;% does not mean "
        "right nine times in ten. And each picture is given one of the "
        f"{count(len(report.classes), 'class', 'classes')}, even if it belongs to none of them.</p></li>"
    )
    return element("section", ["<h2>How far to trust this</h2>", element("ul", facts, class_="facts")], id="trust")


def _leave_one_out(report: PredictionReport) -> str:
    """One sentence: how many labelled pictures were predicted right from the others, and how sure that is."""
    if report.leave_one_out is None:
        return (
            "<li><strong>No estimate</strong><p>of how many predictions are right: no labelled picture could be "
            "left out and predicted from the others. Give two or more a class.</p></li>"
        )
    confusion = report.leave_one_out_confusion
    sentence = (
        f"of the labelled pictures were predicted right when each in turn was left out: "
        f"{int(confusion.trace()):,} of {int(confusion.sum()):,}"
    )
    if report.leave_one_out_interval:
        low, high = report.leave_one_out_interval
        sentence += f" (95&nbsp;% interval {text(whole_percent(low))} to {text(whole_percent(high))})"
    sentence += f". Guessing would give {text(whole_percent(1 / len(report.classes)))}."
    return f"<li><strong>{text(whole_percent(report.leave_one_out))}</strong><p>{sentence}</p></li>"


def _broken_section(report: PredictionReport) -> str:
    if not report.broken:
        return ""
    rows = [
        f'<tr><th scope="row">{name(file.name)}</th><td>{name(file.reason)}</td></tr>'
        for file in report.broken[:MOST_LINES]
    ]
    head = '<thead><tr><th scope="col">File</th><th scope="col">Why</th></tr></thead>'
    table = element("table", [head, element("tbody", rows)], class_="list")
    parts = ["<h2>Files that could not be read</h2>", table, *_rest(len(report.broken), "file")]
    return element("section", parts, id="broken")


def _notes_section(report: PredictionReport) -> str:
    if not report.notes:
        return ""
    lines = [f"<li>{name(note)}</li>" for note in report.notes[:MOST_LINES]]
    parts = ["<h2>Notes</h2>", element("ul", lines, class_="notes"), *_rest(len(report.notes), "note")]
    return element("section", parts, id="notes")


def _rest(number: int, noun: str) -> Iterator[str]:
    if number > MOST_LINES:
        yield f'<p class="soft">and {count(number - MOST_LINES, f"{noun} more", f"{noun}s more")}.</p>'

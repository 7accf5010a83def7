"""A page as one HTML file: it loads nothing and runs no script, and its head forbids both.

So it may be mailed, kept, and read without a network.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from importlib.resources import files

from fewshot_sla.reporting.html import element, text

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def style_sheet(package: str, name: str) -> str:
    """A style sheet that lies in a package."""
    return files(package).joinpath(name).read_text(encoding="utf-8")


def shared_style() -> str:
    """What all pages have in common, with their colours in the light, in the dark and on paper."""
    return style_sheet("fewshot_sla.reporting.page", "page.css")


def document(
    title: str,  # any words
    header: Iterable[str],  # HTML
    main: Iterable[str],  # HTML
    style: str = "",  # besides the shared one
) -> str:
    """The whole file."""
    head = [
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>{text(title)}</title>",
        f"<style>\n{shared_style()}{style}</style>",
    ]
    body = [element("header", header), element("main", main)]
    return f"<!DOCTYPE html>\n{element('html', [element('head', head), element('body', body)], lang='en')}\n"


def contents(titles: Mapping[str, str]) -> str:
    """Links to the sections of the page: by the id of each, its title in HTML."""
    links = [f'<li><a href="#{key}">{title}</a></li>' for key, title in titles.items()]
    return element("nav", [element("ul", links)], aria_label="On this page")


def moment(when: str) -> str:
    """A time of day as ISO 8601 has it, as people read it; what is no time is shown as it is."""
    try:
        shown = f"{datetime.fromisoformat(when):%Y-%m-%d %H:%M %Z}".strip()
    except ValueError:
        shown = when
    return f'<time datetime="{text(when)}">{text(shown)}</time>'

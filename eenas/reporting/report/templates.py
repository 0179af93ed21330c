"""HTML from the templates of this folder, which escape every text."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from eenas.escaping import json_in_html, visible


def render(template: str, **values: object) -> str:
    """Return the HTML of a template such as "page.html".

    Texts among `values` are escaped for an element or a quoted attribute, control and invisible characters included.
    Only values that the template marks as `safe` are not: HTML of other templates, styles and scripts of this package,
    and JSON behind the filter `json_in_html`.
    """
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: visible(value) if type(value) is str else value,  # safe values are a subclass
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["json_in_html"] = json_in_html
    return environment

"""Pages of HTML that stand alone: one file, no network, light and dark; the style that reports share."""

from __future__ import annotations

from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup


def resource(package: str, name: str) -> str:
    """A text file of a package."""
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")


def style(package: str, name: str) -> Markup:
    """The style that all pages share, then a package's own."""
    return Markup(resource("ser.core", "page.css") + resource(package, name))


def render(package: str, name: str, helpers: dict[str, Any], **content: Any) -> str:
    """Fill a package's template; every string is escaped, and a name that is not there is an error.

    A template may include others of its package.

    Args:
        package: where the template lies.
        name: its file.
        helpers: functions that the template, its macros too, can call.
        content: what it shows.
    """
    environment = jinja2.Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        loader=jinja2.FunctionLoader(lambda part: resource(package, part)),
    )
    environment.globals.update(helpers)
    return environment.get_template(name).render(**content)

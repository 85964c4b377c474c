"""Templates to HTML: escaped, strict about unknown names, with an entity tag for what is refreshed."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import MediaType, Request, Response
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.template import TemplateConfig

from coordinator.api.assets import TEMPLATES, Assets

PAGE_CACHE: Final = "no-cache, no-transform"


def template_config(assets: Assets) -> TemplateConfig[JinjaTemplateEngine]:
    """The template engine. Every value is escaped, and a misspelt name is an error instead of an empty text."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["asset"] = assets.url
    return TemplateConfig(instance=JinjaTemplateEngine.from_environment(environment))


def render(request: Request[Any, Any, Any], name: str, **context: object) -> str:
    """A template as HTML."""
    engine = request.app.template_engine
    if engine is None:
        raise RuntimeError("the application has no template engine")
    return engine.get_template(name).render(context)


def html(text: str, status: int = 200) -> Response[str]:
    """An answer in HTML that is always asked for again."""
    return Response(text, status_code=status, media_type=MediaType.HTML, headers={"cache-control": PAGE_CACHE})


def entity_tag(text: str) -> str:
    """A strong tag of a text: equal texts have equal tags."""
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def is_known(request: Request[Any, Any, Any], tag: str) -> bool:
    """True when the browser says it has this very text."""
    given = request.headers.get("if-none-match", "")
    return tag in (part.strip() for part in given.split(","))

"""GET /api/docs: the OpenAPI document as one plain page. No script, no style sheet from elsewhere, works offline."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

_PAGE = Markup("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>Rounds API</title></head><body>
<main><h1>Rounds API</h1>
<p>Sign in with <code>POST /api/session</code> (a cookie) or send <code>Authorization: Bearer …</code> with a token of
<code>rounds token create</code>. Errors are <code>{{"code", "detail", "fields", "request_id"}}</code>; lists are
<code>{{"items", "next"}}</code>. Machine-readable: <a href="/api/openapi.json">openapi.json</a>, and the exchange as JSON
Schema: <a href="/api/schema">schema</a>.</p>
{body}</main></body></html>
""")
_OPERATION = Markup(
    "<section><h2><code>{method} {path}</code></h2><p>{summary}</p>{parameters}{body}{answers}</section>\n"
)


def page(spec: dict[str, Any]) -> str:
    """The page for an OpenAPI document."""
    sections = [
        _operation(method, path, operation, item.get("parameters", []))
        for path, item in sorted(spec["paths"].items())
        for method, operation in item.items()
        if method in {"get", "post", "put", "patch", "delete"}
    ]
    return _PAGE.format(body=Markup("").join(sections))


def _operation(method: str, path: str, operation: dict[str, Any], shared: list[Any]) -> Markup:
    parameters = [*shared, *operation.get("parameters", [])]
    rows = [
        Markup("<li><code>{}</code> in {}: {}{}</li>").format(
            one["name"],
            one["in"],
            _type(one.get("schema", {})),
            ", required" if one.get("required") else "",
        )
        for one in parameters
        if "name" in one
    ]
    answers = [
        Markup("<li>{}: {}</li>").format(code, one.get("description", ""))
        for code, one in sorted(operation.get("responses", {}).items())
        if code != "default"
    ]
    content = operation.get("requestBody", {}).get("content", {})
    body = Markup("<p>Takes {}.</p>").format(", ".join(content)) if content else Markup("")
    return _OPERATION.format(
        method=method.upper(),
        path=path,
        summary=operation.get("summary", ""),
        parameters=_list(rows),
        body=body,
        answers=_list(answers),
    )


def _list(rows: list[Markup]) -> Markup:
    return Markup("<ul>{}</ul>").format(Markup("").join(rows)) if rows else Markup("")


def _type(schema: dict[str, Any]) -> str:
    kind = schema.get("type", "any")
    kind = " or ".join(kind) if isinstance(kind, list) else str(kind)
    return f"{kind} ({schema['format']})" if "format" in schema else kind

"""The frame of every HTML report, and what it looks like."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from html import escape

STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2530; background: #fff; max-width: 76rem; margin: 0 auto;
  padding: 1rem 1.2rem 4rem; }
h1 { font-size: 1.5rem; margin: .5rem 0; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .6rem; border-bottom: 2px solid #d7dee6; }
h3 { font-size: 1.02rem; margin: 1.6rem 0 .4rem; }
p, ul { max-width: 50rem; margin: .4rem 0; }
.muted, .notes { color: #5a6775; }
.notes { font-size: .8rem; }
sup { color: #8a3b00; line-height: 0; }
.notice { background: #fff4d6; border-left: 4px solid #d9a400; padding: .5rem .8rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .86rem; font-variant-numeric: tabular-nums; }
th, td { padding: .28rem .7rem; text-align: right; border-bottom: 1px solid #e4e9ee; white-space: nowrap; vertical-align: top; }
th:first-child { position: sticky; left: 0; background: #fff; text-align: left; white-space: normal; min-width: 6.5rem;
  max-width: 17rem; overflow-wrap: break-word; }
thead th { border-bottom: 2px solid #b9c4cf; vertical-align: bottom; }
tbody th { font-weight: 500; }
.plots { display: flex; flex-wrap: wrap; gap: 1rem 1.5rem; margin: .8rem 0; }
figure { margin: 0; max-width: 100%; }
figure img { max-width: 100%; height: auto; }
figcaption { font-weight: 600; font-size: .9rem; }
details { margin: .6rem 0; }
summary { cursor: pointer; color: #0a558c; }
nav a { margin-right: 1rem; }
@media print {
  html { font-size: 11px; }
  body { font-size: 1rem; max-width: none; padding: 0; }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  h2, h3, figcaption { break-after: avoid; }
  tr, figure, .notice { break-inside: avoid; }
  nav { display: none; }
  .plots figure { max-width: 48%; }
  .scroll { overflow: visible; }
  th, td { padding: .2rem .35rem; white-space: normal; }
  th:first-child { position: static; }
}
""".strip()


def document(title: str, body: Iterable[str], *, style: str = STYLE, script: str = "") -> str:
    """A self-contained HTML page that fetches nothing and runs no script but `script`.

    Args:
        title: text.
        body: lines of HTML for the page's main part; like `style` and `script` they are taken as they are.
    """
    allowed = f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" if script else "'none'"
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src {allowed}"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head>\n<body><main>\n"
        + "\n".join(body)
        + "\n</main>"
        + (f"\n<script>{script}</script>" if script else "")
        + "\n</body></html>\n"
    )

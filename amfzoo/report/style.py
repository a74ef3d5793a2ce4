"""What the pages of predictions look like, on top of the evaluation's style."""

from __future__ import annotations

from ..html_page import STYLE

MOST_LAYERS = 16  # a picture can have; each needs a rule

_SWITCH = "\n".join(
    f".viewer input:nth-of-type({i}):checked ~ .stack img:nth-of-type({i}) {{ visibility: visible; }}"
    for i in range(2, MOST_LAYERS + 2)
)

PAGE_STYLE = f"""{STYLE}
*, *::before {{ box-sizing: border-box; }}
p, li, dd, h1, h2, h3, legend {{ overflow-wrap: anywhere; }}
th, td {{ overflow-wrap: break-word; }}
caption {{ text-align: left; padding: .2rem 0; white-space: normal; }}
a {{ color: #0a558c; }}
:focus-visible {{ outline: 3px solid #0a558c; outline-offset: 2px; }}
.warning {{ background: #fdeceb; border-left: 4px solid #b3261e; padding: .5rem .8rem; margin: .8rem 0; max-width: 50rem; }}
.warning ul {{ margin: .2rem 0; padding-left: 1.2rem; }}
.headline {{ font-size: 1.15rem; }}
.pictures {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr)); gap: 1rem 1.5rem;
  align-items: start; }}
.viewer {{ border: 1px solid #b9c4cf; border-radius: .4rem; padding: .6rem .8rem .8rem; margin: 0; min-width: 0; }}
.viewer legend {{ font-weight: 600; padding: 0 .3rem; }}
.viewer input {{ float: left; clear: left; width: 1.1rem; height: 1.1rem; margin: .3rem .5rem .3rem 0; }}
.viewer label {{ display: block; padding: .15rem 0; min-height: 1.7rem; overflow: hidden; overflow-wrap: anywhere; cursor: pointer; }}
.viewer .note {{ font-size: .85rem; margin: .3rem 0 0; }}
.stack {{ position: relative; clear: both; margin-top: .5rem; line-height: 0; background: #f1f4f7; }}
.stack img {{ width: 100%; height: auto; }}
.stack img:nth-of-type(n+2) {{ position: absolute; inset: 0; height: 100%; visibility: hidden; }}
{_SWITCH}
.scale {{ display: flex; flex-wrap: wrap; align-items: center; gap: .5rem; font-size: .85rem; margin: .5rem 0; }}
.scale i {{ flex: 0 0 8rem; height: .8rem; border: 1px solid #5a6775;
  background: linear-gradient(90deg, #fff, #9ea0c3, #4c98a4, #40b388, #9ade74, #fde725); }}
table.answers {{ width: 100%; max-width: 50rem; }}
table.answers th, table.answers td {{ white-space: normal; text-align: left; vertical-align: middle; max-width: none; position: static; }}
table.answers td.number {{ text-align: right; white-space: nowrap; width: 5rem; }}
table.answers tr.in-set th {{ font-weight: 700; }}
table.answers tfoot th, table.answers tfoot td {{ border-top: 2px solid #b9c4cf; font-weight: 700; }}
.bar {{ min-width: 6rem; width: 35%; }}
.bar span {{ display: block; background: #e4e9ee; height: .9rem; }}
.bar i {{ display: block; height: 100%; background: #2f6da8; }}
.tag {{ display: inline-block; border: 1px solid #0a558c; color: #0a558c; border-radius: .3rem; padding: 0 .35rem; font-size: .8rem;
  font-weight: 400; white-space: nowrap; }}
dl {{ display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: .3rem 1rem; max-width: 60rem; margin: .4rem 0; }}
dt {{ font-weight: 600; }}
dd {{ margin: 0; }}
.filters {{ display: flex; flex-wrap: wrap; gap: .6rem 1.2rem; align-items: end; margin: .8rem 0; }}
.filters label {{ display: block; font-size: .9rem; max-width: 100%; }}
.filters input[type=search], .filters select {{ font: inherit; padding: .25rem .4rem; border: 1px solid #5a6775; border-radius: .3rem;
  background: #fff; color: inherit; max-width: 100%; }}
table.index th, table.index td {{ text-align: left; white-space: normal; max-width: 18rem; vertical-align: middle; position: static; min-width: 0; }}
table.index th button {{ font: inherit; font-weight: 600; background: none; border: 0; padding: .2rem; cursor: pointer; color: #0a558c;
  text-align: left; }}
table.index th[aria-sort=ascending] button::after {{ content: " \\25B2"; }}
table.index th[aria-sort=descending] button::after {{ content: " \\25BC"; }}
table.index td.number {{ text-align: right; }}
.case > h3 {{ font-size: 1.15rem; border-top: 1px solid #b9c4cf; padding-top: .8rem; margin-top: 2.2rem; }}
h4 {{ margin: 1.1rem 0 .3rem; }}
.bad {{ color: #b3261e; }}
[hidden] {{ display: none !important; }}
@media (max-width: 40rem) {{
  body {{ padding: .6rem .7rem 3rem; }}
  dl {{ grid-template-columns: 1fr; gap: 0; }}
  dd {{ margin-bottom: .5rem; }}
  .bar {{ min-width: 3.5rem; }}
  table.answers th, table.answers td {{ padding: .28rem .35rem; }}
}}
@media print {{
  h2 {{ margin-top: 1.2rem; }}
  .viewer, .warning {{ break-inside: avoid; }}
  .viewer input, .viewer input:not(:checked) + label, .filters {{ display: none; }}
  .pictures {{ grid-template-columns: 1fr 1fr; }}
  table.index {{ width: 100%; }}
  table.index th, table.index td {{ padding: .2rem .3rem; }}
  table.index td {{ overflow-wrap: anywhere; }}
  section.case {{ break-before: page; }}
}}
"""

"""How the page of predictions looks: on a wide screen, on a phone, in the dark and on paper."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #f5f6f8; --card: #ffffff; --ink: #1a1d21; --soft: #565d66; --line: #d9dde3;
  --first: #0b66a8; --other: #7d8793; --track: #e8ebef;
  --wrong: #b04a00; --wrong-tint: #fdeee3; --right-rgb: 0 158 115; --wrong-rgb: 213 94 0;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --paper: #14171a; --card: #1e2226; --ink: #e9ecef; --soft: #a9b1ba; --line: #353b42;
    --first: #6cb8f0; --other: #87919c; --track: #2c3238;
    --wrong: #ff9d5c; --wrong-tint: #3a281b;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 1.5rem clamp(.8rem, 3vw, 2rem) 3rem; max-width: 84rem;
  background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Helvetica Neue", Arial, sans-serif;
  overflow-wrap: anywhere;
}
h1 { font-size: clamp(1.6rem, 5vw, 2.2rem); line-height: 1.2; margin: 0 0 .4rem; }
h2 { font-size: 1.35rem; line-height: 1.3; margin: 2.6rem 0 .5rem; }
h3 { font-size: 1.05rem; line-height: 1.35; margin: 1.4rem 0 .6rem; }
p { margin: 0 0 .6rem; max-width: 46rem; }
a { color: var(--first); text-underline-offset: .15em; }
a:focus-visible, [tabindex]:focus-visible { outline: 3px solid var(--first); outline-offset: 2px; }
code { font: .92em ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
ul, ol { margin: 0; padding: 0; list-style: none; }
img { display: block; flex: none; border-radius: 4px; outline: 1px solid var(--line); }
time { white-space: nowrap; }
img.sharp { image-rendering: pixelated; }
.soft { color: var(--soft); }
.small { font-size: .875rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .3rem 1.3rem; margin-top: .8rem; }
.alarm { color: var(--wrong); font-weight: 600; }
.alarm a { color: inherit; }

.facts { display: grid; gap: .8rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 18rem), 1fr)); }
.facts li, .card, .class {
  background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: .9rem 1rem;
}
.facts strong { display: block; font-size: 1.6rem; line-height: 1.25; margin-bottom: .3rem; }
.facts p { margin: 0; }

.cards { display: grid; gap: .8rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 21rem), 1fr)); }
.card { display: flex; gap: 1rem; align-items: flex-start; }
.card .said { flex: 1; min-width: 0; }
.card .file { margin: 0 0 .35rem; line-height: 1.35; }
.bars li {
  display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 .6rem; font-size: .9rem; margin-top: .4rem;
}
.bars li:first-child { font-size: 1.1rem; font-weight: 650; margin-top: 0; }
.bars .of { flex: 1; min-width: 0; line-height: 1.35; }
.bars .of a { color: inherit; text-decoration-color: var(--other); }
.bars .share { font-variant-numeric: tabular-nums; white-space: nowrap; line-height: 1.35; }
.bar { flex: 0 0 100%; height: 6px; border-radius: 3px; background: var(--track); overflow: hidden; margin-top: .1rem; }
.bar span { display: block; height: 100%; background: var(--other); }
.bars li:first-child .bar { height: 8px; border-radius: 4px; }
.bars li:first-child .bar span { background: var(--first); }
.views { margin: .55rem 0 0; font-size: .875rem; line-height: 1.3; color: var(--soft); }
.views.split { color: var(--wrong); font-weight: 600; }

.classes { display: grid; gap: .8rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 24rem), 1fr)); }
.classes.narrow { grid-template-columns: repeat(auto-fill, minmax(min(100%, 21rem), 1fr)); }
.class h3 { margin: 0; }
.class p { margin: 0 0 .4rem; }
.class:target { outline: 3px solid var(--first); }
.thumbs { display: flex; flex-wrap: wrap; gap: .1rem; align-items: flex-start; margin: 0 -.25rem -.25rem; }
.thumbs li { padding: .25rem; }
.thumbs .mistaken {
  display: flex; flex-direction: column; gap: .35rem; max-width: 10rem;
  background: var(--wrong-tint); border-radius: 6px; color: var(--wrong); font-size: .8rem; line-height: 1.25;
}
.thumbs .mistaken img { outline: 2px solid var(--wrong); }
.thumbs .more { align-self: center; }

.scroll { overflow-x: auto; }
table { border-collapse: collapse; background: var(--card); font-size: .9rem; }
caption { text-align: start; padding: 0 0 .5rem; }
th { font-weight: 600; }
.list { max-width: 100%; }
.list th, .list td { text-align: start; vertical-align: top; padding: .4rem .8rem; border: 1px solid var(--line); }
.list tbody th { font-weight: 500; }
.list td.number { text-align: end; font-variant-numeric: tabular-nums; white-space: nowrap; }
.matrix td { min-width: 2.1rem; padding: .25rem; text-align: center; border: 1px solid var(--line); }
.matrix td { font-variant-numeric: tabular-nums; }
.matrix td.right { background: rgb(var(--right-rgb) / calc(.08 + .3 * var(--share))); }
.matrix td.wrong { background: rgb(var(--wrong-rgb) / calc(.12 + .3 * var(--share))); font-weight: 700; }
.matrix tbody th {
  position: sticky; inset-inline-start: 0; background: var(--card); border: 1px solid var(--line);
  text-align: right; padding: .25rem .6rem; line-height: 1.25; font-weight: 500;
}
.matrix tbody bdi { display: block; width: max-content; max-width: 14rem; margin-left: auto; }
.matrix thead th { vertical-align: bottom; padding: .4rem .1rem; border: 1px solid var(--line); font-weight: 500; }
.matrix thead span {
  display: block; margin: 0 auto; writing-mode: vertical-rl; transform: rotate(180deg); max-height: 11rem;
  line-height: 1.25; overflow: hidden; text-overflow: ellipsis; white-space: nowrap;
}
.matrix thead th.corner {
  font-size: .8rem; line-height: 1.3; text-align: right; color: var(--soft); padding: .4rem .6rem; white-space: nowrap;
}
.notes li { max-width: 60rem; padding: .2rem .8rem; border-left: 3px solid var(--line); margin-bottom: .5rem; }
.list + p { margin-top: .5rem; }

@media (max-width: 30rem) {
  .card { padding: .8rem; gap: .8rem; }
  .matrix tbody th { font-size: .8rem; padding: .25rem .4rem; }
  .matrix tbody bdi { max-width: 7.5rem; }
  .list th, .list td { padding: .35rem .5rem; }
}
@media print {
  @page { margin: 14mm; }
  :root {
    color-scheme: light;
    --paper: #fff; --card: #fff; --ink: #000; --soft: #333; --line: #999;
    --first: #000; --other: #777; --track: #e4e4e4; --wrong: #000; --wrong-tint: #fff;
  }
  html { font-size: 9pt; }
  body { padding: 0; max-width: none; }
  nav { display: none; }
  a { color: inherit; text-decoration: none; }
  h2, h3 { break-after: avoid; }
  .card, .class, .facts li, .scroll, tr, .notes li { break-inside: avoid; }
  .cards { grid-template-columns: repeat(3, 1fr); gap: 3mm; }
  .card { padding: 2mm; gap: 2.5mm; }
  .bars li:first-child { font-size: 1rem; }
  .card img { width: 20mm; height: auto; }
  .facts { grid-template-columns: repeat(auto-fit, minmax(50mm, 1fr)); gap: 3mm; }
  .facts strong { font-size: 1.3rem; }
  .classes, .classes.narrow { grid-template-columns: repeat(2, 1fr); gap: 3mm; }
  .thumbs img { width: 12mm; height: auto; }
  .thumbs .mistaken { border: 1px dashed #000; }
  .scroll { overflow: visible; }
  .matrix { font-size: .8rem; }
  .matrix td { min-width: 0; padding: .15rem .2rem; }
  .matrix tbody th { position: static; }
  .bar, .bar span, .matrix td, img { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
}
"""

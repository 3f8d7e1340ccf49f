import { raw } from './html.ts';

/**
 * The one style sheet of reports and of the board. Colours are custom properties, so that a drawing follows the scheme of
 * the reader; each pair of text and background has a contrast of at least 4.5.
 */
export const STYLE = raw(`
:root{color-scheme:light dark;--paper:#fff;--card:#f6f7f9;--ink:#1b1f24;--soft:#4d5560;--line:#d3d8de;--link:#0b57a8;
--pass:#17693b;--fail:#b3201b;--inconclusive:#845400;--warn:#845400;--stale:#6a4a9c;--never:#4d5560;
--a:#0b62b8;--b:#8a4b00;--c:#6a4a9c;--d:#17693b;--fill-a:#a9cdf0;--fill-b:#ecc89a;--on:#fff}
@media(prefers-color-scheme:dark){:root{--paper:#15181c;--card:#1e2328;--ink:#e8eaed;--soft:#b3bac3;--line:#3b434c;--link:#8cc2ff;
--pass:#6fd39b;--fail:#ff9089;--inconclusive:#f0c064;--warn:#f0c064;--stale:#c9aef5;--never:#b3bac3;
--a:#7db9f5;--b:#f0b56a;--c:#c9aef5;--d:#6fd39b;--fill-a:#27507a;--fill-b:#6b4a1c;--on:#15181c}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0 auto;max-width:72rem;padding:1rem;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
a{color:var(--link)}a:focus-visible,summary:focus-visible,[tabindex]:focus-visible{outline:3px solid var(--link);outline-offset:2px}
h1{font-size:1.35rem;line-height:1.25;margin:.25rem 0}h2{font-size:1.15rem;margin:2rem 0 .5rem}h3{font-size:1rem;margin:1rem 0 .25rem}
p{margin:.5rem 0}.soft,figcaption small,.note{color:var(--soft)}.mono{font-family:ui-monospace,monospace;font-size:.875em}
.skip{position:absolute;left:-99rem}.skip:focus{left:1rem;top:.5rem;background:var(--paper);padding:.5rem}
.badge{display:inline-block;border:1px solid;border-radius:1rem;padding:0 .65rem;font-weight:600;white-space:nowrap}
.pass{color:var(--pass)}.fail{color:var(--fail)}.inconclusive,.warn{color:var(--inconclusive)}.stale{color:var(--stale)}.never{color:var(--never)}
.reason{font-size:1.1rem;border-left:.35rem solid currentcolor;padding:.25rem .75rem;margin:1rem 0}.reason span{color:var(--ink)}
ul.findings{list-style:none;padding:0;margin:0}.findings li{border:1px solid var(--line);border-left:.35rem solid currentcolor;border-radius:.35rem;padding:.5rem .75rem;margin:.5rem 0;background:var(--card)}
.findings li>*{color:var(--ink)}.findings li>.badge{color:inherit;font-size:.85rem}.findings .help{color:var(--soft)}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,20.5rem),1fr));gap:1rem;align-items:start}
figure{margin:0;padding:.75rem;border:1px solid var(--line);border-radius:.35rem;background:var(--card);min-width:0;break-inside:avoid}
figcaption{font-weight:600;margin-bottom:.25rem}figcaption small{display:block;font-weight:400}
.wide{margin:1rem 0}.scroll{overflow-x:auto}.scroll>svg{min-width:42rem}
svg{display:block;width:100%;height:auto;font:11px system-ui,sans-serif;fill:var(--ink)}
svg .grid{stroke:var(--line);stroke-width:1;fill:none}svg .soft{fill:var(--soft)}svg .axis{stroke:var(--soft);stroke-width:1;fill:none}
svg .line{fill:none;stroke-width:2;stroke-linejoin:round}svg .dash{stroke-dasharray:5 4}svg .thin{stroke-width:1}
svg .s-a{stroke:var(--a)}svg .s-b{stroke:var(--b)}svg .s-c{stroke:var(--c)}svg .s-d{stroke:var(--d)}svg .s-ink{stroke:var(--ink)}svg .s-soft{stroke:var(--soft)}
svg .s-pass{stroke:var(--pass)}svg .s-fail{stroke:var(--fail)}svg .s-inconclusive,svg .s-warn{stroke:var(--inconclusive)}svg .s-card{stroke:var(--card)}
svg .f-a{fill:var(--a)}svg .f-b{fill:var(--b)}svg .f-c{fill:var(--c)}svg .f-d{fill:var(--d)}svg .f-soft{fill:var(--soft)}svg .f-line{fill:var(--line)}
svg .f-fill-a{fill:var(--fill-a)}svg .f-fill-b{fill:var(--fill-b)}svg .f-none{fill:none}svg .f-card{fill:var(--card)}
svg .f-pass{fill:var(--pass)}svg .f-fail{fill:var(--fail)}svg .f-inconclusive,svg .f-warn{fill:var(--inconclusive)}svg .f-stale{fill:var(--stale)}svg .f-never{fill:var(--never)}svg .on{fill:var(--on)}svg .halo{paint-order:stroke;stroke:var(--card);stroke-width:3px}
.legend{display:flex;flex-wrap:wrap;gap:.25rem 1rem;font-size:.85rem;margin:.35rem 0 0;padding:0;list-style:none}.legend svg{display:inline-block;width:1.4rem;height:.8rem;vertical-align:-.05rem}
.table{overflow-x:auto}.table+.table{margin-top:1rem}table{border-collapse:collapse;font-size:.9rem;width:100%}th,td{text-align:left;vertical-align:top;padding:.3rem .6rem .3rem 0;min-width:6rem;overflow-wrap:break-word;border-bottom:1px solid var(--line)}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}caption{text-align:left;font-weight:600;padding:.25rem 0}
table.pair{table-layout:fixed}table.pair tbody th{border:0;padding-bottom:0}mark{background:var(--fill-b);color:var(--ink);border-bottom:2px solid var(--b)}
dl.facts{display:grid;grid-template-columns:minmax(6rem,max-content) minmax(0,1fr);gap:.15rem 1rem;font-size:.9rem}dt{color:var(--soft)}dd{margin:0}
details{margin:.5rem 0}summary{cursor:pointer}footer{margin-top:3rem;border-top:1px solid var(--line);padding-top:.5rem;font-size:.85rem;color:var(--soft)}
.hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
@media print{body{max-width:none;padding:0;font-size:10pt}.skip{display:none}.scroll,.table{overflow:visible}.scroll>svg{min-width:0}figure,.findings li{background:none}a{color:inherit}}
@media print and (prefers-color-scheme:dark){:root{--paper:#fff;--card:#fff;--ink:#000;--soft:#333;--line:#aaa;--link:#000;--pass:#17693b;--fail:#b3201b;--inconclusive:#845400;--stale:#6a4a9c;--never:#333;--a:#0b62b8;--b:#8a4b00;--c:#6a4a9c;--d:#17693b;--fill-a:#a9cdf0;--fill-b:#ecc89a;--on:#fff}}
`);

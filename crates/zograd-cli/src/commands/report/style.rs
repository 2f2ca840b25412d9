//! The style sheet of the page.

use crate::charts::palette::{self, Shade, hex};
use std::fmt::Write;

const SHEET: &str = "
:root{color-scheme:light dark;--ink:#22272e;--soft:#5a636d;--paper:#fff;--line:#d5dae0;--band:#f5f7f9}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.25rem;max-width:1280px;color:var(--ink);background:var(--paper);
font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}
h1{font-size:1.5rem;line-height:1.25;margin:.25rem 0}
h2{font-size:1.15rem;margin:2rem 0 .5rem}
p{margin:.4rem 0;max-width:48rem}
.soft{color:var(--soft)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.35rem .75rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
th:first-child,td:first-child{text-align:left}
td:first-child{white-space:normal;min-width:9rem}
.results td:nth-child(-n+3),.results th:nth-child(-n+3){text-align:left}
.results td:nth-child(-n+2){min-width:0}
thead th{border-bottom-width:2px;color:var(--soft);font-weight:600}
tbody tr:nth-child(even){background:var(--band)}
.runs td:nth-child(2),.runs th:nth-child(2){text-align:left}
.columns{display:flex;flex-wrap:wrap;gap:0 2.5rem}
.columns>section{max-width:100%}
.pairs td{text-align:left;white-space:normal;overflow-wrap:anywhere}
.pairs td:first-child{min-width:0;color:var(--soft);white-space:nowrap}
.legend{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;list-style:none;margin:.5rem 0;padding:0}
.swatch{display:inline-block;width:1.5rem;height:.25rem;border-radius:2px;margin-right:.5rem;vertical-align:middle}
.charts{display:grid;gap:.75rem;grid-template-columns:repeat(auto-fit,minmax(min(100%,370px),1fr))}
figure{margin:0}
figcaption{font-weight:600;font-size:.875rem;padding-left:.5rem}
svg{display:block;width:100%;height:auto}
details{margin:.5rem 0}
summary{cursor:pointer}
@media(max-width:480px){body{padding:.75rem;font-size:15px}th,td{padding:.3rem .5rem}}
@media print{body{max-width:none}figure{break-inside:avoid}}
";

const DARK: &str =
    ":root{--ink:#e2e6ea;--soft:#a2abb5;--paper:#15181c;--line:#363c44;--band:#1c2026}";

/// The sheet, with the colours of the charts for readers who prefer dark.
pub fn sheet() -> String {
    let mut text = String::from(SHEET);
    let (mut light, mut dark) = (String::new(), String::new());
    for (number, shade) in palette::SERIES.iter().enumerate() {
        // writing to a string cannot fail
        let _ = write!(light, ".s{number}{{background:{}}}", hex(shade.light));
        let _ = write!(dark, ".s{number}{{background:{}}}", hex(shade.dark));
    }
    // cut out of the swatch, whatever its colour
    for [dash, gap] in palette::DASHES {
        let (end, next) = (dash, dash + gap);
        let cut =
            format!("repeating-linear-gradient(90deg,#000 0 {end}px,transparent {end}px {next}px)");
        let _ = write!(light, ".d{dash}{{-webkit-mask:{cut};mask:{cut}}}");
    }
    for Shade { light, dark: shade } in palette::SERIES
        .iter()
        .chain([&palette::INK, &palette::GRID])
    {
        let (light, shade) = (hex(*light), hex(*shade));
        for attribute in ["stroke", "fill"] {
            let _ = write!(dark, "svg [{attribute}='{light}']{{{attribute}:{shade}}}");
        }
    }
    let _ = write!(
        text,
        "{light}\n@media(prefers-color-scheme:dark){{{DARK}{dark}}}\n"
    );
    text
}

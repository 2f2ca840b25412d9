//! The figure: how many times as fast as one rank so many are, both axes by doublings.

use std::fmt::Write;

const WIDTH: f64 = 680.0;
const HEIGHT: f64 = 380.0;
const MARGIN: f64 = 48.0;

/// Room for the names.
const NAMES: f64 = 190.0;

const COLOURS: [&str; 5] = ["#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#9c6b4e"];

/// The curves, and the line that more ranks cannot be above.
pub fn svg(curves: &[(&str, Vec<f64>)], ranks: &[usize]) -> String {
    let most = ranks.iter().max().map_or(1.0, |most| *most as f64);
    let x = |ranks: f64| MARGIN + ranks.log2() / most.log2() * (WIDTH - MARGIN - NAMES);
    let y = |times: f64| HEIGHT - MARGIN - times.log2() / most.log2() * (HEIGHT - 2.0 * MARGIN);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n"
    );
    let mut power = 1.0;
    while power <= most {
        let (right, bottom) = (x(most), HEIGHT - MARGIN);
        let _ = writeln!(
            text,
            "<path d=\"M{0:.1} {MARGIN}V{bottom:.1}M{MARGIN} {1:.1}H{right:.1}\" stroke=\"#e5e5e5\"/>\n\
             <text x=\"{0:.1}\" y=\"{2:.1}\" text-anchor=\"middle\">{power}</text>\n\
             <text x=\"{3:.1}\" y=\"{4:.1}\" text-anchor=\"end\">{power}</text>",
            x(power),
            y(power),
            bottom + 18.0,
            MARGIN - 6.0,
            y(power) + 4.0
        );
        power *= 4.0;
    }
    let _ = writeln!(
        text,
        "<path d=\"M{:.1} {:.1}L{:.1} {:.1}\" stroke=\"#999999\" stroke-dasharray=\"4 4\"/>",
        x(1.0),
        y(1.0),
        x(most),
        y(most)
    );
    for ((index, (name, times)), colour) in curves.iter().enumerate().zip(COLOURS) {
        let points = ranks.iter().zip(times);
        let points: Vec<String> = points
            .map(|(ranks, times)| format!("{:.1},{:.1}", x(*ranks as f64), y(times.max(1.0))))
            .collect();
        let _ = writeln!(
            text,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">{name}</text>",
            points.join(" "),
            x(most) + 12.0,
            MARGIN + 18.0 * index as f64
        );
    }
    let _ = writeln!(
        text,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">ranks</text>\n\
         <text x=\"{MARGIN}\" y=\"{:.1}\">times as fast as one rank</text>\n</svg>",
        (MARGIN + x(most)) / 2.0,
        HEIGHT - 8.0,
        MARGIN - 18.0
    );
    text
}

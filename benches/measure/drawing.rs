//! An SVG with a line for each row: a dot with its spread on a logarithmic axis.

use std::fmt::Write;

pub const GOOD: &str = "#009e73";
pub const BAD: &str = "#d55e00";
pub const UNSURE: &str = "#8a8a8a";

/// One line of the drawing.
pub struct Line {
    pub label: String,
    /// The text at the right.
    pub value: String,
    pub colour: &'static str,
    pub low: f64,
    pub middle: f64,
    pub high: f64,
}

const LEFT: f64 = 400.0;
const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 24.0;
const TOP: f64 = 72.0;

/// Draws the lines. `marks` are positions on the axis and their labels; the first one is thick.
pub fn draw(title: &str, lines: &[Line], marks: &[(f64, &str)]) -> String {
    let values = lines.iter().flat_map(|line| [line.low, line.high]);
    let values = values.chain(marks.iter().map(|mark| mark.0));
    let (least, most) = values.fold((f64::MAX, f64::MIN_POSITIVE), |(least, most), value| {
        (least.min(value), most.max(value))
    });
    let (from, to) = ((least * 0.9).ln(), (most * 1.1).ln());
    let x = |value: f64| LEFT + WIDTH * ((value.max(least).ln() - from) / (to - from));
    let height = TOP + HEIGHT * lines.len() as f64 + 16.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"980\" height=\"{height:.0}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" \
         fill=\"white\"/>\n<text x=\"16\" y=\"28\" font-size=\"18\">{title}</text>\n"
    );
    // Writing to a String cannot fail.
    for (number, (value, label)) in marks.iter().enumerate() {
        let (x, thickness) = (x(*value), if number == 0 { 2 } else { 1 });
        let colour = if number == 0 { "#444" } else { "#ddd" };
        let _ = writeln!(
            svg,
            "<path d=\"M{x:.1} {:.0}V{height:.0}\" stroke=\"{colour}\" \
             stroke-width=\"{thickness}\"/>\n<text x=\"{x:.1}\" y=\"{:.0}\" \
             text-anchor=\"middle\" fill=\"#666\">{label}</text>",
            TOP - 8.0,
            TOP - 14.0
        );
    }
    for (number, line) in lines.iter().enumerate() {
        let y = TOP + HEIGHT * (number as f64 + 0.5);
        let Line { colour, .. } = line;
        let _ = writeln!(
            svg,
            "<text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n\
             <path d=\"M{:.1} {y:.1}H{:.1}\" stroke=\"{colour}\" stroke-width=\"6\" \
             stroke-linecap=\"round\" opacity=\"0.35\"/>\n\
             <circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"6\" fill=\"{colour}\"/>\n\
             <text x=\"{:.0}\" y=\"{:.1}\" fill=\"{colour}\">{}</text>",
            LEFT - 14.0,
            y + 4.5,
            escape(&line.label),
            x(line.low),
            x(line.high),
            x(line.middle),
            LEFT + WIDTH + 14.0,
            y + 4.5,
            escape(&line.value)
        );
    }
    svg + "</svg>\n"
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

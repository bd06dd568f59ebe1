//! The plot of a run as SVG: latency by percentile, and throughput over time.

use super::numbers::micros;
use super::report::Outcome;
use super::settings::Work;
use crate::reactor::clock::SECOND;
use crate::wire::text::grouped;
use hdrhistogram::Histogram;
use plotters::coord::combinators::IntoLogRange;
use plotters::prelude::*;
use std::error::Error;

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// The colours of the lines, distinguishable with red-green colour blindness.
const COLOURS: [RGBColor; 5] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
];

const GREY: RGBColor = RGBColor(110, 110, 110);
const LIGHT: RGBColor = RGBColor(228, 228, 228);

/// The plot as the text of an SVG file.
pub fn draw(outcome: &Outcome) -> Result<String, Box<dyn Error>> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (960, 760)).into_drawing_area();
        area.fill(&WHITE)?;
        let title = ("sans-serif", 20).into_font().color(&BLACK);
        let area = area.margin(12, 0, 0, 0).titled(&title_of(outcome), title)?;
        let (above, below) = area.split_vertically(410);
        draw_latency(&above, outcome)?;
        draw_throughput(&below, outcome)?;
        area.present()?;
    }
    Ok(text)
}

fn title_of(outcome: &Outcome) -> String {
    let settings = &outcome.settings;
    format!(
        "loket load {}: {}, {}, {}",
        settings.work.name(),
        settings.clients(),
        settings.rate_text(),
        settings.object()
    )
}

/// The x coordinate of a percentile: each further nine has the same width.
fn position(quantile: f64) -> f64 {
    -(1.0 - quantile).log10()
}

/// The label of an x coordinate.
fn label(position: f64) -> String {
    match position.round() as i32 {
        0 => "0 %".to_owned(),
        1 => "90 %".to_owned(),
        2 => "99 %".to_owned(),
        nines => format!("99.{} %", "9".repeat(nines as usize - 2)),
    }
}

/// The points of the curve, up to the highest percentile that the number of values supports.
fn curve(histogram: &Histogram<u64>) -> Vec<(f64, f64)> {
    let last = position(1.0 - 1.0 / histogram.len() as f64);
    let steps = (last * 50.0).ceil() as u32;
    (0..=steps)
        .map(|step| {
            let position = last * f64::from(step) / f64::from(steps.max(1));
            let quantile = 1.0 - 10f64.powf(-position);
            (position, histogram.value_at_quantile(quantile) as f64)
        })
        .collect()
}

fn chart<'a, 'b>(area: &'a Area<'b>, caption: &str) -> ChartBuilder<'a, 'b, SVGBackend<'b>> {
    let mut chart = ChartBuilder::on(area);
    chart
        .caption(caption, ("sans-serif", 16).into_font().color(&GREY))
        .margin(14)
        .margin_right(30)
        .x_label_area_size(34)
        .y_label_area_size(84);
    chart
}

fn draw_latency(area: &Area<'_>, outcome: &Outcome) -> Result<(), Box<dyn Error>> {
    let kinds: Vec<_> = outcome.recorder.kinds().collect();
    if kinds.is_empty() {
        return Ok(());
    }
    let lowest = kinds.iter().map(|(_, histogram)| histogram.min()).min();
    let highest = kinds.iter().map(|(_, histogram)| histogram.max()).max();
    let most = kinds.iter().map(|(_, histogram)| histogram.len()).max();
    let bottom = (lowest.unwrap_or(1) as f64 * 0.8).max(1.0);
    let top = highest.unwrap_or(1) as f64 * 1.3;
    let right = position(1.0 - 1.0 / most.unwrap_or(1) as f64).max(1.0);
    let mut chart = chart(area, "latency by percentile")
        .build_cartesian_2d(0.0..right, (bottom..top).log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(LIGHT)
        .axis_style(GREY)
        .label_style(("sans-serif", 14))
        .x_labels(right.ceil() as usize + 1)
        .x_label_formatter(&|position| label(*position))
        .y_label_formatter(&|value| {
            micros(value.round() as u64)
                .replace(".00 ", " ")
                .replace(".0 ", " ")
        })
        .draw()?;
    for ((name, histogram), colour) in kinds.iter().zip(COLOURS.iter().cycle()) {
        let line = LineSeries::new(curve(histogram), colour.stroke_width(2));
        let series = chart.draw_series(line)?;
        let p99 = micros(histogram.value_at_quantile(0.99));
        let name = format!("{name}, p99 {p99}");
        series
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 22, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.85))
        .border_style(LIGHT)
        .legend_area_size(28)
        .margin(10)
        .label_font(("sans-serif", 14))
        .draw()?;
    Ok(())
}

fn draw_throughput(area: &Area<'_>, outcome: &Outcome) -> Result<(), Box<dyn Error>> {
    let (slice, slices) = outcome.recorder.slices();
    let seconds = slice as f64 / SECOND as f64;
    // Large files complete too rarely for a curve; their bytes arrive all the time.
    let moves_bodies = match &outcome.settings.work {
        Work::Transfer(_) => true,
        Work::Http(http) => http.discard,
        _ => false,
    };
    let caption = match moves_bodies {
        true => "MiB a second, both ways",
        false => "answers a second",
    };
    let points: Vec<(f64, f64)> = slices
        .iter()
        .enumerate()
        .map(|(number, slice)| {
            let amount = match moves_bodies {
                true => slice.bytes as f64 / f64::from(1 << 20),
                false => slice.answers as f64,
            };
            ((number as f64 + 0.5) * seconds, amount / seconds)
        })
        .collect();
    let top = points.iter().map(|point| point.1).fold(1.0, f64::max) * 1.15;
    let mut chart =
        chart(area, caption).build_cartesian_2d(0.0..outcome.seconds().max(seconds), 0.0..top)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(LIGHT)
        .axis_style(GREY)
        .label_style(("sans-serif", 14))
        .x_label_formatter(&|time| format!("{} s", (time * 10.0).round() / 10.0))
        .y_labels(6)
        .y_label_formatter(&|value| axis(*value))
        .draw()?;
    let colour = COLOURS[0];
    let area = AreaSeries::new(points, 0.0, colour.mix(0.18)).border_style(colour.stroke_width(2));
    chart.draw_series(area)?;
    Ok(())
}

/// The label of a value on the y axis.
fn axis(value: f64) -> String {
    if value > 0.0 && value < 10.0 {
        format!("{}", (value * 100.0).round() / 100.0)
    } else {
        grouped(value.round() as u64)
    }
}

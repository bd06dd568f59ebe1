//! Formats the results of a run as JSON, one value a line.

use super::errors::RequestFailure;
use super::numbers::PERCENTILES;
use super::report::{Outcome, RunEnd};
use crate::wire::json::JsonText;
use hdrhistogram::Histogram;

/// The results as a JSON text.
pub fn write(outcome: &Outcome) -> String {
    let counts = &outcome.recorder;
    let settings = &outcome.settings;
    let mut fields = vec![
        ("mode", string(settings.work.name())),
        ("server", string(&settings.at)),
        ("connections", whole(settings.connections as u64)),
        ("pipeline", whole(settings.pipeline as u64)),
        ("size", whole(settings.size)),
        (
            "rate_asked_for",
            settings
                .rate
                .map_or("null".to_owned(), |rate| rate.to_string()),
        ),
        ("ramp_seconds", whole(u64::from(settings.ramp))),
        ("seconds", decimal(outcome.seconds())),
        ("ended", string(ending(&outcome.ending))),
        ("requests_made", whole(counts.asked)),
        ("requests_answered", whole(counts.answered)),
        ("requests_answered_in_time", whole(counts.in_time)),
        ("requests_never_made", whole(counts.never_made)),
        (
            "answers_per_second",
            decimal(outcome.per_second(counts.in_time)),
        ),
        ("connections_opened", whole(counts.connections)),
        ("bytes_received", whole(counts.bytes_in)),
        ("bytes_sent", whole(counts.bytes_out)),
    ];
    if let Some(copies) = outcome.copies {
        fields.push(("copies_expected", whole(copies.expected)));
        fields.push(("copies_lost", whole(copies.lost)));
    }
    let errors = RequestFailure::ALL.map(|kind| (kind.name(), whole(counts.errors_of(kind))));
    fields.push(("errors", object(&errors, 2)));
    let first = counts.first_error().map_or("null".to_owned(), string);
    fields.push(("first_error", first));
    let missed = outcome.missed();
    fields.push(("missed", list(missed.iter().map(|text| string(text)))));
    let mut kinds: Vec<_> = (counts.kinds())
        .map(|(name, histogram)| (name, latencies(histogram, 3)))
        .collect();
    if kinds.len() > 1 {
        kinds.push(("all", latencies(&counts.all_kinds(), 3)));
    }
    fields.push(("latency_us", object(&kinds, 2)));
    fields.extend(costs(outcome));
    let (micros, slices) = counts.slices();
    fields.push(("slice_us", whole(micros)));
    let answers = slices.iter().map(|slice| slice.answers.to_string());
    fields.push(("slice_answers", list(answers)));
    let bytes = slices.iter().map(|slice| slice.bytes.to_string());
    fields.push(("slice_bytes", list(bytes)));
    object(&fields, 1) + "\n"
}

/// The resources used by the generator and by the server.
fn costs(outcome: &Outcome) -> Vec<(&'static str, String)> {
    let mut fields = Vec::new();
    if let Some(client_cost) = outcome.client_cost() {
        fields.push(("client_busy", decimal(client_cost.busy)));
        fields.push(("client_kept_waiting", decimal(client_cost.kept_waiting)));
        fields.push((
            "client_cpu_us_per_answer",
            decimal(client_cost.cpu_per_answer),
        ));
        fields.push((
            "client_was_the_bottleneck",
            outcome.was_held_back().to_string(),
        ));
    }
    if let Some(server) = outcome.server_cost() {
        fields.push(("server_cpu_us", whole(server.cpu)));
        fields.push(("server_busy", decimal(server.busy)));
        fields.push(("server_kept_waiting", decimal(server.kept_waiting)));
        fields.push(("server_memory", whole(server.memory)));
    }
    fields
}

fn whole(value: u64) -> String {
    value.to_string()
}

fn ending(ending: &RunEnd) -> &str {
    match ending {
        RunEnd::InTime => "in time",
        RunEnd::Interrupted => "interrupted",
        RunEnd::Lost(_) => "server lost",
    }
}

fn latencies(histogram: &Histogram<u64>, depth: usize) -> String {
    let mut fields = vec![("count", histogram.len().to_string())];
    for (name, quantile) in PERCENTILES {
        fields.push((name, histogram.value_at_quantile(quantile).to_string()));
    }
    fields.push(("max", histogram.max().to_string()));
    fields.push(("mean", decimal(histogram.mean())));
    object(&fields, depth)
}

fn object(fields: &[(&str, String)], depth: usize) -> String {
    let indent = "  ".repeat(depth);
    let lines: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{indent}{}: {value}", string(name)))
        .collect();
    if lines.is_empty() {
        return "{}".to_owned();
    }
    format!("{{\n{}\n{}}}", lines.join(",\n"), "  ".repeat(depth - 1))
}

fn list(values: impl Iterator<Item = String>) -> String {
    format!("[{}]", values.collect::<Vec<_>>().join(", "))
}

fn decimal(number: f64) -> String {
    if number.is_finite() {
        format!("{number:.3}")
    } else {
        "null".to_owned()
    }
}

fn string(text: &str) -> String {
    format!("\"{}\"", JsonText(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped() {
        assert_eq!(string("a \"b\" \\ \n"), r#""a \"b\" \\ \u000a""#);
        assert_eq!(object(&[], 1), "{}");
        let inner = object(&[("b", "1".to_owned())], 2);
        assert_eq!(
            object(&[("a", inner)], 1),
            "{\n  \"a\": {\n    \"b\": 1\n  }\n}"
        );
    }
}

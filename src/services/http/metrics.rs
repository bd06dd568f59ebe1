//! The text of `/-/metrics`, in the Prometheus text format 0.0.4.

use super::shared::HttpShared;
use crate::session::close_reason::CloseReason;
use crate::session::loop_metrics::{LoopMetrics, STATES, TURN_ENDS};
use crate::store::quota::Usage;
use std::fmt::{Display, Write};

/// The `Content-Type` of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The current values.
pub fn text(shared: &HttpShared) -> String {
    let mut page = Page::default();
    connections(&mut page, &shared.metrics);
    page.metric("loket_http_requests_total", "counter", "Answered requests.");
    for (method, class, count) in shared.requests.all() {
        let labels = format!("{{method=\"{method}\",status=\"{class}xx\"}}");
        page.value(&labels, count);
    }
    page.metric("loket_http_tabs", "gauge", "Open tabs of the window.");
    page.value("", shared.tabs.borrow().count());
    files(&mut page, shared.store.usage());
    the_loop(&mut page, &shared.metrics);
    page.text
}

fn files(page: &mut Page, usage: Usage) {
    let Usage {
        held,
        reserved,
        limit,
    } = usage;
    let help = "Bytes that uploads under way may still store.";
    page.metric("loket_files_reserved_bytes", "gauge", help);
    page.value("", reserved);
    let held_help = "Bytes of all files, counted under --max-total only.";
    let limit_help = "Bytes that all files may hold with the reserved ones: --max-total.";
    for (name, help, value) in [
        ("loket_files_bytes", held_help, held),
        ("loket_files_limit_bytes", limit_help, limit),
    ] {
        if let Some(value) = value {
            page.metric(name, "gauge", help);
            page.value("", value);
        }
    }
}

fn connections(page: &mut Page, metrics: &LoopMetrics) {
    page.metric("loket_connections", "gauge", "Open connections by state.");
    for service in &metrics.services {
        for (state, count) in STATES.into_iter().zip(&service.states) {
            let labels = format!("{{service=\"{}\",state=\"{state}\"}}", service.name);
            page.value(&labels, count.get());
        }
    }
    let help = "Connections that were accepted.";
    page.metric("loket_accepted_connections_total", "counter", help);
    for service in &metrics.services {
        let labels = format!("{{service=\"{}\"}}", service.name);
        page.value(&labels, service.accepted.get());
    }
    let help = "Connections that were closed, by reason.";
    page.metric("loket_closed_connections_total", "counter", help);
    for (reason, count) in CloseReason::ALL.into_iter().zip(&metrics.closed) {
        page.value(&format!("{{reason=\"{reason}\"}}"), count.get());
    }
    for (name, help, counts) in [
        (
            "received",
            "Bytes received on connections, into memory or straight into files.",
            &metrics.received,
        ),
        (
            "sent",
            "Bytes sent on connections, from memory or straight from files.",
            &metrics.sent,
        ),
    ] {
        page.metric(&format!("loket_{name}_bytes_total"), "counter", help);
        page.value("{via=\"memory\"}", counts[0].get());
        page.value("{via=\"file\"}", counts[1].get());
    }
}

fn the_loop(page: &mut Page, metrics: &LoopMetrics) {
    let sampled = &metrics.sampled;
    let mut counter = |name, help, value: u64| {
        page.metric(name, "counter", help);
        page.value("", value);
    };
    counter(
        "loket_rounds_total",
        "Rounds of the event loop.",
        metrics.rounds.get(),
    );
    counter(
        "loket_events_total",
        "Events from epoll.",
        metrics.events.get(),
    );
    counter(
        "loket_disk_waits_total",
        "Waits of connections for the disk.",
        metrics.disk_waits.get(),
    );
    let help = "Log lines dropped because standard error was not read.";
    counter(
        "loket_log_lines_dropped_total",
        help,
        sampled.log_lines_dropped.get(),
    );
    page.metric(
        "loket_turns_total",
        "counter",
        "Turns of connections by how they ended.",
    );
    for (end, count) in TURN_ENDS.into_iter().zip(&metrics.turns) {
        page.value(&format!("{{end=\"{end}\"}}"), count.get());
    }
    let help = "Time of a turn since the start; quantile 1 is the longest.";
    page.metric("loket_turn_seconds", "summary", help);
    page.value("{quantile=\"1\"}", Seconds(sampled.longest_turn.get()));
    page.value("_sum", Seconds(sampled.turn_micros.get()));
    page.value("_count", sampled.turns.get());
    page.metric(
        "loket_queued_connections",
        "gauge",
        "Connections that wait for a turn.",
    );
    page.value("{queue=\"short\"}", sampled.queued[0].get());
    page.value("{queue=\"bulk\"}", sampled.queued[1].get());
    page.metric("loket_room_members", "gauge", "Members of the room.");
    page.value("", sampled.room_members.get());
    let help = "Copies of messages that wait for the socket of the room.";
    page.metric("loket_room_unsent_copies", "gauge", help);
    page.value("", sampled.room_unsent.get());
    page.metric(
        "loket_link_up",
        "gauge",
        "Whether the link to other servers is up.",
    );
    page.value("", sampled.link_up.get());
    let help = "Messages over the link to other servers.";
    page.metric("loket_link_messages_total", "counter", help);
    for (what, count) in ["sent", "received", "dropped"]
        .iter()
        .zip(&sampled.link_messages)
    {
        page.value(&format!("{{event=\"{what}\"}}"), count.get());
    }
}

/// Microseconds, shown as seconds.
struct Seconds(u64);

impl Display for Seconds {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

#[derive(Default)]
struct Page {
    text: String,
    /// The name of the current metric.
    name: String,
}

impl Page {
    fn metric(&mut self, name: &str, kind: &str, help: &str) {
        self.name = name.to_owned();
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// A value of the current metric. `labels` follows its name.
    fn value(&mut self, labels: &str, value: impl Display) {
        let _ = writeln!(self.text, "{}{labels} {value}", self.name);
    }
}

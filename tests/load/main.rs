//! The load generator, and how its results are judged.

mod compare_verdicts;
#[path = "../fake_server/mod.rs"]
mod fake_server;
mod load;
mod load_addresses;
mod load_bounds;
#[path = "../load_figures/mod.rs"]
mod load_figures;
mod load_http;
mod load_results;
mod load_set;
mod load_traces;
#[path = "../../benches/measure/mod.rs"]
mod measure;
#[allow(dead_code)] // the comparison uses the rest
#[path = "../../benches/workloads/report.rs"]
mod report;
#[allow(dead_code)]
#[path = "../../benches/workloads/samples.rs"]
mod samples;
#[path = "../../benches/standard/mod.rs"]
mod standard;
#[path = "../support/mod.rs"]
mod support;

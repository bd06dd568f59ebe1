//! Runs the load generator for a second, and reads its JSON results.
#![allow(dead_code, reason = "each test file uses a part of it")]

use crate::fake_server::run;

/// The JSON results of a run of one second.
pub struct Figures(pub String);

impl Figures {
    /// Runs `loket load` without a single error.
    #[track_caller]
    pub fn of(flags: &[&str]) -> Figures {
        let folder = tempfile::tempdir().expect("a folder");
        let more = ["-d", "1", "--json", "figures.json"];
        let ended = run(folder.path(), &[&["load"], flags, &more].concat());
        assert_eq!(ended.status, Some(0), "{ended:?}");
        let json = std::fs::read_to_string(folder.path().join("figures.json"));
        let figures = Figures(json.expect("the figures"));
        for fault in ["wrong", "refused", "closed", "broken", "silent"] {
            assert_eq!(figures.number(fault), 0.0, "{fault}: {ended:?}");
        }
        assert_eq!(figures.text("ended"), "\"in time\"");
        figures
    }

    /// The value of a key.
    #[track_caller]
    pub fn text(&self, name: &str) -> &str {
        let (_, rest) = self.0.split_once(&format!("\"{name}\": ")).expect(name);
        rest.lines().next().expect("a line").trim_end_matches(',')
    }

    #[track_caller]
    pub fn number(&self, name: &str) -> f64 {
        self.text(name).parse().expect(name)
    }

    /// All requests were answered, and there were several.
    #[track_caller]
    pub fn all_answered(&self) {
        assert!(self.number("requests_made") >= 10.0, "{}", self.0);
        assert_eq!(
            self.number("requests_made"),
            self.number("requests_answered")
        );
        assert_eq!(self.number("requests_never_made"), 0.0);
    }

    /// Every request of a rate was sent and answered.
    #[track_caller]
    pub fn all_made(&self, rate: &str) {
        let rate: f64 = rate.parse().expect("a number");
        assert_eq!(self.number("requests_made"), rate);
        assert_eq!(self.number("requests_answered"), rate);
    }
}

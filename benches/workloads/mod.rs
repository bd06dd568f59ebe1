//! The works that loket is compared at: each starts its contenders and lets them take turns.

pub mod report;

mod connections;
mod echoes;
mod goal;
mod latency;
mod small_files;
mod transfers;

use crate::measure::contender::{Door, folder};
use crate::measure::plan::Plan;
use crate::measure::server::Server;
use crate::measure::table::{Sample, Table};
use crate::measure::{Contender, take_turns};
use crate::rivals;
use goal::Goal;
use report::Report;
use std::path::{Path, PathBuf};

type Work = fn(&mut Stage) -> Result<(), String>;

/// By the name that it is asked for.
pub const WORKS: [(&str, Work); 8] = [
    ("echo", echoes::compare),
    ("download", transfers::downloads),
    ("small-files", small_files::compare),
    ("upload", transfers::uploads),
    ("connect", connections::compare_visits),
    ("idle", connections::compare_idle),
    ("room", echoes::room),
    ("beside", latency::compare),
];

/// Where a work takes place.
pub struct Stage {
    pub plan: Plan,
    pub scratch: PathBuf,
    pub report: Report,
}

impl Stage {
    fn folder(&self, name: &str) -> Result<PathBuf, String> {
        folder(&self.scratch, name)
    }

    fn loket(&self, service: &'static str, root: &Path, flags: &[&'static str]) -> Contender {
        Contender::loket(service, root, flags)
    }

    fn nginx(&self, root: &Path, deferred: bool) -> Result<Contender, String> {
        rivals::nginx(&self.scratch, root, self.plan.descriptors, deferred)
    }

    fn lighttpd(&self, root: &Path) -> Result<Contender, String> {
        rivals::lighttpd(&self.scratch, root, self.plan.descriptors)
    }

    fn redis(&self) -> Result<Contender, String> {
        rivals::redis(&self.scratch, self.plan.descriptors)
    }

    fn wants(&self, work: &str) -> bool {
        work.contains(&self.plan.only)
    }

    /// A quick look takes a tenth.
    fn amount(&self, count: usize) -> usize {
        match self.plan.quick {
            true => (count / 10).max(1),
            false => count,
        }
    }

    /// Those who can take part; why others cannot is told.
    fn present(&mut self, all: Vec<Result<Contender, String>>) -> Vec<Contender> {
        let mut present = Vec::new();
        for contender in all {
            match contender {
                Ok(contender) => present.push(contender),
                Err(why) => self.report.left_out(why),
            }
        }
        present
    }

    /// Starts all; a rival that does not come up is left out.
    fn start_all(&mut self, contenders: &mut Vec<Contender>) -> Result<Vec<Server>, String> {
        let mut servers = Vec::new();
        for contender in std::mem::take(contenders) {
            match Server::start(&contender, &self.scratch) {
                Ok(server) => {
                    servers.push(server);
                    contenders.push(contender);
                }
                Err(why) if matches!(contender.door, Door::Port(_)) => self.report.left_out(why),
                Err(why) => return Err(why),
            }
        }
        Ok(servers)
    }

    /// Starts all, then lets them take turns; the first one has the goals of the work.
    fn compare(
        &mut self,
        work: &str,
        contenders: Vec<Result<Contender, String>>,
        table: Table,
        goals: &[Goal],
        check: impl Fn(&Server, &Contender) -> Result<(), String>,
        mut run: impl FnMut(&Server, &Contender) -> Result<Sample, String>,
    ) -> Result<(), String> {
        if !self.wants(work) {
            return Ok(());
        }
        let mut contenders = self.present(contenders);
        let servers = self.start_all(&mut contenders)?;
        for (server, contender) in servers.iter().zip(&contenders) {
            check(server, contender).map_err(|e| format!("{}: {e}", contender.label))?;
        }
        let table = take_turns(&self.plan, &contenders, table, |index| {
            run(&servers[index], &contenders[index])
        })?;
        let findings = goals.iter().map(|goal| goal.judge(work, &table));
        let findings: Vec<_> = findings.collect();
        self.report.table(&table, &findings);
        Ok(())
    }
}

/// The load itself looks at every answer.
fn unchecked(_: &Server, _: &Contender) -> Result<(), String> {
    Ok(())
}

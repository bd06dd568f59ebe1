//! The workloads of the comparison: each starts its servers and measures them in turn.

pub mod report;

mod connections;
mod echoes;
mod goal;
mod small_files;
mod transfers;

use crate::measure::contender::{PortSource, folder};
use crate::measure::plan::Plan;
use crate::measure::server::Server;
use crate::measure::table::{Sample, Table};
use crate::measure::{Contender, run_in_rounds};
use crate::rivals;
use goal::Goal;
use report::Report;
use std::path::{Path, PathBuf};

type Workload = fn(&mut Suite) -> Result<(), String>;

/// Each workload with its name on the command line.
pub const WORKLOADS: [(&str, Workload); 7] = [
    ("echo", echoes::compare),
    ("download", transfers::downloads),
    ("small-files", small_files::compare),
    ("upload", transfers::uploads),
    ("connect", connections::compare_short),
    ("idle", connections::compare_idle),
    ("room", echoes::room),
];

/// The options, a scratch directory and the report.
pub struct Suite {
    pub plan: Plan,
    pub scratch: PathBuf,
    pub report: Report,
}

impl Suite {
    fn folder(&self, name: &str) -> Result<PathBuf, String> {
        folder(&self.scratch, name)
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

    fn wants(&self, workload: &str) -> bool {
        workload.contains(&self.plan.only)
    }

    /// `count`, or a tenth of it with `--quick`.
    fn scaled(&self, count: usize) -> usize {
        match self.plan.quick {
            true => (count / 10).max(1),
            false => count,
        }
    }

    /// The available servers; reports why the others are skipped.
    fn present(&mut self, all: Vec<Result<Contender, String>>) -> Vec<Contender> {
        let mut present = Vec::new();
        for contender in all {
            match contender {
                Ok(contender) => present.push(contender),
                Err(why) => self.report.skip(why),
            }
        }
        present
    }

    /// Starts all servers; another server that does not start is skipped, loket or a baseline must.
    fn start_all(&mut self, contenders: &mut Vec<Contender>) -> Result<Vec<Server>, String> {
        let mut servers = Vec::new();
        for contender in std::mem::take(contenders) {
            match Server::start(&contender, &self.scratch) {
                Ok(server) => {
                    servers.push(server);
                    contenders.push(contender);
                }
                Err(why) if matches!(contender.port, PortSource::Fixed(_)) => self.report.skip(why),
                Err(why) => return Err(why),
            }
        }
        Ok(servers)
    }

    /// Starts all servers and measures them in turn; the goals are those of the first, loket.
    fn compare(
        &mut self,
        workload: &str,
        contenders: Vec<Result<Contender, String>>,
        table: Table,
        goals: &[Goal],
        check: impl Fn(&Server, &Contender) -> Result<(), String>,
        mut run: impl FnMut(&Server, &Contender) -> Result<Sample, String>,
    ) -> Result<(), String> {
        if !self.wants(workload) {
            return Ok(());
        }
        let mut contenders = self.present(contenders);
        let servers = self.start_all(&mut contenders)?;
        for (server, contender) in servers.iter().zip(&contenders) {
            check(server, contender).map_err(|e| format!("{}: {e}", contender.label))?;
        }
        let table = run_in_rounds(&self.plan, &contenders, table, |index| {
            run(&servers[index], &contenders[index])
        })?;
        let results = goals.iter().map(|goal| goal.judge(workload, &table));
        let results: Vec<_> = results.collect();
        self.report.table(&table, &results);
        Ok(())
    }
}

/// For loads that check every answer themselves.
fn unchecked(_: &Server, _: &Contender) -> Result<(), String> {
    Ok(())
}

//! Waits until a server that has started is at rest.

use super::{Server, eventually};

impl Server {
    /// Waits for the thread that removes the leftovers of a crash after the start.
    pub fn rest_after_start(&self) {
        eventually("leftovers are removed", || {
            let tasks = std::fs::read_dir(format!("/proc/{}/task", self.id()));
            let helpers = tasks.expect("a live server").flatten();
            let mut helpers = helpers.filter(|task| *task.file_name() != *self.id().to_string());
            !helpers.any(|task| {
                let name = std::fs::read_to_string(task.path().join("comm"));
                // A thread has the name of the program until it begins to run.
                name.is_ok_and(|name| name == "sweep\n" || name == "loket\n")
            })
        });
    }
}

//! A server under attack: the files in and beside its root, and the check that they are unchanged.

use super::{Client, Server, eventually, noise, tree};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A server with a secret file beside its root, and its state before the attack.
pub struct Target {
    pub server: Server,
    pub files: BTreeMap<PathBuf, Vec<u8>>,
    pub descriptors: usize,
}

impl Target {
    /// Starts it and waits until it is idle.
    pub fn start(flags: &[&str]) -> Target {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("root");
        std::fs::create_dir_all(root.join("dir/deep")).expect("folders");
        std::fs::write(folder.path().join("secret"), "outside").expect("a file");
        for (name, content) in [("a", "inside"), ("empty", ""), ("dir/deep/x", "deep")] {
            std::fs::write(root.join(name), content).expect("a file");
        }
        for (link, to) in [
            ("out", "../secret"),
            ("absolute", "/etc/passwd"),
            ("up", ".."),
            ("loop", "loop"),
            ("in", "a"),
        ] {
            std::os::unix::fs::symlink(to, root.join(link)).expect("a link");
        }
        let server = Server::start_in(folder, flags);
        let target = Target {
            files: tree(&server.root()),
            descriptors: 0,
            server,
        };
        target.serves_fresh_clients();
        // The pipe for splice is created when it is first needed: upload once before counting.
        let mut client = target.server.connect("files");
        let body = noise(100_000);
        client.send("upload warm 100000\n").send(&body);
        client.expect("OK\nOK File Berhasil Dibuat\n");
        client
            .send("rm warm\n")
            .expect("OK File Berhasil Dihapus\n");
        client.finish().rest();
        let descriptors = settled_descriptors(&target.server);
        Target {
            descriptors,
            ..target
        }
    }

    /// A new client.
    pub fn connect(&self, service: &str) -> Client {
        self.server.connect(service)
    }

    /// Checks that a new client of each service is served.
    pub fn serves_fresh_clients(&self) {
        self.connect("echo").send("hello").expect("hello");
        let mut files = self.connect("files");
        files.send("download a\n").expect("OK 6\ninside");
        let mut transfer = self.connect("transfer");
        transfer
            .send("RECEIVE\na\n")
            .expect("OK\na<SEPARATOR>6\ninside");
    }

    /// Checks that new clients are served, all descriptors are closed and no file was changed.
    #[track_caller]
    pub fn is_as_it_was(&self) {
        self.serves_fresh_clients();
        eventually("all descriptors are closed", || {
            self.server.descriptors() == self.descriptors
        });
        assert_eq!(tree(&self.server.root()), self.files);
        let outside = self.server.root().join("../secret");
        assert_eq!(std::fs::read(outside).expect("a file"), b"outside");
    }
}

/// The number of descriptors once all connections are closed.
fn settled_descriptors(server: &Server) -> usize {
    let idle = || {
        let sockets = std::fs::read_dir(format!("/proc/{}/fd", server.id())).expect("alive");
        let links = sockets.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        links
            .map(|link| link.to_string_lossy().into_owned())
            // The helper thread closes a removed file with a delay.
            .filter(|link| link.starts_with("socket:") || link.ends_with("(deleted)"))
            .count()
    };
    // Five listeners, the room, and the pair for signals.
    eventually("only listeners are left", || idle() <= 8);
    server.descriptors()
}

//! A server to be attacked: what stands in and beside its root, and that it stays as it was.

use super::{Client, Server, eventually, noise, tree};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A server whose root has things worth stealing beside it, and what it was like at first.
pub struct Target {
    pub server: Server,
    pub files: BTreeMap<PathBuf, Vec<u8>>,
    pub descriptors: usize,
}

impl Target {
    /// Starts it and brings it to rest.
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
        // The pipe for bodies is made when it is first needed: let it be there.
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

    /// A client of each service gets what it asks for.
    pub fn serves_fresh_clients(&self) {
        self.connect("echo").send("hello").expect("hello");
        let mut files = self.connect("files");
        files.send("download a\n").expect("OK 6\ninside");
        let mut transfer = self.connect("transfer");
        transfer
            .send("RECEIVE\na\n")
            .expect("OK\na<SEPARATOR>6\ninside");
    }

    /// After a group: nothing left open, nothing left behind, everybody served.
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

/// The count once those who have said goodbye are gone.
fn settled_descriptors(server: &Server) -> usize {
    let idle = || {
        let sockets = std::fs::read_dir(format!("/proc/{}/fd", server.id())).expect("alive");
        let links = sockets.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        links
            .map(|link| link.to_string_lossy().into_owned())
            // The helper thread closes a file that was removed, a moment later.
            .filter(|link| link.starts_with("socket:") || link.ends_with("(deleted)"))
            .count()
    };
    // Four listeners, the room, and the pair for signals.
    eventually("only listeners are left", || idle() <= 7);
    server.descriptors()
}

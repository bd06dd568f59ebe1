//! A server with a mount that can be stopped. A test reads and writes the folder behind it, so that
//! only the server waits for the mount.

use super::file_service::FileService;
use super::guest::Guest;
use super::mount::{self, Mount};
use super::{Client, Server, eventually, rooted, skip};
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The kernel keeps the names and attributes that it has seen.
const CACHED: &str = "bindfs -f -o entry_timeout=600,attr_timeout=600";

/// A server and its mount. The mount ends first: until then the kernel may hold the server.
pub struct Stalled {
    mount: Mount,
    server: Server,
    /// Members of the room.
    guests: [Guest; 2],
}

impl Stalled {
    /// Starts a server whose root is the mount. `None`: the test is skipped.
    pub fn root(test: &str, flags: &[&str]) -> Option<Stalled> {
        Stalled::start(test, mount::PLAIN, "", flags)
    }

    /// Starts a server with a local root, and the mount as the folder `far` in it.
    pub fn beside(test: &str, flags: &[&str]) -> Option<Stalled> {
        Stalled::start(test, mount::PLAIN, "far", flags)
    }

    /// Like `root`, but the kernel keeps names and attributes that it has seen.
    pub fn cached(test: &str, flags: &[&str]) -> Option<Stalled> {
        Stalled::start(test, CACHED, "", flags)
    }

    fn start(test: &str, command: &str, below: &str, flags: &[&str]) -> Option<Stalled> {
        Stalled::start_in(rooted(), test, command, below, flags, |_| {})
    }

    /// Starts a server in this folder with a local root, and the stopped mount as the folder `far`
    /// in it.
    pub fn stopped(test: &str, folder: TempDir) -> Option<Stalled> {
        let stop = |mount: &Mount| mount.stop().expect("the daemon runs");
        Stalled::start_in(folder, test, mount::PLAIN, "far", &[], stop)
    }

    fn start_in(
        folder: TempDir,
        test: &str,
        command: &str,
        below: &str,
        flags: &[&str],
        before: impl FnOnce(&Mount),
    ) -> Option<Stalled> {
        let (at, behind) = (folder.path().join("root").join(below), behind(&folder));
        for path in [&at, &behind] {
            std::fs::create_dir_all(path).expect("a folder");
        }
        let root = rustix::process::geteuid().is_root();
        let mount = root.then(|| Mount::new(command, &behind, &at));
        let mount = match mount.unwrap_or_else(|| Err("only root can mount".to_owned())) {
            Ok(mount) => mount,
            Err(reason) => {
                skip(test, &reason);
                return None;
            }
        };
        before(&mount);
        let inside = mount.inside();
        let inside: Vec<&str> = inside.split(' ').collect();
        let flags = [&["--room-rate", "1000000"], flags].concat();
        let server = Server::start_under(&inside, folder, &flags);
        let guests = ["ani", "budi"].map(|name| Guest::member(&server, name));
        guests[0].expect("budi bergabung ke chatroom.");
        Some(Stalled {
            mount,
            server,
            guests,
        })
    }

    /// From now on the mount answers no request.
    pub fn stop(&self) {
        self.mount.stop().expect("the daemon runs");
    }

    /// The mount answers again, also what was asked meanwhile.
    pub fn resume(&self) {
        self.mount.resume();
    }

    /// A file behind the mount.
    pub fn behind(&self, name: &str) -> PathBuf {
        behind(&self.server.folder).join(name)
    }

    /// Begins an upload, and returns when the mount has most of `part`.
    pub fn begin(&self, service: FileService, name: &str, part: &[u8], size: usize) -> Client {
        let stored = || {
            let files = std::fs::read_dir(self.behind("")).expect("a folder");
            let sizes = files.filter_map(|file| Some(file.ok()?.metadata().ok()?.len()));
            sizes.sum::<u64>() as usize
        };
        let before = stored();
        let mut client = self.connect(service.name());
        client.send(service.upload_head(name, size)).expect("OK\n");
        client.send(part);
        eventually("the upload has begun", || {
            stored() >= before + part.len() / 2
        });
        client
    }

    /// The number of open sockets of the server. A file behind the mount may stay open longer.
    pub fn sockets(&self) -> usize {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.id())).expect("alive");
        let links = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        let is_socket = |link: &PathBuf| link.to_string_lossy().starts_with("socket:");
        links.filter(is_socket).count()
    }

    /// The names of the threads that wait in the kernel for something else than work.
    pub fn stuck(&self) -> Vec<String> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.id())).expect("alive");
        let read = |path: &Path, name| std::fs::read_to_string(path.join(name)).ok();
        let stuck = tasks.filter_map(|task| {
            let task = task.ok()?.path();
            let place = read(&task, "wchan")?;
            let is_free = place == "0" || place.contains("futex") || place.contains("poll");
            let name = read(&task, "comm")?;
            (!is_free).then(|| name.trim_end().to_owned())
        });
        stuck.collect()
    }

    /// Waits until the server waits for the mount.
    #[track_caller]
    pub fn waits(&self) {
        eventually("the server waits for the mount", || {
            !self.stuck().is_empty()
        });
    }

    /// An echo, a line to the operator and a message in the room arrive.
    #[track_caller]
    pub fn serves_others(&mut self) {
        self.connect("echo").send("hello").expect("hello");
        let mut talk = self.connect("talk");
        talk.send("a line\n");
        while !self.shown().ends_with("a line") {}
        talk.finish().rest();
        let [ani, budi] = &self.guests;
        budi.send("budi: a message").expect("budi: a message");
        ani.expect("budi: a message");
    }
}

fn behind(folder: &TempDir) -> PathBuf {
    folder.path().join("behind")
}

impl Deref for Stalled {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl DerefMut for Stalled {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}

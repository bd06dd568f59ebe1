//! Two servers on two mounts of one folder: what one has stored the other reads, and each removes
//! only its own leftovers.
//!
//! bindfs(1) takes the place of a network file system: it has no `O_TMPFILE`, and locks of one
//! mount do not reach the other. Close-to-open needs `attr_timeout=0`, `entry_timeout=0` and
//! `negative_timeout=0`: by default FUSE keeps attributes and names for a second.

use crate::support::file_service::FileService::Files;
use crate::support::mount::Mount;
use crate::support::{Client, Server, eventually, rooted, skip};
use std::path::Path;

const CLOSE_TO_OPEN: &str = "bindfs -f -o attr_timeout=0,entry_timeout=0,negative_timeout=0";

/// A server and its mount of the shared folder. The mount ends first: until then the kernel may
/// hold the server.
struct Node {
    mount: Mount,
    server: Server,
}

impl Node {
    /// `None`: the test is skipped.
    fn start(test: &str, shared: &Path, name: &str) -> Option<Node> {
        let folder = rooted();
        let at = folder.path().join("root");
        let root = rustix::process::geteuid().is_root();
        let mount = root.then(|| Mount::new(CLOSE_TO_OPEN, shared, &at));
        match mount.unwrap_or_else(|| Err("only root can mount".to_owned())) {
            Ok(mount) => {
                let inside = mount.inside();
                let inside: Vec<&str> = inside.split(' ').collect();
                let server = Server::start_under(&inside, folder, &["--node", name]);
                Some(Node { mount, server })
            }
            Err(reason) => {
                skip(test, &reason);
                None
            }
        }
    }

    fn kill(mut self) {
        self.server.kill();
        drop(self.mount);
    }
}

/// Two nodes of one shared folder.
fn two(test: &str) -> Option<(tempfile::TempDir, [Node; 2])> {
    let shared = tempfile::tempdir().expect("a folder");
    let first = Node::start(test, shared.path(), "a")?;
    let second = Node::start(test, shared.path(), "b")?;
    Some((shared, [first, second]))
}

/// The content of a version: its length and each byte depend on the number.
fn version(number: usize) -> Vec<u8> {
    vec![number as u8; 1 + number * 97 % 30_000]
}

fn is_version(content: &[u8]) -> bool {
    (0..256).any(|number| version(number) == content)
}

fn store(client: &mut Client, name: &str, content: &[u8]) {
    client.send(Files.upload(name, content));
    client.expect("OK\n").expect(Files.stored(content.len()));
}

fn read(client: &mut Client, name: &str) -> Vec<u8> {
    client.send(Files.download(name));
    let line = client.line();
    let length = line
        .trim_end()
        .strip_prefix("OK ")
        .and_then(|length| length.parse().ok());
    let length: usize = length.unwrap_or_else(|| panic!("{line:?}"));
    let mut content = vec![0; length];
    std::io::Read::read_exact(&mut client.0, &mut content).expect("the whole file");
    content
}

fn parts(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let names = names.map(|name| name.into_string().expect("text"));
    names.filter(|name| name.starts_with(".loket-")).collect()
}

#[test]
fn what_one_node_has_stored_the_other_reads_whole() {
    let test = "what_one_node_has_stored_the_other_reads_whole";
    let Some((_shared, nodes)) = two(test) else {
        return;
    };
    let mut clients = nodes.each_ref().map(|node| node.server.connect("files"));
    for number in 0..1_000 {
        let (name, content) = (format!("f{}", number % 7), version(number));
        store(&mut clients[number % 2], &name, &content);
        let got = read(&mut clients[1 - number % 2], &name);
        assert!(got == content, "read {number}: {} bytes", got.len());
    }
}

#[test]
fn uploads_of_one_name_at_two_nodes_give_whole_versions_only() {
    let test = "uploads_of_one_name_at_two_nodes_give_whole_versions_only";
    let Some((shared, nodes)) = two(test) else {
        return;
    };
    let mut first = nodes[0].server.connect("files");
    store(&mut first, "one", &version(0));
    let mut uploads: Vec<Client> = (0..200)
        .map(|number| {
            let content = version(number);
            let mut client = nodes[number % 2].server.connect("files");
            client.send(Files.upload_head("one", content.len()));
            client.send(&content[..content.len() / 2]);
            client
        })
        .collect();
    for (number, client) in uploads.iter_mut().enumerate() {
        let content = version(number);
        client.send(&content[content.len() / 2..]);
        // Not through bindfs: it passes the length of one version with the bytes of another.
        assert!(is_version(
            &std::fs::read(shared.path().join("one")).expect("a file")
        ));
    }
    for (number, client) in uploads.iter_mut().enumerate() {
        client
            .expect("OK\n")
            .expect(Files.stored(version(number).len()));
    }
    let mut readers = nodes.each_ref().map(|node| node.server.connect("files"));
    let [one, other] = readers.each_mut().map(|reader| read(reader, "one"));
    assert!(is_version(&one) && one == other);
    assert_eq!(
        std::fs::read_dir(shared.path()).expect("a folder").count(),
        1
    );
}

#[test]
fn a_file_that_is_replaced_all_the_time_is_never_missing() {
    let test = "a_file_that_is_replaced_all_the_time_is_never_missing";
    let shared = tempfile::tempdir().expect("a folder");
    let Some(node) = Node::start(test, shared.path(), "a") else {
        return;
    };
    let mut writer = node.server.connect("files");
    let mut reader = node.server.connect("files");
    store(&mut writer, "one", &version(0));
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..400 {
                store(&mut writer, "one", &version(number % 256));
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        while !done.load(std::sync::atomic::Ordering::Relaxed) {
            assert!(is_version(&read(&mut reader, "one")));
        }
    });
}

#[test]
fn a_killed_node_leaves_nothing_visible_and_each_node_sweeps_its_own() {
    let test = "a_killed_node_leaves_nothing_visible_and_each_node_sweeps_its_own";
    let Some((shared, [a, b])) = two(test) else {
        return;
    };
    let content = version(100);
    let half = content.len() / 2;
    let mut clients = [&a, &b].map(|node| {
        let mut client = node.server.connect("files");
        client.send(Files.upload_head("new", content.len()));
        client.expect("OK\n").send(&content[..half]);
        client
    });
    let of = |node: &str| {
        let start = format!(".loket-{node}@");
        parts(shared.path())
            .iter()
            .filter(|name| name.starts_with(&start))
            .count()
    };
    eventually("both uploads run", || of("a") == 1 && of("b") == 1);
    a.kill();
    assert_eq!(b.server.ask("files", "ls\n"), "OK 0\n");
    // Another node, and a third one, remove nothing of it.
    let c = Node::start(test, shared.path(), "c").expect("as before");
    c.server.ask("files", "ls\n");
    assert_eq!((of("a"), of("b")), (1, 1));
    let a = Node::start(test, shared.path(), "a").expect("as before");
    eventually("node a has removed what it left", || of("a") == 0);
    assert_eq!(of("b"), 1, "the upload at b runs");
    clients[1].send(&content[half..]);
    clients[1].expect(Files.stored(content.len()));
    assert!(read(&mut a.server.connect("files"), "new") == content);
    eventually("nothing is left", || parts(shared.path()).is_empty());
}

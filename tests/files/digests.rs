//! Digests wait for each other only, and end.

use crate::support::{Client, Server, eventually};
use loket::config::store::STORE;
use loket::session::completions::Completions;
use loket::session::session_id::SessionId;
use loket::store::error::StoreError;
use loket::store::file_store::FileStore;
use loket::store::{FileDigest, Requester, Store, StoreReply, StoreSettings};
use rustix::event::{PollFd, PollFlags};
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

/// A sparse file whose digest takes longer than any test.
const ENDLESS: u64 = 4 << 40;

fn begin(server: &Server) -> Client {
    // Made anew, it would be empty for a moment.
    if !server.root().join("endless").exists() {
        server.sparse("endless", ENDLESS);
    }
    let mut client = server.connect("files");
    client.send("sum endless\n");
    client
}

#[test]
fn only_some_digests_of_a_device_wait_at_a_time() {
    let server = Server::start(&[]);
    let most = STORE.workers.digests + 1;
    let mut clients: Vec<Client> = (0..most + 9).map(|_| begin(&server)).collect();
    let is_refused = |client: &mut Client| {
        let is_refused = has_answer(client);
        if is_refused {
            client.expect("ERROR too much is open at this moment; try again later\n");
        }
        is_refused
    };
    eventually("the most are computed", || {
        // The one that is computed may count twice.
        clients.extract_if(.., is_refused).count();
        if clients.len() < most {
            clients.push(begin(&server));
        }
        // Until then, one more may be refused.
        server.settle();
        clients.extract_if(.., is_refused).count();
        clients.len() == most
    });
    // Other requests of the same device do not wait, and an answer without its digest is one.
    server.put("small", "small");
    assert_eq!(server.ask("files", "size small\n"), "OK 5 0.00 MB\n");
    let wants = "HEAD /small HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                 Want-Repr-Digest: sha-256=1\r\n\r\n";
    let answer = server.ask("http", wants);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(!answer.contains("Repr-Digest"), "{answer}");
}

#[test]
fn a_digest_that_is_not_sent_is_not_computed() {
    let server = Server::start(&[]);
    server.sparse("endless", ENDLESS);
    for (condition, status) in [
        ("If-None-Match: *", "304"),
        ("If-Match: \"x\"", "412"),
        (&format!("Range: bytes={ENDLESS}-"), "416"),
    ] {
        let request = format!(
            "GET /endless HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Want-Repr-Digest: sha-256=1\r\n{condition}\r\n\r\n"
        );
        let answer = server.ask("http", request);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        assert!(!answer.contains("Repr-Digest"), "{answer}");
    }
}

fn has_answer(client: &Client) -> bool {
    let mut asked = [PollFd::new(&client.0, PollFlags::IN)];
    let now = Duration::ZERO.try_into().expect("seconds");
    rustix::event::poll(&mut asked, Some(&now)) == Ok(1)
}

#[test]
fn a_reset_ends_a_digest() {
    let server = Server::start(&[]);
    for unread in ["", "ls\n"] {
        let before = server.descriptors();
        let mut client = begin(&server);
        let both = before + 2;
        eventually("the file is open", || server.descriptors() == both);
        // With input that is not read, the connection stays for two seconds.
        client.send(unread);
        client.reset();
        eventually("both are closed", || server.descriptors() == before);
        server.rests(300);
    }
}

fn store(root: &Path, settings: StoreSettings) -> FileStore {
    std::fs::write(root.join("a"), [7; 4]).expect("room");
    FileStore::open(root, settings).expect("a store")
}

fn digest(store: &FileStore) -> StoreReply<FileDigest> {
    let client = Requester {
        session: SessionId(1),
        address: [127, 0, 0, 1].into(),
        reads: 0,
    };
    store.digest("a", None, client)
}

#[test]
fn a_digest_is_given_up_after_a_while() {
    let folder = tempfile::tempdir().expect("a folder");
    let digest_time = Duration::ZERO;
    let store = store(
        folder.path(),
        StoreSettings {
            digest_time,
            ..STORE
        },
    );
    let done = digest(&store).take().ok().expect("it is done at once");
    assert!(matches!(done, Err(StoreError::TooSlow(_))), "{done:?}");
}

#[test]
fn the_digest_of_a_file_that_is_changed_meanwhile_is_refused() {
    for length in [0, 4] {
        let folder = tempfile::tempdir().expect("a folder");
        let digest_step = 1;
        let store = store(
            folder.path(),
            StoreSettings {
                digest_step,
                ..STORE
            },
        );
        let ((begun, is_begun), (go_on, may_go_on)) = (mpsc::channel(), mpsc::channel::<()>());
        let may_go_on = std::sync::Mutex::new(may_go_on);
        // After the first piece, the thread waits.
        store.start_workers(Completions::new(move || {
            let _ = begun.send(());
            let _ = may_go_on.lock().expect("one thread").recv();
        }));
        let mut reply = digest(&store);
        is_begun.recv().expect("a piece");
        std::fs::write(folder.path().join("a"), &[8; 4][..length]).expect("room");
        drop(go_on);
        let done = loop {
            match reply.take() {
                Ok(done) => break done,
                Err(later) => reply = later,
            }
            std::thread::yield_now();
        };
        assert!(matches!(done, Err(StoreError::Changed)), "{done:?}");
    }
}

//! Many clients list a large folder at once, and slow readers do not delay the others.
//! The content of lists is tested in `files.rs`, their size in `sizes.rs`.

use crate::support::{BOTH_WAYS, CREATED, Client, REMOVED, Server, eventually};
use loket::config::store::STORE;
use loket::session::blob::{Blob, Readable};
use loket::session::session_id::SessionId;
use loket::store::file_store::FileStore;
use loket::store::{Content, ListStyle, ListingLimits, Requester, Store, StoreSettings};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

/// Creates files with names of 100 bytes; returns their list.
fn fill(folder: &Path, entries: usize) -> String {
    std::fs::create_dir_all(folder).expect("a folder");
    let names: Vec<String> = (0..entries).map(|entry| format!("{entry:0100}")).collect();
    for name in &names {
        File::create(folder.join(name)).expect("room");
    }
    names.join("\n") + "\n"
}

#[test]
fn two_hundred_clients_get_the_list_of_a_large_folder_while_100_do_not_read() {
    for way in BOTH_WAYS {
        let server = Server::start(way);
        let list = fill(&server.root().join("large"), 5_000);
        let ask = |_| {
            let mut client = server.connect("files");
            client.send("ls large\n");
            client
        };
        let deaf: Vec<Client> = (0..100).map(ask).collect();
        let readers: Vec<Client> = (0..200).map(ask).collect();
        let answer = format!("OK {}\n{list}", list.len());
        for (number, mut reader) in readers.into_iter().enumerate() {
            let head = reader.line();
            assert!(head.starts_with("OK "), "reader {number}: {head}");
            reader.expect(&list);
        }
        // They get the complete list when they read again.
        for mut reader in deaf {
            reader.expect(&answer);
        }
    }
}

#[test]
fn a_small_folder_is_listed_while_the_list_of_a_large_one_is_built() {
    let server = Server::start(&[]);
    fill(&server.root().join("large"), 8_000);
    fill(&server.root().join("small"), 1);
    let mut clients: Vec<_> = (0..20).map(|_| server.connect("files")).collect();
    for client in &mut clients {
        client.send("ls large\n");
        server
            .connect("files")
            .send("ls small\n")
            .expect("OK 101\n");
    }
    for client in &mut clients {
        client.expect("OK 808000\n");
    }
}

#[test]
fn a_list_has_every_change_that_was_confirmed_before_the_request() {
    for entries in [3, 2_000] {
        let server = Server::start(&[]);
        let mut list = fill(&server.root(), entries);
        // A list that is still being read must not be shared after a change.
        let mut readers: Vec<Client> = Vec::new();
        let mut client = server.connect("files");
        for round in 0..20 {
            let name = format!("{:0>100}", format!("{:09}", 900_000_000 + round));
            match round % 4 {
                0 => File::create(server.root().join(&name))
                    .map(drop)
                    .expect("room"),
                _ => drop(client.send(format!("upload {name} 0\n")).expect(CREATED)),
            }
            list += &format!("{name}\n");
            let answer = format!("OK {}\n{list}", list.len());
            let mut reader = server.connect("files");
            reader.send("ls\n").expect(&answer[..10]);
            client.send("ls\n").expect(&answer);
            reader.expect(&answer[10..]);
            reader.send("ls\n");
            readers.push(reader);
        }
        let removed = list.split_off(list.len() - 101);
        let removed = removed.trim_end();
        client.send(format!("rm {removed}\n")).expect(REMOVED);
        let answer = format!("OK {}\n{list}", list.len());
        client.send("ls\n").expect(&answer);
    }
}

fn store(root: &Path, listing: ListingLimits) -> FileStore {
    let settings = StoreSettings {
        read_only: true,
        largest: 0,
        quota: STORE.quota,
        sync: false,
        workers: STORE.workers,
        buffers: STORE.buffers,
        pieces: STORE.pieces,
        stage: STORE.stage,
        backlog: STORE.backlog,
        inline_limit: 0,
        large: u64::MAX,
        copy_step: 1,
        digest_step: 1 << 20,
        reopens: 16,
        digest_time: Duration::MAX,
        listing,
    };
    FileStore::open(root, settings).expect("a store")
}

fn list(store: &FileStore) -> Content {
    let client = Requester {
        session: SessionId(1),
        address: [127, 0, 0, 1].into(),
        reads: 0,
    };
    match store.list(None, ListStyle::Names, client).take() {
        Ok(made) => made.expect("a list"),
        Err(_) => panic!("without helper threads the result is ready at once"),
    }
}

fn file(list: &Rc<dyn Blob>) -> i32 {
    match list.readable(0..1) {
        Ok(Readable::File(file, _)) => file.as_raw_fd(),
        _ => panic!("it is large"),
    }
}

fn read(list: &Rc<dyn Blob>, at: u64, length: u64) -> Vec<u8> {
    let Ok(Readable::File(file, _)) = list.readable(at..at + length) else {
        panic!("it is large")
    };
    let mut text = vec![0; length as usize];
    let count = rustix::io::pread(file, &mut text, at).expect("a memory file");
    text.truncate(count);
    text
}

#[test]
fn readers_share_one_list_until_the_folder_changes() {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = fill(folder.path(), 1_000);
    let store = store(folder.path(), STORE.listing);
    // Two changes within one clock tick have the same timestamp.
    let settled = || {
        eventually("the folder has settled", || {
            let changed = std::fs::metadata(folder.path()).expect("it").modified();
            let age = changed.expect("a time").elapsed();
            age.is_ok_and(|age| age > 2 * STORE.listing.tick)
        });
    };
    settled();
    let (first, length) = list(&store);
    let (second, _) = list(&store);
    assert_eq!(length, whole.len() as u64);
    assert_eq!(file(&first), file(&second));
    File::create(folder.path().join("new")).expect("room");
    let (third, longer) = list(&store);
    assert_ne!(file(&first), file(&third));
    assert_eq!(longer, length + 4);
    settled();
    let (fourth, _) = list(&store);
    let (fifth, _) = list(&store);
    assert_eq!(file(&fourth), file(&fifth));
    // An old list does not change while it is read.
    assert_eq!(read(&first, 0, length), whole.as_bytes());
}

#[test]
fn the_oldest_list_is_revoked_when_lists_use_too_much_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let length = fill(folder.path(), 1_000).len() as u64;
    let limits = ListingLimits {
        memory: 3 * length + 1_000,
        tick: Duration::MAX / 4,
        ..STORE.listing
    };
    let store = store(folder.path(), limits);
    let lists: Vec<_> = (0..5).map(|_| list(&store)).collect();
    let is_whole = |(list, length): &Content| read(list, length - 1, 1).len() == 1;
    let whole: Vec<bool> = lists.iter().map(is_whole).collect();
    assert_eq!(whole, [false, false, true, true, true]);
    drop(lists);
    assert!((0..3).map(|_| list(&store)).all(|list| is_whole(&list)));
}

/// Requests that were received before the file was found are answered without looking it up again.
#[test]
fn a_file_is_looked_up_for_each_request_that_may_follow_a_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = store(folder.path(), STORE.listing);
    let length = |reads| {
        let (session, address) = (SessionId(1), [127, 0, 0, 1].into());
        let client = Requester {
            session,
            address,
            reads,
        };
        let opened = store.open("name", client).take().ok();
        let opened = opened.expect("without helper threads the result is ready at once");
        opened.map(|file| file.version.length).ok()
    };
    let replace = |text: &str| {
        std::fs::write(folder.path().join("new"), text).expect("room");
        let [new, name] = ["new", "name"].map(|name| folder.path().join(name));
        std::fs::rename(new, name).expect("renamed");
    };
    replace("1");
    assert_eq!([1, 1, 1].map(length), [Some(1); 3]);
    replace("22");
    assert_eq!(length(1), Some(1), "requested before the change");
    assert_eq!([2, 2].map(length), [Some(2); 2], "requested later");
    replace("333");
    store.end_round();
    assert_eq!([2, 2].map(length), [Some(3); 2], "in another round");
    std::fs::remove_file(folder.path().join("name")).expect("removed");
    assert_eq!([2, 3].map(length), [Some(3), None]);
}

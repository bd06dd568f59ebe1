//! Extreme sizes work: 5 GiB, 300 MB, and folders of 100,000 entries.

use crate::support;
use crate::support::{BOTH_WAYS, Client, Server, noise, roomy_folder};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const GIB: u64 = 1 << 30;

/// Data at odd places of a file that is otherwise a hole.
const MARKS: [(u64, &[u8]); 5] = [
    (0, b"the beginning"),
    (65_535, b"across a buffer"),
    (4 * GIB - 3, b"across 32 bits"),
    (4 * GIB + 1_000_003, b"beyond 32 bits"),
    (5 * GIB - 7, b"the end"),
];

/// A server with a sparse file of 5 GiB.
fn sparse(flags: &[&str]) -> Server {
    let folder = roomy_folder(GIB);
    std::fs::create_dir(folder.path().join("root")).expect("a root");
    let file = File::create(folder.path().join("root/sparse")).expect("room");
    file.set_len(5 * GIB).expect("a sparse file");
    for (at, mark) in MARKS {
        file.write_all_at(mark, at).expect("room");
    }
    Server::start_in(folder, flags)
}

/// Reads a file from `offset` on, and checks its length and the marks in it.
fn check_marks(client: &mut Client, offset: u64) {
    let mut at = offset;
    let mut buffer = vec![0; 4 << 20];
    while at < 5 * GIB {
        let most = buffer
            .len()
            .min(usize::try_from(5 * GIB - at).expect("it fits"));
        client
            .0
            .read_exact(&mut buffer[..most])
            .expect("more of the file");
        let window = at..at + most as u64;
        for (start, mark) in MARKS {
            for (number, byte) in mark.iter().enumerate() {
                let place = start + number as u64;
                if window.contains(&place) {
                    let here = usize::try_from(place - at).expect("it fits");
                    assert_eq!(buffer[here], *byte, "at {place}");
                }
            }
        }
        at = window.end;
    }
}

#[test]
fn a_file_of_5_gib_is_sent_whole() {
    let server = sparse(&[]);
    let mut client = server.connect("files");
    client
        .send("size sparse\n")
        .expect("OK 5368709120 5120.00 MB\n");
    client.send("download sparse\n").expect("OK 5368709120\n");
    check_marks(&mut client, 0);
    client.send("byebye\n").expect("OK\n");
    assert_eq!(client.rest(), b"");
}

#[test]
fn a_file_of_5_gib_is_sent_from_any_offset() {
    for way in BOTH_WAYS {
        let server = sparse(way);
        let mut client = server.connect("files");
        for offset in [5 * GIB - 7, 4 * GIB + 999_999_999, 5 * GIB] {
            client.send(format!("download sparse {offset}\n"));
            client.expect(format!("OK {}\n", 5 * GIB - offset));
            check_marks(&mut client, offset);
        }
        client
            .send("download sparse 5368709121\n")
            .expect("ERROR the file has only 5368709120 bytes\n");
    }
}

#[test]
fn a_file_of_300_mb_is_stored_whole() {
    for way in BOTH_WAYS {
        let folder = roomy_folder(GIB);
        std::fs::create_dir(folder.path().join("root")).expect("a root");
        let server = Server::start_in(folder, way);
        let piece = noise(3_000_000);
        let mut client = server.connect("transfer");
        client.send("SEND\nx\nx<SEPARATOR>300000000\n");
        for _ in 0..100 {
            client.send(&piece);
        }
        client.expect("OK\nOK 300000000\n");
        let mut stored = File::open(server.root().join("x")).expect("stored");
        let mut read = vec![0; piece.len()];
        for _ in 0..100 {
            stored.read_exact(&mut read).expect("whole");
            assert!(read == piece);
        }
        assert_eq!(stored.read(&mut read).expect("readable"), 0);
    }
}

#[test]
fn a_listing_of_100_000_entries_is_complete_sorted_and_blocks_no_client() {
    const ENTRIES: usize = 100_000;
    let folder = roomy_folder(GIB);
    std::fs::create_dir_all(folder.path().join("root/many")).expect("a root");
    let names: Vec<String> = (0..ENTRIES)
        .map(|number| format!("entry {number:06}"))
        .collect();
    for name in &names {
        File::create(folder.path().join("root/many").join(name)).expect("room");
    }
    let server = Server::start_in(folder, &[]);
    let done = Arc::new(AtomicBool::new(false));
    let trips = Arc::new(AtomicUsize::new(0));
    let mut echo = server.connect("echo");
    let talking = std::thread::spawn({
        let (done, trips) = (done.clone(), trips.clone());
        move || {
            while !done.load(Ordering::Relaxed) {
                echo.send("still here?").expect("still here?");
                trips.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    support::eventually("the echo client talks", || {
        trips.load(Ordering::Relaxed) > 0
    });
    let listing = names.join("\n") + "\n";
    let mut client = server.connect("files");
    let before = trips.load(Ordering::Relaxed);
    client
        .send("ls many\n")
        .expect(format!("OK {}\n", listing.len()))
        .expect(listing);
    let during = trips.load(Ordering::Relaxed) - before;
    done.store(true, Ordering::Relaxed);
    talking.join().expect("every echo came back");
    assert!(during >= 50, "only {during} round trips beside the listing");
    println!("{during} round trips beside the listing");
    let bare = names.join("\n");
    server.connect("files").send("ls many").expect(bare);
}

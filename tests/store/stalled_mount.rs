//! While a mount below the root answers nothing, only the clients that asked for its files wait.

use crate::support::file_service::FILE_SERVICES;
use crate::support::file_service::FileService::{self, Files, Transfer};
use crate::support::stalled::Stalled;
use crate::support::{
    BOTH_WAYS, CREATED, Client, NO_FILE, REMOVED, eventually, noise, rooted, skip,
};
use loket::config::store::STORE;
use rustix::event::{PollFd, PollFlags};
use rustix::process::Signal;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

/// More than the socket buffers of both ends and the buffers of the server hold.
const BODY: usize = 24 << 20;

/// The answer to the body of an upload.
const STORED: &str = "OK File Berhasil Dibuat\n";

/// The name of the loop's thread; every other one is a worker.
const LOOP: &str = "loket";

/// Stops the mount during `work`, which needs it, and checks that others are served meanwhile.
fn during(stalled: &mut Stalled, work: impl FnOnce() + Send) {
    stalled.stop();
    std::thread::scope(|scope| {
        let work = scope.spawn(work);
        stalled.waits();
        stalled.serves_others();
        assert!(!work.is_finished(), "it did not need the mount");
        stalled.resume();
    });
}

#[test]
fn a_download_from_a_stopped_mount_delays_only_its_client() {
    let data = noise(BODY);
    for (way, service) in each() {
        let test = "a_download_from_a_stopped_mount_delays_only_its_client";
        let Some(mut stalled) = Stalled::root(test, way) else {
            return;
        };
        std::fs::write(stalled.behind("big"), &data).expect("room");
        let mut client = stalled.connect(service.name());
        client
            .send(service.download("big"))
            .expect(service.announced("big", BODY))
            .expect(&data[..1000]);
        during(&mut stalled, || {
            client.expect(&data[1000..]);
        });
    }
}

fn each() -> impl Iterator<Item = (&'static [&'static str], FileService)> {
    let ways = BOTH_WAYS.into_iter();
    ways.flat_map(|way| FILE_SERVICES.map(|service| (way, service)))
}

#[test]
fn an_upload_to_a_stopped_mount_delays_only_its_client() {
    let data = noise(BODY);
    for (way, service) in each() {
        let test = "an_upload_to_a_stopped_mount_delays_only_its_client";
        let Some(mut stalled) = Stalled::root(test, way) else {
            return;
        };
        let mut client = stalled.begin(service, "sized", &data[..BODY / 2], BODY);
        during(&mut stalled, || {
            client.send(&data[BODY / 2..]).expect(service.stored(BODY));
        });
        let mut client = stalled.connect(service.name());
        match service {
            Files => client.send("upload bare"),
            Transfer => {
                client.send("SEND").expect("OK");
                client.send(format!("barebare<SEPARATOR>{BODY}"))
            }
        };
        stalled.settle();
        client.send(&data[..BODY / 2]);
        let mut answer = String::new();
        during(&mut stalled, || {
            answer = client.send(&data[BODY / 2..]).finish().text();
        });
        assert!(!answer.contains("ERROR"), "{answer}");
        for name in ["sized", "bare"] {
            let stored = std::fs::read(stalled.behind(name)).expect("stored");
            assert!(stored == data, "{service:?}: {name} differs");
        }
    }
}

#[test]
fn a_stopped_mount_below_the_root_does_not_delay_the_start() {
    let test = "a_stopped_mount_below_the_root_does_not_delay_the_start";
    let folder = rooted();
    let (here, far) = (folder.path().join("root"), folder.path().join("behind"));
    std::fs::create_dir(&far).expect("a folder");
    let left = [&here, &far].map(|folder| folder.join(".loket-1-1.part"));
    for path in &left {
        std::fs::write(path, "left by a crash").expect("room");
    }
    let Some(mut stalled) = Stalled::stopped(test, folder) else {
        return;
    };
    eventually("the local one is removed", || !left[0].exists());
    stalled.waits();
    stalled.serves_others();
    let answer = stalled.ask("files", "upload new 3\nnew");
    assert_eq!(answer, CREATED);
    assert!(left[1].exists());
    stalled.resume();
    eventually("the other one is removed", || !left[1].exists());
}

/// Requests of the files service and their answers, with the files of [`with_files`].
#[rustfmt::skip] // a table
const REQUESTS: [(&str, &str); 11] = [
    ("ls\n", "OK 16\na\nb\nc\ndir/\nlast\n"),
    ("ls dir\n", "OK 2\nx\n"),
    ("size a\n", "OK 6 0.00 MB\n"),
    ("download b\n", "OK 6\ninside"),
    ("size dir/none\n", NO_FILE),
    ("sum b\n", "OK 106b086224a4d945eae25f7be3805a931a873270326dd868b0e41f71ee9fff72\n"),
    ("mkdir made\n", "OK the folder is made\n"),
    ("mv last made/first\n", "OK the name is changed\n"),
    ("rm c\n", REMOVED),
    ("upload new 3\nnew", CREATED),
    ("upload dir/x 3\nnew", CREATED),
];

fn with_files(stalled: &Stalled) {
    std::fs::create_dir(stalled.behind("dir")).expect("a folder");
    for name in ["a", "b", "c", "last", "dir/x"] {
        std::fs::write(stalled.behind(name), "inside").expect("room");
    }
}

#[test]
fn a_request_to_a_stopped_mount_delays_only_its_client() {
    let test = "a_request_to_a_stopped_mount_delays_only_its_client";
    for start in [Stalled::root, Stalled::cached] {
        let Some(mut stalled) = start(test, &[]) else {
            return;
        };
        with_files(&stalled);
        for (request, answer) in REQUESTS {
            let mut client = stalled.connect("files");
            during(&mut stalled, || {
                client.send(request).expect(answer);
            });
        }
    }
}

#[test]
fn a_new_name_on_another_file_system_is_refused_with_what_to_do() {
    let test = "a_new_name_on_another_file_system_is_refused_with_what_to_do";
    let Some(stalled) = Stalled::beside(test, &[]) else {
        return;
    };
    stalled.put("near", "near");
    std::fs::write(stalled.behind("behind"), "far").expect("room");
    let why = "the new name is on another file system; download it, upload it there, and then \
               remove it here";
    for (old, new) in [("near", "far/new"), ("far/behind", "new")] {
        let answer = stalled.ask("files", format!("mv {old} {new}\n"));
        assert_eq!(answer, format!("ERROR {why}\n"));
        let request = format!("MOVE /{old} HTTP/1.1\r\nHost: localhost\r\nDestination: /{new}\r\n");
        let answer = stalled.ask("http", request + "Connection: close\r\n\r\n");
        assert!(
            answer.starts_with("HTTP/1.1 502 Bad Gateway\r\n"),
            "{answer}"
        );
        assert!(answer.ends_with(&format!("{why}\n")), "{answer}");
    }
}

#[test]
fn a_commit_to_a_stopped_mount_delays_only_its_client() {
    let test = "a_commit_to_a_stopped_mount_delays_only_its_client";
    for (way, service) in each() {
        let Some(mut stalled) = Stalled::root(test, way) else {
            return;
        };
        let data = noise(1 << 20);
        let (last, most) = data.split_last().expect("bytes");
        let mut client = stalled.begin(service, "x", most, data.len());
        during(&mut stalled, || {
            client.send([*last]).expect(service.stored(data.len()));
        });
        assert!(std::fs::read(stalled.behind("x")).expect("stored") == data);
    }
}

#[test]
fn an_idle_server_does_not_wait_for_a_stopped_root() {
    let test = "an_idle_server_does_not_wait_for_a_stopped_root";
    let Some(mut stalled) = Stalled::root(test, &[]) else {
        return;
    };
    stalled.stop();
    // Whether the root is at its path is checked once a second.
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(2500) {
        stalled.serves_others();
    }
    stalled.resume();
}

#[test]
fn the_size_of_a_cached_name_needs_no_answer_of_its_mount() {
    let test = "the_size_of_a_cached_name_needs_no_answer_of_its_mount";
    let Some(mut stalled) = Stalled::cached(test, &[]) else {
        return;
    };
    with_files(&stalled);
    let mut client = stalled.connect("files");
    client.send("size dir/x\n").expect("OK 6 0.00 MB\n");
    stalled.stop();
    client.send("size dir/x\n").expect("OK 6 0.00 MB\n");
    stalled.serves_others();
    stalled.resume();
}

#[test]
fn a_stopped_mount_keeps_few_threads_of_each_kind() {
    let test = "a_stopped_mount_keeps_few_threads_of_each_kind";
    let data = noise(BODY);
    let Some(mut stalled) = Stalled::root(test, &[]) else {
        return;
    };
    with_files(&stalled);
    std::fs::write(stalled.behind("big"), &data).expect("room");
    let start = |number| begin(&stalled, number, &data);
    let mut clients: Vec<Client> = (0..20).map(start).collect();
    stalled.stop();
    std::thread::scope(|scope| {
        for (number, client) in clients.iter_mut().enumerate() {
            let data = &data;
            scope.spawn(move || complete(client, number, data));
        }
        stalled.waits();
        for _ in 0..20 {
            stalled.serves_others();
            // One, or more if the mount was slow before it stopped.
            let most = STORE.workers.threads_of_lane;
            for kind in stalled.stuck() {
                assert_ne!(kind, LOOP);
                let same = stalled.stuck().into_iter().filter(|other| *other == kind);
                assert!(same.count() <= most, "{:?}", stalled.stuck());
            }
        }
        stalled.resume();
    });
    for number in (1..20).step_by(4) {
        let stored = std::fs::read(stalled.behind(&format!("big{number}"))).expect("stored");
        assert!(stored == data, "big{number} differs");
    }
}

/// The first half of a download, an upload, a list or a look-up.
fn begin(stalled: &Stalled, number: usize, data: &[u8]) -> Client {
    if number % 4 == 1 {
        let name = format!("big{number}");
        return stalled.begin(Files, &name, &data[..BODY / 2], BODY);
    }
    let mut client = stalled.connect("files");
    if number.is_multiple_of(4) {
        client.send("download big\n");
        client.expect(format!("OK {BODY}\n")).expect(&data[..1000]);
    }
    client
}

fn complete(client: &mut Client, number: usize, data: &[u8]) {
    match number % 4 {
        0 => client.expect(&data[1000..]),
        1 => client.send(&data[BODY / 2..]).expect(STORED),
        2 => client.send("ls dir\n").expect("OK 2\nx\n"),
        _ => client.send("size a\n").expect("OK 6 0.00 MB\n"),
    };
}

#[test]
fn local_files_are_served_beside_a_stopped_mount() {
    let test = "local_files_are_served_beside_a_stopped_mount";
    let data = noise(BODY);
    let Some(mut stalled) = Stalled::beside(test, &[]) else {
        return;
    };
    std::fs::write(stalled.behind("big"), &data).expect("room");
    stalled.put("local", "near");
    let mut download = stalled.connect("files");
    download
        .send("download far/big\n")
        .expect(format!("OK {BODY}\n"));
    let mut upload = stalled.begin(Files, "far/up", &data[..BODY / 2], BODY);
    let far = [
        "ls far\n",
        "size far/none\n",
        "rm far/big\n",
        "upload far/new 3\nnew",
    ];
    let mut far = far.map(|request| (stalled.connect("files"), request));
    stalled.stop();
    std::thread::scope(|scope| {
        scope.spawn(|| download.expect(&data));
        scope.spawn(|| upload.send(&data[BODY / 2..]).expect(STORED));
        for (client, request) in &mut far {
            client.send(&request);
        }
        stalled.waits();
        stalled.serves_others();
        for number in 0..10 {
            let mut near = stalled.connect("files");
            near.send("size local\n").expect("OK 4 0.00 MB\n");
            near.send("download local\n").expect("OK 4\nnear");
            near.send(format!("upload new{number} 3\nnew"))
                .expect(CREATED);
            near.send("ls\n").expect(format!("OK {}\nfar/\n", 16));
            near.expect(format!("local\nnew{number}\n"));
            near.send(format!("rm new{number}\n")).expect(REMOVED);
        }
        let mut large = stalled.connect("transfer");
        large.send(Transfer.upload("large", &data));
        large.expect("OK\n").expect(Transfer.stored(BODY));
        large.send("RECEIVE\nlarge\n");
        large
            .expect(Transfer.announced("large", BODY))
            .expect(&data);
        stalled.resume();
    });
    let answers = far.each_mut().map(|(client, _)| client.line());
    assert_eq!(answers[1..], [NO_FILE, REMOVED, "OK\n"]);
    assert!(std::fs::read(stalled.behind("up")).expect("stored") == data);
}

#[test]
fn clients_that_reset_while_a_mount_is_stopped_lose_their_places() {
    let test = "clients_that_reset_while_a_mount_is_stopped_lose_their_places";
    let data = noise(BODY);
    let Some(mut stalled) = Stalled::root(test, &[]) else {
        return;
    };
    with_files(&stalled);
    std::fs::write(stalled.behind("big"), &data).expect("room");
    let before = stalled.sockets();
    let mut clients: Vec<Client> = (0..8)
        .map(|number| begin(&stalled, number, &data))
        .collect();
    stalled.stop();
    let mut first = stalled.connect("files");
    first.send("size a\n");
    stalled.waits();
    for (request, _) in REQUESTS.iter().cycle().take(100) {
        let mut client = stalled.connect("files");
        client.send(request);
        clients.push(client);
    }
    let all = before + 1 + clients.len();
    eventually("all are accepted", || stalled.sockets() == all);
    // A client that only closes may still read; its connection waits for a deadline.
    clients.into_iter().for_each(Client::reset);
    eventually("all are closed", || stalled.sockets() == before + 1);
    stalled.serves_others();
    stalled.resume();
    first.expect("OK 6 0.00 MB\n");
    let mut client = stalled.connect("files");
    client.send("size b\n").expect("OK 6 0.00 MB\n");
}

#[test]
fn the_number_of_requests_that_wait_for_a_stopped_mount_is_limited() {
    let test = "the_number_of_requests_that_wait_for_a_stopped_mount_is_limited";
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let most = STORE.workers.waiting;
    if limit
        .current
        .is_some_and(|current| current < 2 * most as u64 + 200)
    {
        skip(test, "too few descriptors");
        return;
    }
    let Some(mut stalled) = Stalled::root(test, &[]) else {
        return;
    };
    stalled.stop();
    let mut clients: Vec<Client> = (0..2 * most).map(|_| stalled.connect("files")).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(format!("size none{number}\n"));
    }
    // One is with each thread, the others are in the lane.
    let refused = most - STORE.workers.threads_of_lane;
    eventually("some are refused", || {
        clients.iter().filter(|client| has_answer(client)).count() >= refused
    });
    stalled.serves_others();
    stalled.resume();
    let mut missing = 0;
    for client in &mut clients {
        let answer = client.line();
        missing += usize::from(answer == NO_FILE);
        let is_known = answer == NO_FILE || answer.contains("does not answer");
        assert!(is_known, "{answer}");
    }
    assert!(missing >= most, "only {missing} requests were kept");
}

fn has_answer(client: &Client) -> bool {
    let mut asked = [PollFd::new(&client.0, PollFlags::IN)];
    let now = Duration::ZERO.try_into().expect("seconds");
    rustix::event::poll(&mut asked, Some(&now)) == Ok(1)
}

#[test]
fn a_second_signal_ends_the_server_while_its_mount_is_stopped() {
    let test = "a_second_signal_ends_the_server_while_its_mount_is_stopped";
    let data = noise(BODY);
    for (number, closes) in [
        (0, true),
        (0, false),
        (1, true),
        (1, false),
        (2, true),
        (3, true),
    ] {
        let Some(mut stalled) = Stalled::root(test, &[]) else {
            return;
        };
        with_files(&stalled);
        std::fs::write(stalled.behind("big"), &data).expect("room");
        if closes {
            // From the first answer to FLUSH the kernel knows that bindfs has no use for it.
            let before = stalled.descriptors();
            let asked = stalled.ask("files", "download a\n");
            assert_eq!(asked, "OK 6\ninside");
            eventually("it is closed", || stalled.descriptors() <= before);
        }
        let mut client = begin(&stalled, number, &data);
        stalled.stop();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let requests = [&b""[..], &data[BODY / 2..], b"ls dir\n", b"size b\n"];
                let _ = client.0.write_all(requests[number]);
                let _ = client.0.read_to_end(&mut Vec::new());
            });
            stalled.waits();
            stalled.signal(Signal::TERM);
            eventually("no more connections", || {
                std::net::TcpStream::connect(stalled.address("echo")).is_err()
            });
            stalled.signal(Signal::TERM);
        });
        eventually("its sockets are closed", || {
            std::net::UdpSocket::bind(stalled.address("room")).is_ok()
        });
        if !closes {
            // The kernel asks the mount before it closes the file of a process that exits, and
            // SIGKILL does not end this: the server ends once the mount answers.
            stalled.resume();
        }
        assert_eq!(stalled.wait().code(), Some(0));
    }
}

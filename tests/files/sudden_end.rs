//! A peer may end, reset, interrupt or flood its connection anywhere without effect on others.

use crate::support::target::Target;
use crate::support::{BOTH_WAYS, CREATED, NO_FILE, REMOVED, eventually, noise, pause};
use std::io::{Read, Write};
use std::net::Shutdown;

const FILES: &str = "files";
const TRANSFER: &str = "transfer";
const NOT_FOUND: &str = "OK\nERROR: File not found\n";

/// Conversations that change no file unless they are complete.
const CONVERSATIONS: [(&str, &[&str]); 9] = [
    (
        FILES,
        &["ls\nsize a\nrm zz\ndownload a 2\nls dir\nbyebye\n"],
    ),
    (FILES, &["ls\nupload u 9\nnine\0byte"]),
    (FILES, &["ls", "\nupload u 9\nnine\0byte"]),
    (FILES, &["download a"]),
    (TRANSFER, &["SEND\nu\nu<SEPARATOR>9\nnine\0byte"]),
    (TRANSFER, &["RECEIVE\na\nRECEIVE\nzz\nRECEIVE\nempty\n"]),
    (TRANSFER, &["SEND", "uu<SEPARATOR>9nine\0byte"]),
    (TRANSFER, &["SEND", "u", "u<SEPARATOR>912345678"]),
    (TRANSFER, &["RECEIVE", "a"]),
];

/// How a peer can disconnect.
#[derive(Clone, Copy)]
enum Going {
    Closes,
    EndsItsStream,
    Resets,
}

#[test]
fn a_peer_may_disconnect_at_every_byte_of_every_conversation() {
    for way in BOTH_WAYS {
        let target = Target::start(way);
        for (service, steps) in CONVERSATIONS {
            let length: usize = steps.iter().map(|step| step.len()).sum();
            std::thread::scope(|scope| {
                for cut in 0..length {
                    for going in [Going::Closes, Going::EndsItsStream, Going::Resets] {
                        let target = &target;
                        scope.spawn(move || go_at(target, service, steps, cut, going));
                    }
                }
            });
        }
        target.is_as_it_was();
    }
}

fn go_at(target: &Target, service: &str, steps: &[&str], mut cut: usize, going: Going) {
    let mut client = target.connect(service);
    for (number, step) in steps.iter().enumerate() {
        if number > 0 && cut > 0 {
            pause();
        }
        let count = cut.min(step.len());
        client.send(&step.as_bytes()[..count]);
        cut -= count;
    }
    match going {
        Going::Closes => {}
        Going::Resets => client.reset(),
        Going::EndsItsStream => {
            let answer = String::from_utf8_lossy(&client.finish().rest()).into_owned();
            assert!(
                answer.matches("ERROR").count() <= 2,
                "{steps:?} at {cut}: {answer:?}"
            );
        }
    }
}

#[test]
fn an_end_of_stream_in_one_packet_with_the_last_bytes_is_seen() {
    let target = Target::start(&[]);
    for (service, sent, reply) in [
        ("echo", "last words", "last words"),
        (FILES, "size a\n", "OK 6 0.00 MB\n"),
        (FILES, "size a", "0.00 MB"),
        (FILES, "download a\n", "OK 6\ninside"),
        (FILES, "download a", "inside"),
        (FILES, "rm zz\n", NO_FILE),
        (FILES, "byebye\n", "OK\n"),
        (
            FILES,
            "siz",
            "ERROR the connection ended in the middle; nothing was done\n",
        ),
        (
            FILES,
            "upload u 3\nab",
            "OK\nERROR only 2 of 3 bytes came; nothing is stored\n",
        ),
        (TRANSFER, "RECEIVE\na\n", "OK\na<SEPARATOR>6\ninside"),
        (TRANSFER, "RECEIVE\nzz\n", NOT_FOUND),
        (TRANSFER, "", ""),
    ] {
        for _ in 0..5 {
            let mut client = target.connect(service);
            rustix::net::sockopt::set_tcp_cork(&client.0, true).expect("an option");
            client.send(sent);
            client.0.shutdown(Shutdown::Write).expect("a half-close");
            assert_eq!(String::from_utf8_lossy(&client.rest()), reply, "{sent:?}");
        }
    }
    target.is_as_it_was();
}

#[test]
fn a_reset_in_the_middle_of_a_body_leaks_nothing() {
    for way in BOTH_WAYS {
        let target = Target::start(way);
        let big = target.server.root().join("big");
        std::fs::File::create(&big)
            .expect("a file")
            .set_len(64 << 20)
            .expect("sparse");
        for length in [1, 10_000, 100_000, 2_000_000] {
            for head in ["upload u 3000000\n", "upload u"] {
                let mut client = target.connect(FILES);
                client.send(head);
                if !head.ends_with('\n') {
                    pause();
                }
                // The write may fail once the server has reset the connection.
                let _ = client.0.write_all(&noise(length));
                client.reset();
            }
            let mut client = target.connect(TRANSFER);
            client
                .send("SEND\nu\nu<SEPARATOR>3000000\n")
                .send(noise(length));
            client.reset();
            let mut client = target.connect(FILES);
            client.send("download big\n").expect("OK 67108864\n");
            client.expect(vec![0; length]);
            client.reset();
        }
        eventually("the downloads are over", || {
            target.server.descriptors() == target.descriptors
        });
        std::fs::remove_file(big).expect("a file");
        target.is_as_it_was();
    }
}

#[test]
fn bytes_after_urgent_data_are_served_at_once() {
    let target = Target::start(&[]);
    for _ in 0..20 {
        let mut client = target.connect("echo");
        rustix::net::sockopt::set_tcp_cork(&client.0, true).expect("an option");
        client.send("before");
        rustix::net::send(&client.0, b"!", rustix::net::SendFlags::OOB).expect("taken");
        client.send("behind");
        rustix::net::sockopt::set_tcp_cork(&client.0, false).expect("an option");
        client.expect("beforebehind");
    }
    target.is_as_it_was();
}

#[test]
fn urgent_data_inside_a_body_delays_nothing() {
    for way in BOTH_WAYS {
        let target = Target::start(way);
        let data = noise(1_000_000);
        let mut client = target.connect(FILES);
        client.send("upload urgent 1000000\n").expect("OK\n");
        client.send(&data[..500_000]);
        rustix::net::send(&client.0, b"!", rustix::net::SendFlags::OOB).expect("taken");
        client.send(&data[500_000..]);
        client.expect("OK File Berhasil Dibuat\n");
        client.send("rm urgent\n").expect(REMOVED).finish();
        client.rest();
        target.is_as_it_was();
    }
}

#[test]
fn a_pipeline_of_small_commands_does_not_delay_other_clients() {
    let target = Target::start(&["--no-sync"]);
    let mut greedy = target.connect(FILES);
    let mut writer = greedy.0.try_clone().expect("a second handle");
    let rounds = 5_000;
    let sending = std::thread::spawn(move || {
        let _ = writer.write_all("upload n 1\nx".repeat(rounds).as_bytes());
    });
    greedy.expect("OK\n");
    // Each of these needs a turn: without fair turns they would come after the whole pipeline.
    let mut echo = target.connect("echo");
    for _ in 0..5 {
        echo.send("quick").expect("quick");
    }
    greedy.0.set_nonblocking(true).expect("an option");
    let mut come = 0;
    let mut buffer = vec![0; 1 << 20];
    while let Ok(count @ 1..) = (&greedy.0).read(&mut buffer) {
        come += count;
    }
    let whole = CREATED.len() * rounds;
    assert!(
        come < whole - 3,
        "the others were served only after {come} bytes of replies"
    );
    greedy.0.set_nonblocking(false).expect("an option");
    let mut rest = vec![0; whole - 3 - come];
    (&greedy.0).read_exact(&mut rest).expect("every reply");
    sending.join().expect("sent");
    target.connect(FILES).send("rm n\n").expect(REMOVED);
    drop((greedy, echo));
    target.is_as_it_was();
}

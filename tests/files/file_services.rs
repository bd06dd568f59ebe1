//! What the files and transfer services have in common: a file is moved whole or not at all.

use crate::support::file_service::FileService::{Files, Transfer};
use crate::support::file_service::on_each;
use crate::support::{BOTH_WAYS, Client, REMOVED, Server, eventually, noise};

#[test]
fn a_line_upload_is_acknowledged_and_exact() {
    on_each(&[], |server, service| {
        for (name, data) in [
            ("empty", Vec::new()),
            ("three", b"abc".to_vec()),
            ("digits", b"12345 hello".to_vec()),
            ("lines", b"byebye\nSEND\nx\n\r\n".to_vec()),
            ("middle", noise(200_000)),
            ("big", noise(8 << 20)),
        ] {
            let mut client = server.connect(service.name());
            client.send(service.upload_head(name, data.len()));
            client.expect("OK\n");
            client.send(&data).expect(service.stored(data.len()));
            assert!(server.got(name) == data, "{name} differs");
        }
    });
}

#[test]
fn a_line_download_is_announced_and_exact() {
    on_each(&[], |server, service| {
        let mut client = server.connect(service.name());
        for (name, data) in [
            ("empty", Vec::new()),
            ("three", b"abc".to_vec()),
            ("big", noise(8 << 20)),
        ] {
            server.put(name, &data);
            client.send(service.download(name));
            client.expect(service.announced(name, data.len()));
            // After the error for a missing file the conversation continues.
            client.expect(&data).send(service.download("nothing"));
            client.expect(service.missing());
        }
    });
}

#[test]
fn commands_and_bodies_may_be_pipelined() {
    on_each(&[], |server, service| {
        let big = noise(1_000_000);
        let mut client = server.connect(service.name());
        let (mut sent, mut wanted) = (Vec::new(), Vec::new());
        for (name, data) in [("small", &b"abc"[..]), ("big", &big), ("empty", b"")] {
            sent.extend(service.upload(name, data));
            sent.extend_from_slice(service.download(name).as_bytes());
            sent.extend_from_slice(service.download("nothing").as_bytes());
            wanted.extend_from_slice(format!("OK\n{}", service.stored(data.len())).as_bytes());
            wanted.extend_from_slice(service.announced(name, data.len()).as_bytes());
            wanted.extend_from_slice(data);
            wanted.extend_from_slice(service.missing().as_bytes());
        }
        if service == Files {
            sent.extend_from_slice(b"size small\nrm small\r\nrm empty\nls\nbyebye\n");
            wanted.extend_from_slice(b"OK 3 0.00 MB\n");
            wanted.extend_from_slice(REMOVED.repeat(2).as_bytes());
            wanted.extend_from_slice(b"OK 4\nbig\nOK\n");
        }
        client.send(&sent).expect(&wanted).finish();
        assert_eq!(client.rest(), b"");
    });
}

#[test]
fn a_pipeline_larger_than_the_buffers_is_answered_whole() {
    on_each(&[], |server, service| {
        let data = noise(100_000);
        server.put("x", &data);
        let mut client = server.connect(service.name());
        // 20 MB of answers are more than the buffers hold; reading starts after the last command.
        client.send(service.download("x").repeat(200));
        for _ in 0..200 {
            client.expect(service.announced("x", data.len()));
            client.expect(&data);
        }
    });
}

#[test]
fn a_refusal_reaches_a_client_that_is_still_sending_its_body() {
    let server = Server::start(&["--max-file-size", "1000"]);
    server.put("old", "old");
    let long = format!("rm {}", "n".repeat(256));
    let header = format!("SEND\nold\n{}<SEPARATOR>5", "n".repeat(256));
    for (service, command, reason) in [
        (Files, "get old", "unknown command"),
        (Files, "upload old", "size is missing"),
        (Files, "upload old -5", "size is missing"),
        (Files, "upload old 1001", "too large"),
        (Files, "upload folder/ 5", ""),
        (Files, &long, "longer than 255"),
        (
            Transfer,
            "send",
            "unknown command send; the words are SEND, RECEIVE, RESUME and SUM\n",
        ),
        (Transfer, "SEND\nold\nold<SEPARATOR>1001", "too large"),
        (Transfer, "SEND\nold\nold<SEPARATOR>-1", "not a number"),
        (Transfer, "SEND\nold\nold 5", "<SEPARATOR>"),
        (Transfer, "SEND\nold\nfolder/<SEPARATOR>5", ""),
        (Transfer, &header, "longer than 255"),
    ] {
        let mut client = server.connect(service.name());
        client.send(format!("{command}\n")).send(noise(500_000));
        if command.starts_with("SEND") {
            client.expect("OK\n");
        }
        let reply = client.error();
        assert!(
            reply.contains(reason) && reply.ends_with('\n'),
            "{command}: {reply}"
        );
    }
    assert_eq!(server.contents(), [b"old"]);
}

#[test]
fn an_upload_of_exactly_the_maximum_size_is_accepted_in_both_dialects() {
    on_each(
        &["--max-file-size", "1000", "--settle", "200"],
        |server, service| {
            let fits = noise(1_000);
            let mut client = server.connect(service.name());
            client.send(service.upload("line", &fits));
            client.expect(format!("OK\n{}", service.stored(1_000)));
            let stored = service.upload_bare(server, "bare", &fits);
            assert_eq!(
                stored,
                if service == Files {
                    "File Berhasil Dibuat"
                } else {
                    ""
                }
            );
            assert!(server.got("line") == fits && server.got("bare") == fits);
            let over = service.upload_bare(server, "over", &noise(1_001));
            let why = match service {
                Files => "the file is too large; at most 1000 bytes are taken",
                Transfer => "",
            };
            assert!(over.starts_with(&service.error(why)), "{over}");
            assert_eq!(server.contents().len(), 2);
        },
    );
}

#[test]
fn a_read_only_server_refuses_changes_and_serves_reads() {
    let why = "this server is read-only";
    on_each(&["--read-only"], |server, service| {
        server.put("x", "abc");
        let mut client = server.connect(service.name());
        client.send(service.download("x"));
        client.expect(service.announced("x", 3)).expect("abc");
        client.send(service.upload("x", &noise(300_000)));
        let before = if service == Files { "" } else { "OK\n" };
        assert_eq!(client.text(), format!("{before}{}\n", service.error(why)));
        assert_eq!(service.upload_bare(server, "x", b""), service.error(why));
        assert_eq!(server.contents(), [b"abc"]);
    });
    let server = Server::start(&["--read-only"]);
    server.put("x", "abc");
    let answers = format!("ERROR {why}\nOK 3 0.00 MB\nOK 2\nx\n");
    assert_eq!(server.ask("files", "rm x\nsize x\nls\n"), answers);
    assert_eq!(server.ask("files", "rm x"), format!("ERROR {why}"));
}

#[test]
fn an_upload_is_invisible_until_it_is_complete() {
    on_each(&[], |server, service| {
        let data = noise(2_000_000);
        let mut client = service.begin(server, "new", &data[..1_000_000], data.len());
        assert!(server.contents().is_empty());
        let mut other = server.connect("files");
        other.send("ls\nsize new\nrm new\n");
        other.expect("OK 0\n").expect(Files.missing().repeat(2));
        for reader in [Files, Transfer] {
            let answer = server.ask(reader.name(), reader.download("new"));
            assert_eq!(answer, reader.missing());
        }
        client.send(&data[1_000_000..]);
        client.expect(service.stored(data.len()));
        assert!(server.got("new") == data);
        other.send("ls\n").expect("OK 4\nnew\n");
    });
}

#[test]
fn a_short_closed_or_reset_upload_keeps_the_old_file() {
    on_each(&[], |server, service| {
        let before = server.descriptors();
        server
            .connect(service.name())
            .send(service.upload("x", &noise(100_000)));
        eventually("it is stored", || server.root().join("x").exists());
        server.put("x", "old");
        eventually("all is closed", || server.descriptors() == before);
        let mut short = service.begin(server, "x", &noise(700_000), 1_000_000);
        let why = "only 700000 of 1000000 bytes came; nothing is stored";
        assert_eq!(short.finish().text(), format!("{}\n", service.error(why)));
        drop(short);
        for part in [0, 1, 700_000] {
            for reset in [false, true] {
                eventually("the last one is closed", || server.descriptors() == before);
                let client = service.begin(server, "x", &noise(part), 1_000_000);
                if reset {
                    client.reset();
                }
            }
        }
        eventually("all is closed", || server.descriptors() == before);
        assert_eq!(server.contents(), [b"old"]);
    });
}

#[test]
fn a_running_download_continues_when_its_file_is_replaced_or_removed() {
    on_each(&[], |server, service| {
        // More than the socket buffers of both sides hold.
        let old = noise(32 << 20);
        server.put("x", &old);
        let begin = || {
            let mut client = server.connect(service.name());
            client.send(service.download("x"));
            client.expect(service.announced("x", old.len()));
            client
        };
        let mut first = begin();
        let mut bare = server.connect("files");
        bare.send("download x").expect(&old[..1]);
        let mut other = server.connect(service.name());
        other.send(service.upload("x", b"new"));
        other.expect(format!("OK\n{}", service.stored(3)));
        other.send(service.download("x"));
        other.expect(service.announced("x", 3)).expect("new");
        server.put("y", &old);
        std::fs::rename(server.root().join("y"), server.root().join("x")).expect("ours");
        let mut second = begin();
        assert_eq!(server.ask("files", "rm x\n"), REMOVED);
        first.expect(&old);
        second.expect(&old);
        bare.expect(&old[1..]);
        assert!(server.contents().is_empty());
    });
}

#[test]
fn the_later_commit_of_two_uploads_of_one_name_wins() {
    on_each(&[], |server, service| {
        let (first, second) = (vec![1; 1_000_000], vec![2; 1_500_000]);
        let mut one = service.begin(server, "x", &first[..600_000], first.len());
        let mut two = service.begin(server, "x", &second[..600_000], second.len());
        two.send(&second[600_000..]);
        two.expect(service.stored(second.len()));
        assert!(server.contents() == [second]);
        one.send(&first[600_000..]);
        one.expect(service.stored(first.len()));
        assert!(server.contents() == [first]);
    });
}

#[test]
fn concurrent_uploads_of_one_name_leave_one_complete_file() {
    on_each(&[], |server, service| {
        let address = server.address(service.name());
        std::thread::scope(|scope| {
            for number in 0..8_u8 {
                scope.spawn(move || {
                    let data = vec![number; 300_000 + usize::from(number)];
                    let mut client = Client::connect(address);
                    for _ in 0..5 {
                        client.send(service.upload("x", &data));
                        client.expect(format!("OK\n{}", service.stored(data.len())));
                    }
                });
            }
        });
        let left = server.got("x");
        assert_eq!(left.len(), 300_000 + usize::from(left[0]));
        assert!(left.iter().all(|byte| *byte == left[0]));
        assert_eq!(server.contents().len(), 1);
    });
}

#[test]
fn a_bare_download_is_exact() {
    for way in BOTH_WAYS {
        let server = Server::start(way);
        for (name, data) in [("empty", Vec::new()), ("big", noise(3 << 20))] {
            server.put(name, &data);
            // With and without a half-close of the client.
            for ends in [false, true] {
                let mut client = server.connect("transfer");
                client.send("RECEIVE").expect("OK").send(name);
                if ends {
                    client.finish();
                }
                client.expect(format!("{name}<SEPARATOR>{}", data.len()));
                assert!(client.rest() == data, "{name} differs");
            }
        }
        let big = noise(3 << 20);
        let mut client = server.connect("files");
        client.send("download big").expect(&big);
        client.send("download none").expect("File Tidak Ditemukan");
        client.send("download big").expect(&big).send("byebye");
        assert_eq!(client.rest(), b"");
    }
}

//! Every answer of the transfer service is the documented one, and files move whole or not at all.
//! Says nothing of how dialects are told apart: `dialects.rs` has that.

mod support;

use std::path::PathBuf;
use support::{BOTH_WAYS, Client, Server, eventually, noise, tree};

fn put(server: &Server, name: &str, data: &[u8]) {
    std::fs::write(server.root().join(name), data).expect("room");
}

fn got(server: &Server, name: &str) -> Vec<u8> {
    std::fs::read(server.root().join(name)).expect("a file")
}

/// What a line client sends for an upload.
fn upload(name: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("SEND\n{name}\n{name}<SEPARATOR>{}\n", data.len());
    [header.as_bytes(), data].concat()
}

/// Begins an upload, sends `part` of its `size` bytes, and returns once its file is open.
fn begin(server: &Server, name: &str, part: &[u8], size: usize) -> Client {
    let before = server.descriptors();
    let mut client = server.connect("transfer");
    client.send("SEND\n").expect("OK\n");
    client.send(format!("{name}\n{name}<SEPARATOR>{size}\n"));
    client.send(part);
    // The connection and the file that nobody sees.
    eventually("the upload has begun", || {
        server.descriptors() >= before + 2
    });
    client
}

#[test]
fn a_line_upload_is_answered_and_exact() {
    for way in BOTH_WAYS {
        let server = Server::start(way);
        for (name, data) in [
            ("empty", Vec::new()),
            ("three", b"abc".to_vec()),
            ("digits", b"12345 hello".to_vec()),
            ("lines", b"SEND\nx\n\r\n".to_vec()),
            ("middle", noise(200_000)),
            ("big", noise(8 << 20)),
        ] {
            let mut client = server.connect("transfer");
            client.send("SEND\n").expect("OK\n");
            client.send(format!("{name}\n{name}<SEPARATOR>{}\n", data.len()));
            client.send(&data).expect(format!("OK {}\n", data.len()));
            assert!(got(&server, name) == data, "{name} differs");
        }
    }
}

#[test]
fn a_line_download_is_answered_and_exact() {
    for way in BOTH_WAYS {
        let server = Server::start(way);
        let mut client = server.connect("transfer");
        for (name, data) in [
            ("empty", Vec::new()),
            ("three", b"abc".to_vec()),
            ("big", noise(8 << 20)),
        ] {
            put(&server, name, &data);
            client.send("RECEIVE\n").expect("OK\n");
            client.send(format!("{name}\n"));
            client.expect(format!("{name}<SEPARATOR>{}\n", data.len()));
            client.expect(&data);
        }
    }
}

#[test]
fn a_missing_file_is_a_plain_no_and_the_line_conversation_goes_on() {
    let server = Server::start(&[]);
    put(&server, "x", b"abc");
    server
        .connect("transfer")
        .send("RECEIVE\nnothing\n")
        .expect("OK\nERROR: File not found\n")
        .send("RECEIVE\nx\n")
        .expect("OK\nx<SEPARATOR>3\nabc");
}

#[test]
fn a_missing_file_ends_a_bare_conversation() {
    let server = Server::start(&[]);
    let mut client = server.connect("transfer");
    client.send("RECEIVE").expect("OK").send("nothing");
    assert_eq!(client.rest(), b"ERROR: File not found");
}

#[test]
fn a_bare_download_ends_with_the_end_of_stream() {
    for way in BOTH_WAYS {
        let server = Server::start(way);
        for (name, data) in [("empty", Vec::new()), ("big", noise(3 << 20))] {
            put(&server, name, &data);
            let mut client = server.connect("transfer");
            client.send("RECEIVE").expect("OK").send(name);
            client.expect(format!("{name}<SEPARATOR>{}", data.len()));
            assert!(client.rest() == data, "{name} differs");
            // A client that has nothing more to say is served as well.
            let mut client = server.connect("transfer");
            client.send("RECEIVE").expect("OK").send(name).finish();
            client.expect(format!("{name}<SEPARATOR>{}", data.len()));
            assert!(client.rest() == data, "{name} differs");
        }
    }
}

#[test]
fn everything_may_be_sent_without_waiting() {
    for way in BOTH_WAYS {
        let server = Server::start(way);
        let big = noise(1_000_000);
        let sent = [
            upload("small", b"abc"),
            b"RECEIVE\nsmall\nRECEIVE\nnothing\n".to_vec(),
            upload("big", &big),
            upload("empty", b""),
            b"RECEIVE\nbig\nRECEIVE\nempty\n".to_vec(),
        ]
        .concat();
        let wanted = [
            &b"OK\nOK 3\nOK\nsmall<SEPARATOR>3\nabcOK\nERROR: File not found\n"[..],
            b"OK\nOK 1000000\nOK\nOK 0\n",
            b"OK\nbig<SEPARATOR>1000000\n",
            &big,
            b"OK\nempty<SEPARATOR>0\n",
        ]
        .concat();
        let mut client = server.connect("transfer");
        client.send(&sent).expect(&wanted);
        client.finish();
        assert_eq!(client.rest(), b"");
    }
}

#[test]
fn a_pipeline_that_outruns_its_reader_is_answered_whole() {
    for way in BOTH_WAYS {
        let server = Server::start(way);
        let data = noise(100_000);
        put(&server, "x", &data);
        let mut client = server.connect("transfer");
        // 20 MB of answers: more than the buffers hold, and nobody reads until all is asked.
        client.send("RECEIVE\nx\n".repeat(200));
        let answer = [&b"OK\nx<SEPARATOR>100000\n"[..], &data].concat();
        for _ in 0..200 {
            client.expect(&answer);
        }
    }
}

#[test]
fn only_the_last_component_of_a_name_is_used() {
    let server = Server::start(&[]);
    for name in ["/etc/cron.d/one", "../../two", "C:/Users/me/three"] {
        let leaf = name.rsplit('/').next().expect("a name");
        let mut client = server.connect("transfer");
        client.send(upload(name, b"abc")).expect("OK\nOK 3\n");
        assert_eq!(got(&server, leaf), b"abc");
        client
            .send(format!("RECEIVE\n{name}\n"))
            .expect(format!("OK\n{leaf}<SEPARATOR>3\nabc"));
    }
    assert_eq!(tree(&server.root()).len(), 3);
}

#[test]
fn names_with_blanks_quotes_and_separators_come_back_as_they_are() {
    let server = Server::start(&[]);
    for name in [
        "a b",
        " a ",
        "\"a\"",
        "it's",
        "a<SEPARATOR>b",
        "séance 日本.txt",
        "a 12",
    ] {
        let mut client = server.connect("transfer");
        client.send(upload(name, b"abc")).expect("OK\nOK 3\n");
        assert_eq!(got(&server, name), b"abc");
        client
            .send(format!("RECEIVE\n{name}\n"))
            .expect(format!("OK\n{name}<SEPARATOR>3\nabc"));
    }
}

#[test]
fn a_refused_upload_says_why_and_ends_the_connection() {
    let server = Server::start(&["--max-file-size", "1000"]);
    put(&server, "old", b"old");
    let long = "n".repeat(256);
    let names = [
        ("old<SEPARATOR>1001", "too large"),
        ("old<SEPARATOR>-1", "not a number"),
        ("old<SEPARATOR>", "not a number"),
        ("old<SEPARATOR>99999999999999999999", "not a number"),
        ("old 5", "<SEPARATOR>"),
        ("<SEPARATOR>5", "empty"),
        ("ol\td<SEPARATOR>5", "control character"),
        (&format!("{long}<SEPARATOR>5"), "longer than 255"),
        ("..<SEPARATOR>5", "not a regular file"),
        ("folder/<SEPARATOR>5", ""),
    ];
    for (header, reason) in names {
        let mut client = server.connect("transfer");
        // The body is on its way already: the answer must not be lost to a reset.
        client.send(format!("SEND\nold\n{header}\n")).expect("OK\n");
        client.send(noise(500_000));
        let reply = String::from_utf8(client.rest()).expect("text");
        assert!(reply.starts_with("ERROR: "), "{header}: {reply}");
        assert!(reply.contains(reason), "{header}: {reply}");
        assert!(reply.ends_with('\n') && reply.lines().count() == 1);
    }
    assert_eq!(
        tree(&server.root()).into_values().collect::<Vec<_>>(),
        [b"old"]
    );
}

#[test]
fn an_unknown_word_is_refused_and_ends_the_connection() {
    let server = Server::start(&[]);
    for word in ["send", "SEND x", "RECEIVED", "GET / HTTP/1.1"] {
        let mut client = server.connect("transfer");
        client.send(format!("{word}\n"));
        let refused = format!("ERROR: unknown command {word}; the words are SEND and RECEIVE\n");
        client.expect(refused);
        assert_eq!(client.rest(), b"");
    }
}

#[test]
fn an_upload_of_exactly_the_largest_size_is_taken_in_both_dialects() {
    for way in BOTH_WAYS {
        let server = Server::start(&[&["--max-file-size", "1000"], way].concat());
        let (fits, over) = (noise(1_000), noise(1_001));
        server
            .connect("transfer")
            .send(upload("line", &fits))
            .expect("OK\nOK 1000\n");
        let mut client = server.connect("transfer");
        client.send("SEND").expect("OK");
        client.send("barebare<SEPARATOR>1000").send(&fits).finish();
        eventually("the bare upload is stored", || {
            tree(&server.root()).len() == 2
        });
        assert!(got(&server, "line") == fits && got(&server, "bare") == fits);
        let mut client = server.connect("transfer");
        client.send("SEND").expect("OK");
        client.send("overover<SEPARATOR>1001").send(&over).finish();
        assert!(client.rest().starts_with(b"ERROR: "));
        assert_eq!(tree(&server.root()).len(), 2);
    }
}

#[test]
fn a_read_only_server_takes_no_upload_and_serves_downloads() {
    let server = Server::start(&["--read-only"]);
    put(&server, "x", b"abc");
    let mut client = server.connect("transfer");
    client.send(upload("x", &noise(300_000))).expect("OK\n");
    assert_eq!(client.rest(), b"ERROR: this server is read-only\n");
    let mut client = server.connect("transfer");
    client.send("SEND").expect("OK");
    client.send("xx<SEPARATOR>5hello").finish();
    assert_eq!(client.rest(), b"ERROR: this server is read-only");
    server
        .connect("transfer")
        .send("RECEIVE\nx\n")
        .expect("OK\nx<SEPARATOR>3\nabc");
    assert_eq!(got(&server, "x"), b"abc");
}

#[test]
fn an_upload_is_invisible_until_it_is_whole() {
    for way in BOTH_WAYS {
        let server = Server::start(way);
        let data = noise(2_000_000);
        let mut client = begin(&server, "new", &data[..1_000_000], data.len());
        assert!(tree(&server.root()).is_empty());
        server.connect("files").send("ls\n").expect("OK 0\n");
        server
            .connect("transfer")
            .send("RECEIVE\nnew\n")
            .expect("OK\nERROR: File not found\n");
        client.send(&data[1_000_000..]).expect("OK 2000000\n");
        assert!(got(&server, "new") == data);
        server.connect("files").send("ls\n").expect("OK 4\nnew\n");
    }
}

#[test]
fn a_short_upload_is_refused_and_leaves_the_old_file() {
    for way in BOTH_WAYS {
        let server = Server::start(way);
        put(&server, "x", b"old");
        let mut client = begin(&server, "x", &noise(700_000), 1_000_000);
        client.finish();
        assert_eq!(
            client.rest(),
            b"ERROR: only 700000 of 1000000 bytes came; nothing is stored\n"
        );
        let mut bare = server.connect("transfer");
        bare.send("SEND").expect("OK");
        bare.send("xx<SEPARATOR>1000000")
            .send(noise(700_000))
            .finish();
        assert_eq!(
            bare.rest(),
            b"ERROR: the size does not fit what came; nothing is stored"
        );
        assert_eq!(
            tree(&server.root()).into_values().collect::<Vec<_>>(),
            [b"old"]
        );
    }
}

#[test]
fn a_closed_or_reset_upload_leaves_no_trace() {
    for way in BOTH_WAYS {
        let server = Server::start(way);
        let before = server.descriptors();
        server
            .connect("transfer")
            .send(upload("x", &noise(100_000)))
            .expect("OK\nOK 100000\n");
        put(&server, "x", b"old");
        eventually("it is over", || server.descriptors() == before);
        for part in [0, 1, 700_000] {
            drop(begin(&server, "x", &noise(part), 1_000_000));
            eventually("it is over", || server.descriptors() == before);
            begin(&server, "x", &noise(part), 1_000_000).reset();
            eventually("it is over", || server.descriptors() == before);
        }
        assert_eq!(
            tree(&server.root()).into_values().collect::<Vec<_>>(),
            [b"old"]
        );
    }
}

#[test]
fn whoever_downloads_a_file_that_is_replaced_or_removed_gets_the_old_one_to_its_end() {
    for way in BOTH_WAYS {
        let server = Server::start(way);
        // More than the buffers of both sides hold.
        let old = noise(32 << 20);
        put(&server, "x", &old);
        let mut readers = [server.connect("transfer"), server.connect("transfer")];
        let header = format!("OK\nx<SEPARATOR>{}\n", old.len());
        readers[0].send("RECEIVE\nx\n").expect(&header);
        server
            .connect("transfer")
            .send(upload("x", b"new"))
            .expect("OK\nOK 3\n");
        assert_eq!(got(&server, "x"), b"new");
        readers[0].expect(&old);
        put(&server, "y", &old);
        readers[1]
            .send("RECEIVE\ny\n")
            .expect(header.replace('x', "y"));
        server
            .connect("files")
            .send("rm y\n")
            .expect("OK File Berhasil Dihapus\n");
        readers[1].expect(&old);
        assert!(!server.root().join("y").exists());
    }
}

#[test]
fn of_two_uploads_of_one_name_each_is_whole_and_the_later_commit_wins() {
    for way in BOTH_WAYS {
        let server = Server::start(way);
        let (first, second) = (vec![1; 1_000_000], vec![2; 1_500_000]);
        let mut one = begin(&server, "x", &first[..600_000], first.len());
        let mut two = begin(&server, "x", &second[..600_000], second.len());
        two.send(&second[600_000..]).expect("OK 1500000\n");
        assert!(got(&server, "x") == second);
        one.send(&first[600_000..]).expect("OK 1000000\n");
        assert!(got(&server, "x") == first);
        let names: Vec<PathBuf> = tree(&server.root()).into_keys().collect();
        assert_eq!(names, [server.root().join("x")]);
    }
}

#[test]
fn many_uploads_of_one_name_at_once_leave_one_of_them_whole() {
    for way in BOTH_WAYS {
        let server = Server::start(way);
        let address = server.address("transfer");
        let uploads: Vec<_> = (0..8_u8)
            .map(|number| {
                std::thread::spawn(move || {
                    let data = vec![number; 300_000 + usize::from(number)];
                    let mut client = Client::connect(address);
                    for _ in 0..5 {
                        let done = format!("OK\nOK {}\n", data.len());
                        client.send(upload("x", &data)).expect(done);
                    }
                })
            })
            .collect();
        for upload in uploads {
            upload.join().expect("it went well");
        }
        let left = got(&server, "x");
        assert_eq!(left.len(), 300_000 + usize::from(left[0]));
        assert!(left.iter().all(|byte| *byte == left[0]));
        assert_eq!(tree(&server.root()).len(), 1);
    }
}

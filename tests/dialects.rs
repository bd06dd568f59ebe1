//! Both dialects are told apart by the documented rules, whatever the timing, and no byte is lost.
//! Says nothing of what commands do: `transfer.rs` and `files.rs` have that.

mod support;

use support::{BOTH_WAYS, Client, Server, eventually, noise};

const SETTLE_NEVER: [&str; 2] = ["--settle", "60000"];

/// A server whose root holds `x` (three bytes) and `photos/x`.
fn server(flags: &[&str]) -> Server {
    let server = Server::start(flags);
    std::fs::create_dir(server.root().join("photos")).expect("room");
    for name in ["x", "photos/x"] {
        std::fs::write(server.root().join(name), "abc").expect("room");
    }
    server
}

/// Returns when the settle window of everything sent before is over: a second bare unit is sent
/// only when the first one was answered, so that its own window is a whole one later.
fn settle(server: &Server) {
    for _ in 0..2 {
        let mut other = server.connect("files");
        other.send("size nothing").expect("File Tidak Ditemukan");
    }
}

/// Returns when the server has read what was sent before.
fn taken(server: &Server) {
    server.connect("echo").send("ping").expect("ping");
}

fn stored(server: &Server, name: &str, data: &[u8]) {
    let path = server.root().join(name);
    eventually("the upload is stored", || {
        std::fs::read(&path).is_ok_and(|stored| stored == data)
    });
}

#[test]
fn a_unit_that_ends_in_lf_is_a_line_and_cr_before_it_is_dropped() {
    let server = server(&SETTLE_NEVER);
    for line_end in ["\n", "\r\n"] {
        server
            .connect("files")
            .send(format!("size x{line_end}"))
            .expect("OK 3 0.00 MB\n");
        server
            .connect("transfer")
            .send(format!("RECEIVE{line_end}"))
            .expect("OK\n")
            .send(format!("x{line_end}"))
            .expect("x<SEPARATOR>3\nabc");
    }
}

#[test]
fn a_whole_command_without_lf_is_bare_after_the_settle_window() {
    let server = server(&[]);
    let mut client = server.connect("files");
    client.send("size x").expect("0.00 MB");
    client.send("rm x").expect("File Berhasil Dihapus");
    client.send("rm x").expect("File Tidak Ditemukan");
    client.send("byebye");
    assert_eq!(client.rest(), b"");
}

#[test]
fn a_whole_command_without_lf_is_bare_at_the_end_of_stream() {
    let server = server(&SETTLE_NEVER);
    let mut client = server.connect("files");
    client.send("size x").finish();
    assert_eq!(client.rest(), b"0.00 MB");
}

#[test]
fn half_a_command_at_the_end_of_stream_is_refused() {
    let server = server(&SETTLE_NEVER);
    for half in ["rm ", "rm photos/", "siz", "ls photos/"] {
        let mut client = server.connect("files");
        client.send(half).finish();
        let reply = String::from_utf8(client.rest()).expect("text");
        assert!(reply.starts_with("ERROR "), "{half}: {reply}");
    }
    assert!(server.root().join("photos/x").exists());
}

#[test]
fn half_a_command_and_silence_are_refused() {
    let server = server(&[]);
    let clients = ["rm ", "rm photos/", "siz", "SEN"].map(|half| {
        let service = if half == "SEN" { "transfer" } else { "files" };
        let mut client = server.connect(service);
        client.send(half);
        (half, client)
    });
    for (half, mut client) in clients {
        let reply = String::from_utf8(client.rest()).expect("text");
        assert!(reply.starts_with("ERROR"), "{half}: {reply}");
        assert!(reply.contains("not finished"), "{half}: {reply}");
        assert!(reply.ends_with('\n') && reply.lines().count() == 1);
    }
    assert!(server.root().join("photos/x").exists());
}

#[test]
fn a_line_client_that_writes_its_command_in_pieces_is_not_taken_for_bare() {
    // Half a second of window: the name and its LF come together, the pause is before the name.
    let server = server(&["--settle", "400"]);
    for (first, second) in [("rm ", "x\n"), ("rm photos/", "x\n"), ("rm", " \"y\"\n")] {
        std::fs::write(server.root().join("y"), "").expect("room");
        let mut client = server.connect("files");
        client.send(first);
        settle(&server);
        client
            .send(second)
            .expect("OK File Berhasil Dihapus\n")
            .send("size x\n");
    }
    assert!(!server.root().join("photos/x").exists());
}

#[test]
fn a_line_client_whose_lf_comes_late_gets_every_byte() {
    let server = server(&[]);
    let mut client = server.connect("files");
    // Longer than the window: the server takes it for bare, and mends that when the LF comes.
    client.send("rm x").expect("File Berhasil Dihapus");
    client.send("\n").expect("\n");
    client
        .send("size photos/x\n")
        .expect("OK 3 0.00 MB\n")
        .send("byebye\n")
        .expect("OK\n");
    assert_eq!(client.rest(), b"");
}

#[test]
fn a_line_client_that_writes_byte_by_byte_is_a_line_client() {
    let server = server(&["--settle", "400"]);
    for nodelay in [true, false] {
        let mut client = server.connect("files");
        client.0.set_nodelay(nodelay).expect("an option");
        for byte in b"size photos/x\r\n" {
            client.send([*byte]);
        }
        client.expect("OK 3 0.00 MB\n");
    }
}

#[test]
fn the_words_of_transfer_need_no_settle_window() {
    let server = server(&SETTLE_NEVER);
    server.connect("transfer").send("SEND").expect("OK");
    server.connect("transfer").send("RECEIVE").expect("OK");
    let mut slow = server.connect("transfer");
    for byte in b"RECEIVE" {
        slow.send([*byte]);
    }
    slow.expect("OK");
}

#[test]
fn lf_behind_a_bare_ok_heals_an_upload() {
    for way in BOTH_WAYS {
        let server = server(&[&SETTLE_NEVER, way].concat());
        for line_end in ["\n", "\r\n"] {
            let mut client = server.connect("transfer");
            client.send("SEND").expect("OK");
            client.send(line_end).expect("\n");
            client
                .send("a.bin\na.bin<SEPARATOR>5\n1\n234RECEIVE\na.bin\n")
                .expect("OK 5\nOK\na.bin<SEPARATOR>5\n1\n234");
        }
        // Without waiting for the LF that is owed, and cut between CR and LF.
        let mut client = server.connect("transfer");
        client.send("SEND").expect("OK").send("\r");
        taken(&server);
        client
            .send("\nb.bin\nb.bin<SEPARATOR>3\nabc")
            .expect("\nOK 3\n");
        stored(&server, "b.bin", b"abc");
    }
}

#[test]
fn lf_behind_a_bare_ok_or_header_heals_a_download() {
    for way in BOTH_WAYS {
        let server = server(&[way, &["--bare-gap", "60000"]].concat());
        let mut client = server.connect("transfer");
        client.send("RECEIVE").expect("OK");
        client.send("\n").expect("\n");
        client.send("x\n").expect("x<SEPARATOR>3\nabc");
        let mut client = server.connect("transfer");
        client.send("RECEIVE").expect("OK");
        client.send("x").expect("x<SEPARATOR>3");
        client.send("\n").expect("\nabc");
        client.send("RECEIVE\nx\n").expect("OK\nx<SEPARATOR>3\nabc");
    }
}

#[test]
fn lf_behind_the_sizeless_looking_upload_heals_it() {
    let server = server(&[]);
    let mut client = server.connect("files");
    client.send("upload new 5");
    settle(&server);
    client
        .send("\nhello")
        .expect("OK\nOK File Berhasil Dibuat\n")
        .send("size new\n")
        .expect("OK 5 0.00 MB\n");
}

#[test]
fn lf_that_is_not_the_next_byte_heals_nothing_but_makes_a_line() {
    let server = server(&[]);
    let mut client = server.connect("files");
    client.send("size x").expect("0.00 MB");
    client.send("size x\n").expect("OK 3 0.00 MB\n");
    client.send("\nsize x\n").expect("OK 3 0.00 MB\n");
}

#[test]
fn a_line_connection_stays_one_however_slow() {
    let server = server(&[]);
    let mut client = server.connect("files");
    client.send("size x\n").expect("OK 3 0.00 MB\n");
    for piece in ["size", " x", "\r"] {
        client.send(piece);
        settle(&server);
    }
    client.send("\n").expect("OK 3 0.00 MB\n");
    client.send("size x").finish();
    let reply = String::from_utf8(client.rest()).expect("text");
    assert!(reply.starts_with("ERROR ") && reply.ends_with('\n'));
}

#[test]
fn a_unit_of_4096_bytes_is_read_and_a_longer_one_is_refused() {
    let server = server(&SETTLE_NEVER);
    for (length, reason) in [
        (4_096, "unknown command"),
        (4_097, "more than 4096 bytes"),
        (4_098, "more than 4096 bytes"),
        (60_000, "more than 4096 bytes"),
        (300_000, "more than 4096 bytes"),
    ] {
        for service in ["files", "transfer"] {
            let mut client = server.connect(service);
            client.send("y".repeat(length)).send("\n");
            let reply = String::from_utf8(client.rest()).expect("text");
            assert!(reply.starts_with("ERROR"), "{length}: {reply}");
            assert!(reply.contains(reason), "{length}: {reply}");
            assert!(reply.ends_with('\n') && reply.lines().count() == 1);
        }
    }
}

// ---- uploads of textbook clients, in all timings ----

fn bare_send(server: &Server) -> Client {
    let mut client = server.connect("transfer");
    client.send("SEND").expect("OK");
    client
}

/// What a textbook client sends behind the OK.
fn textbook(name: &str, data: &[u8]) -> Vec<u8> {
    let mut sent = format!("{name}{name}<SEPARATOR>{}", data.len()).into_bytes();
    sent.extend(data);
    sent
}

#[test]
fn everything_behind_ok_in_one_packet_is_stored() {
    for way in BOTH_WAYS {
        let server = server(&[&SETTLE_NEVER, way].concat());
        for (name, data) in [
            ("empty", &b""[..]),
            ("three", b"abc"),
            ("digits", b"12345 hello"),
            ("zeros", b"0000"),
            ("lines", b"\n\r\n1\n"),
            ("separators", b"<SEPARATOR>3<SEPARATOR>"),
            ("a name with blanks.txt", b"abc"),
            ("noise", &noise(50_000)),
        ] {
            bare_send(&server).send(textbook(name, data)).finish();
            stored(&server, name, data);
        }
    }
}

#[test]
fn name_and_header_glued_and_the_data_apart_are_stored() {
    for way in BOTH_WAYS {
        let server = server(way);
        let mut client = bare_send(&server);
        client.send("a.bina.bin<SEPARATOR>1");
        settle(&server);
        client.send("1123");
        settle(&server);
        client.send("45 hello").finish();
        stored(&server, "a.bin", b"12345 hello");
    }
}

#[test]
fn one_byte_a_packet_is_stored() {
    for way in BOTH_WAYS {
        let server = server(&[&SETTLE_NEVER, way].concat());
        for (name, data) in [("slow", &b"12345 hello"[..]), ("0000", b"0000")] {
            let mut client = server.connect("transfer");
            for byte in b"SEND" {
                client.send([*byte]);
            }
            client.expect("OK");
            for byte in textbook(name, data) {
                client.send([byte]);
                taken(&server);
            }
            client.finish();
            stored(&server, name, data);
        }
    }
}

#[test]
fn a_pause_behind_the_name_is_no_obstacle() {
    let server = server(&[]);
    let mut client = bare_send(&server);
    client.send("a.bin");
    for _ in 0..4 {
        settle(&server);
    }
    client.send("a.bin<SEPARATOR>3abc").finish();
    stored(&server, "a.bin", b"abc");
}

#[test]
fn a_pause_tells_two_different_names_apart_and_the_second_counts() {
    let server = server(&[]);
    let mut client = bare_send(&server);
    client.send("/home/me/a.bin");
    settle(&server);
    client.send("b.bin<SEPARATOR>3abc").finish();
    stored(&server, "b.bin", b"abc");
}

#[test]
fn a_header_that_came_once_counts_when_the_end_of_stream_proves_its_size() {
    let server = server(&[]);
    bare_send(&server)
        .send("once.txt<SEPARATOR>5hello")
        .finish();
    stored(&server, "once.txt", b"hello");
    let mut client = bare_send(&server);
    client.send("twice.txt<SEPARATOR>5hell").finish();
    let reply = String::from_utf8(client.rest()).expect("text");
    assert!(reply.starts_with("ERROR: the size does not fit"), "{reply}");
    assert!(!server.root().join("twice.txt").exists());
}

#[test]
fn a_path_of_either_system_and_its_last_component_are_one_name() {
    let server = server(&[]);
    for (path, name) in [
        ("C:\\Users\\Budi\\tugas akhir.doc", "tugas akhir.doc"),
        ("D:\\b.txt", "b.txt"),
        ("dir/c.txt", "c.txt"),
        ("/home/budi/d.txt", "d.txt"),
    ] {
        for second in [name, path] {
            // Back to back, and with a pause between the two.
            for pauses in [false, true] {
                let mut client = bare_send(&server);
                client.send(path);
                if pauses {
                    settle(&server);
                }
                client
                    .send(format!("{second}<SEPARATOR>5{:5}", name.len()))
                    .finish();
                let data = format!("{:5}", name.len());
                stored(&server, name, data.as_bytes());
                std::fs::remove_file(server.root().join(name)).expect("stored");
            }
        }
        std::fs::write(server.root().join(name), "abc").expect("room");
        let mut client = server.connect("transfer");
        client.send("RECEIVE").expect("OK");
        client.send(path).expect(format!("{name}<SEPARATOR>3"));
    }
}

#[test]
fn a_size_that_fits_no_reading_stores_nothing() {
    for way in BOTH_WAYS {
        let server = server(way);
        let many_digits = "9".repeat(23);
        for behind in ["4abc", "2abc", "", "abc", "20", &many_digits] {
            let sent = format!("xx<SEPARATOR>{behind}");
            let mut client = bare_send(&server);
            client.send(&sent).finish();
            let reply = String::from_utf8(client.rest()).expect("text");
            assert!(reply.starts_with("ERROR: "), "{sent}: {reply}");
            assert!(!reply.contains('\n'), "{sent}: {reply}");
        }
        stored(&server, "x", b"abc");
    }
}

#[test]
fn the_gap_keeps_header_and_data_apart_for_bare_peers_only() {
    let flags = [&["--bare-gap", "60000"], &[][..]].concat();
    let server = server(&flags);
    // A gap without end: the header comes alone.
    let mut bare = server.connect("transfer");
    bare.send("RECEIVE").expect("OK");
    bare.send("x").expect("x<SEPARATOR>3");
    // A line peer waits for nothing.
    server
        .connect("transfer")
        .send("RECEIVE\nx\n")
        .expect("OK\nx<SEPARATOR>3\nabc");
    bare.0.set_nonblocking(true).expect("an option");
    let early = bare.0.peek(&mut [0; 1]).expect_err("nothing yet");
    assert_eq!(early.kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn a_bare_upload_without_data_is_told_how_to_end_one() {
    let server = server(&[]);
    let mut client = server.connect("files");
    client.send("upload new");
    let reply = String::from_utf8(client.rest()).expect("text");
    assert!(reply.starts_with("ERROR ") && !reply.contains('\n'));
    assert!(reply.contains("SHUT_WR"), "{reply}");
    assert!(!server.root().join("new").exists());
}

#[test]
fn a_bare_upload_runs_to_the_end_of_stream() {
    for way in BOTH_WAYS {
        let server = server(way);
        for (name, data) in [("lf", &b"\nabc\n"[..]), ("a 5", b"1234567")] {
            let mut client = server.connect("files");
            client.send(format!("upload {name}"));
            settle(&server);
            client.send(data).finish();
            assert_eq!(client.rest(), b"File Berhasil Dibuat");
            stored(&server, name, data);
        }
    }
}

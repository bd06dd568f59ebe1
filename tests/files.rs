//! Every answer of the files service is the documented one, and files move whole or not at all.
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
    let command = format!("upload {name} {}\n", data.len());
    [command.as_bytes(), data].concat()
}

const UPLOADED: &str = "OK\nOK File Berhasil Dibuat\n";

/// Begins an upload and sends `part` of its `size` bytes.
fn begin(server: &Server, name: &str, part: &[u8], size: usize) -> Client {
    let mut client = server.connect("files");
    client
        .send(format!("upload {name} {size}\n"))
        .expect("OK\n");
    client.send(part);
    client
}

#[test]
fn ls_is_sorted_by_bytes_and_folders_end_in_a_slash() {
    let server = Server::start(&[]);
    let mut client = server.connect("files");
    client.send("ls\n").expect("OK 0\n");
    for name in ["b", "B", "a b", "é", "a", ".hidden"] {
        put(&server, name, b"");
    }
    for name in ["folder", "a.d", "folder/inner"] {
        std::fs::create_dir(server.root().join(name)).expect("room");
    }
    put(&server, "folder/x", b"");
    let listing = ".hidden\nB\na\na b\na.d/\nb\nfolder/\né\n";
    client
        .send("ls\n")
        .expect(format!("OK {}\n{listing}", listing.len()))
        .send("ls folder\nls folder/\nls a.d\n")
        .expect("OK 9\ninner/\nx\nOK 9\ninner/\nx\nOK 0\n");
    let mut bare = server.connect("files");
    bare.send("ls folder").expect("inner/\nx");
    bare.send("ls").expect(listing.trim_end());
}

#[test]
fn ls_of_what_is_no_folder_is_a_plain_no() {
    let server = Server::start(&[]);
    put(&server, "x", b"abc");
    let mut client = server.connect("files");
    for folder in ["nothing", "x", "..", "/x"] {
        client.send(format!("ls {folder}\n"));
        let reply = client.line();
        assert!(reply.starts_with("ERROR "), "{folder}: {reply}");
    }
    client.send("size x\n").expect("OK 3 0.00 MB\n");
}

#[test]
fn size_tells_bytes_and_megabytes() {
    let server = Server::start(&[]);
    let mut client = server.connect("files");
    for (bytes, line, bare) in [
        (0, "OK 0 0.00 MB\n", "0.00 MB"),
        (1 << 20, "OK 1048576 1.00 MB\n", "1.00 MB"),
        (1_600_000, "OK 1600000 1.53 MB\n", "1.53 MB"),
        (5_u64 << 30, "OK 5368709120 5120.00 MB\n", "5120.00 MB"),
    ] {
        let file = std::fs::File::create(server.root().join("x")).expect("room");
        file.set_len(bytes).expect("a sparse file");
        client.send("size x\n").expect(line);
        server.connect("files").send("size x").expect(bare);
    }
    client
        .send("size nothing\n")
        .expect("ERROR File Tidak Ditemukan\n");
    let mut bare = server.connect("files");
    bare.send("size nothing").expect("File Tidak Ditemukan");
    bare.send("size x").expect("5120.00 MB");
}

#[test]
fn rm_removes_a_file_once() {
    let server = Server::start(&[]);
    put(&server, "x", b"abc");
    put(&server, "y", b"abc");
    server
        .connect("files")
        .send("rm x\nrm x\n")
        .expect("OK File Berhasil Dihapus\nERROR File Tidak Ditemukan\n");
    let mut bare = server.connect("files");
    bare.send("rm y").expect("File Berhasil Dihapus");
    bare.send("rm y").expect("File Tidak Ditemukan");
    assert!(tree(&server.root()).is_empty());
}

#[test]
fn rm_of_a_folder_is_refused_and_the_conversation_goes_on() {
    let server = Server::start(&[]);
    std::fs::create_dir(server.root().join("folder")).expect("room");
    let mut client = server.connect("files");
    for name in ["folder", "folder/"] {
        client.send(format!("rm {name}\n"));
        let reply = client.line();
        assert!(reply.starts_with("ERROR "), "{reply}");
    }
    client.send("ls\n").expect("OK 8\nfolder/\n");
}

#[test]
fn a_line_download_is_announced_and_exact() {
    for way in BOTH_WAYS {
        let server = Server::start(way);
        let mut client = server.connect("files");
        for (name, data) in [
            ("empty", Vec::new()),
            ("three", b"abc".to_vec()),
            ("big", noise(8 << 20)),
        ] {
            put(&server, name, &data);
            client.send(format!("download {name}\n"));
            client.expect(format!("OK {}\n", data.len())).expect(&data);
        }
        client
            .send("download nothing\n")
            .expect("ERROR File Tidak Ditemukan\n");
    }
}

#[test]
fn a_download_begins_at_its_offset() {
    for way in BOTH_WAYS {
        let server = Server::start(way);
        let data = noise(1_000_000);
        put(&server, "x", &data);
        let mut client = server.connect("files");
        for offset in [0, 1, 4_097, 999_999, 1_000_000] {
            client.send(format!("download x {offset}\n"));
            client.expect(format!("OK {}\n", data.len() - offset));
            client.expect(&data[offset..]);
        }
        client
            .send("download x 1000001\n")
            .expect("ERROR the file has only 1000000 bytes\n")
            .send("download x 999998\n")
            .expect(b"OK 2\n")
            .expect(&data[999_998..]);
    }
}

#[test]
fn a_bare_download_is_the_bytes_and_nothing_else() {
    for way in BOTH_WAYS {
        let server = Server::start(way);
        let data = noise(3_000_000);
        put(&server, "x", &data);
        let mut client = server.connect("files");
        client.send("download x").expect(&data);
        client
            .send("download nothing")
            .expect("File Tidak Ditemukan");
        client.send("download x").expect(&data);
        client.send("byebye");
        assert_eq!(client.rest(), b"");
    }
}

#[test]
fn a_line_upload_is_answered_twice_and_exact() {
    for way in BOTH_WAYS {
        let server = Server::start(way);
        let mut client = server.connect("files");
        for (name, data) in [
            ("empty", Vec::new()),
            ("three", b"abc".to_vec()),
            ("digits", b"12345 hello".to_vec()),
            ("lines", b"byebye\nrm x\n".to_vec()),
            ("big", noise(8 << 20)),
        ] {
            client.send(format!("upload {name} {}\n", data.len()));
            client.expect("OK\n");
            client.send(&data).expect("OK File Berhasil Dibuat\n");
            assert!(got(&server, name) == data, "{name} differs");
        }
        client.send("byebye\n").expect("OK\n");
        assert_eq!(client.rest(), b"");
    }
}

#[test]
fn everything_may_be_sent_without_waiting() {
    for way in BOTH_WAYS {
        let server = Server::start(way);
        let big = noise(1_000_000);
        let sent = [
            b"ls\n".to_vec(),
            upload("small", b"abc"),
            b"size small\ndownload small 1\n".to_vec(),
            upload("big", &big),
            b"rm small\r\ndownload big\nrm small\nls\nbyebye\n".to_vec(),
        ]
        .concat();
        let wanted = [
            b"OK 0\n",
            UPLOADED.as_bytes(),
            b"OK 3 0.00 MB\nOK 2\nbc",
            UPLOADED.as_bytes(),
            b"OK File Berhasil Dihapus\nOK 1000000\n",
            &big,
            b"ERROR File Tidak Ditemukan\nOK 4\nbig\nOK\n",
        ]
        .concat();
        let mut client = server.connect("files");
        client.send(&sent).expect(&wanted);
        assert_eq!(client.rest(), b"");
    }
}

#[test]
fn names_with_blanks_quotes_and_numbers_mean_what_they_say() {
    let server = Server::start(&[]);
    let mut client = server.connect("files");
    for (asked, name) in [
        ("a b", "a b"),
        ("\"a b\"", "a b"),
        ("\"a 1\"", "a 1"),
        ("\"12\"", "12"),
        ("12", "12"),
        ("\" a \"", " a "),
        ("it's", "it's"),
        ("say \"hi\" 日本", "say \"hi\" 日本"),
        ("\"say \"hi\"\"", "say \"hi\""),
    ] {
        client.send(upload(asked, b"abc")).expect(UPLOADED);
        assert_eq!(got(&server, name), b"abc");
        client
            .send(format!(
                "size {asked}\ndownload {asked}\ndownload {asked} 2\n"
            ))
            .expect("OK 3 0.00 MB\nOK 3\nabcOK 1\nc")
            .send(format!("rm {asked}\n"))
            .expect("OK File Berhasil Dihapus\n");
        assert!(tree(&server.root()).is_empty());
    }
    // The number is the last field, and quotes take it into the name.
    put(&server, "a", b"abc");
    put(&server, "a 1", b"number");
    client
        .send("download a 1\ndownload \"a 1\"\ndownload \"a 1\" 1\nsize a 1\n")
        .expect("OK 2\nbcOK 6\nnumberOK 5\numberOK 6 0.00 MB\n");
    // A bare name is all that follows the word.
    let mut bare = server.connect("files");
    bare.send("download a 1").expect("number");
    bare.send("download \"a 1\"").expect("number");
}

#[test]
fn subfolders_are_reached_and_not_made() {
    for way in BOTH_WAYS {
        let server = Server::start(way);
        std::fs::create_dir_all(server.root().join("photos/2024")).expect("room");
        let mut client = server.connect("files");
        client
            .send(upload("photos/2024/a b", b"abc"))
            .expect(UPLOADED)
            .send("ls photos\nls photos/2024\n")
            .expect("OK 6\n2024/\nOK 4\na b\n")
            .send("size photos/2024/a b\ndownload photos/2024/a b\n")
            .expect("OK 3 0.00 MB\nOK 3\nabc")
            .send("rm photos/2024/a b\n")
            .expect("OK File Berhasil Dihapus\n")
            .send(upload("nowhere/a", b"abc"))
            .expect("ERROR there is no such folder\n");
        assert_eq!(client.rest(), b"");
        assert!(tree(&server.root()).is_empty());
        assert!(!server.root().join("nowhere").exists());
    }
}

#[test]
fn a_refused_command_says_why_and_ends_the_connection() {
    let server = Server::start(&["--max-file-size", "1000"]);
    put(&server, "old", b"old");
    let long = format!("rm {}", "n".repeat(256));
    let commands = [
        ("get old", "unknown command"),
        ("LS", "unknown command"),
        ("byebye now", "unknown command"),
        ("rm", "needs a name"),
        ("size ", "needs a name"),
        ("download", "needs a name"),
        ("upload old", "size is missing"),
        ("upload old -5", "size is missing"),
        ("upload old 99999999999999999999", "size is missing"),
        ("upload old 1001", "too large"),
        ("upload folder/ 5", ""),
        ("upload .. 5", ""),
        ("size o\u{7}ld", "control character"),
        ("rm \"\"", "empty"),
        (&long, "longer than 255"),
    ];
    for (command, reason) in commands {
        let mut client = server.connect("files");
        // A body may be on its way already: the answer must not be lost to a reset.
        client.send(format!("{command}\n")).send(noise(500_000));
        let reply = String::from_utf8(client.rest()).expect("text");
        assert!(reply.starts_with("ERROR "), "{command}: {reply}");
        assert!(reply.contains(reason), "{command}: {reply}");
        assert!(reply.ends_with('\n') && reply.lines().count() == 1);
    }
    assert_eq!(
        tree(&server.root()).into_values().collect::<Vec<_>>(),
        [b"old"]
    );
}

#[test]
fn an_upload_of_exactly_the_largest_size_is_taken_in_both_dialects() {
    for way in BOTH_WAYS {
        let server =
            Server::start(&[&["--max-file-size", "1000", "--settle", "200"], way].concat());
        let fits = noise(1_000);
        let mut client = server.connect("files");
        client.send(upload("line", &fits)).expect(UPLOADED);
        for (name, data, wanted) in [
            ("bare", &fits[..], "File Berhasil Dibuat"),
            (
                "over",
                &noise(1_001),
                "ERROR the file is too large; at most 1000 bytes are taken",
            ),
        ] {
            let mut bare = server.connect("files");
            bare.send(format!("upload {name}"));
            // When both of these are over, so is the settle window of what was sent before.
            for _ in 0..2 {
                let mut other = server.connect("files");
                other.send("size none").expect("File Tidak Ditemukan");
            }
            bare.send(data).finish();
            assert_eq!(String::from_utf8(bare.rest()).expect("text"), wanted);
        }
        assert!(got(&server, "line") == fits && got(&server, "bare") == fits);
        assert_eq!(tree(&server.root()).len(), 2);
    }
}

#[test]
fn a_read_only_server_changes_nothing_and_serves_the_rest() {
    let server = Server::start(&["--read-only"]);
    put(&server, "x", b"abc");
    let mut client = server.connect("files");
    client
        .send("rm x\nsize x\ndownload x\nls\n")
        .expect("ERROR this server is read-only\nOK 3 0.00 MB\nOK 3\nabcOK 2\nx\n");
    client.send(upload("x", &noise(300_000)));
    assert_eq!(client.rest(), b"ERROR this server is read-only\n");
    let mut bare = server.connect("files");
    bare.send("rm x").expect("ERROR this server is read-only");
    bare.send("upload x");
    assert_eq!(bare.rest(), b"ERROR this server is read-only");
    assert_eq!(got(&server, "x"), b"abc");
    assert_eq!(tree(&server.root()).len(), 1);
}

#[test]
fn an_upload_is_invisible_until_it_is_whole() {
    for way in BOTH_WAYS {
        let server = Server::start(way);
        let data = noise(2_000_000);
        let mut uploading = begin(&server, "new", &data[..1_000_000], data.len());
        assert!(tree(&server.root()).is_empty());
        let mut other = server.connect("files");
        other
            .send("ls\nsize new\nrm new\ndownload new\n")
            .expect("OK 0\n")
            .expect("ERROR File Tidak Ditemukan\n".repeat(3));
        uploading
            .send(&data[1_000_000..])
            .expect("OK File Berhasil Dibuat\n");
        assert!(got(&server, "new") == data);
        other.send("ls\n").expect("OK 4\nnew\n");
    }
}

#[test]
fn a_short_or_reset_upload_leaves_no_trace_and_the_old_file() {
    for way in BOTH_WAYS {
        let server = Server::start(way);
        let before = server.descriptors();
        put(&server, "x", b"old");
        let mut short = begin(&server, "x", &noise(700_000), 1_000_000);
        short.finish();
        assert_eq!(
            short.rest(),
            b"ERROR only 700000 of 1000000 bytes came; nothing is stored\n"
        );
        drop(short);
        for part in [0, 1, 700_000] {
            drop(begin(&server, "x", &noise(part), 1_000_000));
            begin(&server, "x", &noise(part), 1_000_000).reset();
        }
        eventually("all is closed", || server.descriptors() == before);
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
        let mut line = server.connect("files");
        line.send("download x\n")
            .expect(format!("OK {}\n", old.len()));
        let mut bare = server.connect("files");
        bare.send("download x").expect(&old[..1]);
        let mut other = server.connect("files");
        other.send(upload("x", b"new")).expect(UPLOADED);
        assert_eq!(got(&server, "x"), b"new");
        other.send("rm x\n").expect("OK File Berhasil Dihapus\n");
        line.expect(&old);
        bare.expect(&old[1..]);
    }
}

#[test]
fn of_two_uploads_of_one_name_each_is_whole_and_the_later_commit_wins() {
    for way in BOTH_WAYS {
        let server = Server::start(way);
        let (first, second) = (vec![1; 1_000_000], vec![2; 1_500_000]);
        let mut one = begin(&server, "x", &first[..600_000], first.len());
        let mut two = begin(&server, "x", &second[..600_000], second.len());
        two.send(&second[600_000..])
            .expect("OK File Berhasil Dibuat\n");
        assert!(got(&server, "x") == second);
        one.send(&first[600_000..])
            .expect("OK File Berhasil Dibuat\n");
        assert!(got(&server, "x") == first);
        let names: Vec<PathBuf> = tree(&server.root()).into_keys().collect();
        assert_eq!(names, [server.root().join("x")]);
    }
}

#[test]
fn an_empty_line_asks_nothing() {
    let server = Server::start(&[]);
    server
        .connect("files")
        .send("\n\r\nls\n\n")
        .expect("OK 0\n")
        .send("byebye\n")
        .expect("OK\n");
}

#[test]
fn a_bare_ls_of_an_empty_folder_does_not_leave_its_client_waiting() {
    let server = Server::start(&[]);
    server.connect("files").send("ls").expect("\n");
}

//! The answers of the files service are the documented ones.

use crate::support::file_service::FileService::Files;
use crate::support::{BOTH_WAYS, CREATED, NO_FILE, NO_FOLDER, REMOVED, Server, noise};

/// The bytes that a line client sends for an upload.
fn upload(name: &str, data: &[u8]) -> Vec<u8> {
    Files.upload(name, data)
}

#[test]
fn ls_is_sorted_by_bytes_and_folders_end_in_a_slash() {
    let server = Server::start(&[]);
    let mut client = server.connect("files");
    client.send("ls\n").expect("OK 0\n");
    for name in ["b", "B", "a b", "é", "a", ".hidden"] {
        server.put(name, "");
    }
    for name in ["folder", "a.d", "folder/inner"] {
        std::fs::create_dir(server.root().join(name)).expect("room");
    }
    server.put("folder/x", "");
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
fn size_reports_bytes_and_megabytes() {
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
    client.send("size nothing\n").expect(NO_FILE);
    let mut bare = server.connect("files");
    bare.send("size nothing").expect("File Tidak Ditemukan");
    bare.send("size x").expect("5120.00 MB");
}

#[test]
fn rm_removes_a_file_once() {
    let server = Server::start(&[]);
    server.put("x", "abc");
    server.put("y", "abc");
    server
        .connect("files")
        .send("rm x\nrm x\n")
        .expect("OK File Berhasil Dihapus\nERROR File Tidak Ditemukan\n");
    let mut bare = server.connect("files");
    bare.send("rm y").expect("File Berhasil Dihapus");
    bare.send("rm y").expect("File Tidak Ditemukan");
    assert!(server.contents().is_empty());
}

#[test]
fn a_download_starts_at_its_offset() {
    for way in BOTH_WAYS {
        let server = Server::start(way);
        let data = noise(1_000_000);
        server.put("x", &data);
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
fn names_with_blanks_quotes_and_numbers_are_parsed_as_documented() {
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
        client.send(upload(asked, b"abc")).expect(CREATED);
        assert_eq!(server.got(name), b"abc");
        client
            .send(format!(
                "size {asked}\ndownload {asked}\ndownload {asked} 2\n"
            ))
            .expect("OK 3 0.00 MB\nOK 3\nabcOK 1\nc")
            .send(format!("rm {asked}\n"))
            .expect(REMOVED);
        assert!(server.contents().is_empty());
    }
    // The number is the last field, unless quotes make it part of the name.
    server.put("a", "abc");
    server.put("a 1", "number");
    client
        .send("download a 1\ndownload \"a 1\"\ndownload \"a 1\" 1\nsize a 1\n")
        .expect("OK 2\nbcOK 6\nnumberOK 5\numberOK 6 0.00 MB\n");
    // A bare name is everything after the command word.
    let mut bare = server.connect("files");
    bare.send("download a 1").expect("number");
    bare.send("download \"a 1\"").expect("number");
}

#[test]
fn subfolders_are_reachable_and_never_created() {
    for way in BOTH_WAYS {
        let server = Server::start(way);
        std::fs::create_dir_all(server.root().join("photos/2024")).expect("room");
        let mut client = server.connect("files");
        client
            .send(upload("photos/2024/a b", b"abc"))
            .expect(CREATED)
            .send("ls photos\nls photos/2024\n")
            .expect("OK 6\n2024/\nOK 4\na b\n")
            .send("size photos/2024/a b\ndownload photos/2024/a b\n")
            .expect("OK 3 0.00 MB\nOK 3\nabc")
            .send("rm photos/2024/a b\n")
            .expect(REMOVED)
            .send(upload("nowhere/a", b"abc"))
            .expect(NO_FOLDER);
        assert_eq!(client.rest(), b"");
        assert!(server.contents().is_empty());
        assert!(!server.root().join("nowhere").exists());
    }
}

#[test]
fn a_bare_ls_of_an_empty_folder_is_answered_with_a_line_feed() {
    let server = Server::start(&[]);
    server.connect("files").send("ls").expect("\n");
}

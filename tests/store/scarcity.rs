//! A lack of space, permission or descriptors causes one ERROR line and does not stop the service.

use crate::support;
use crate::support::file_service::{FILE_SERVICES, FileService};
use crate::support::{
    BOTH_WAYS, CREATED, Client, REMOVED, Server, eventually, noise, pause, skip, tree,
};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const BUSY: &str = "ERROR too much is open at this moment; try again later\n";

/// A small file system that is unmounted on drop.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Option<SmallDisk> {
        SmallDisk::mount_as(&["-t", "tmpfs", "-o", "size=1m", "tmpfs"], at)
    }

    fn mount_as(options: &[&str], at: &Path) -> Option<SmallDisk> {
        std::fs::create_dir_all(at).expect("a folder");
        let mounted = Command::new("mount")
            .args(options)
            .arg(at)
            .output()
            .is_ok_and(|output| output.status.success());
        mounted.then(|| SmallDisk(at.to_owned()))
    }

    /// An ext4 file system, where folders need blocks: the name of a file may not fit.
    fn mount_blocks(at: &Path, image: &Path) -> Option<SmallDisk> {
        std::fs::create_dir_all(at).expect("a folder");
        std::fs::File::create(image)
            .and_then(|image| image.set_len(2 << 20))
            .expect("a sparse file");
        let succeeds = |command: &mut Command| {
            let output = command.output();
            output.is_ok_and(|output| output.status.success())
        };
        let made = succeeds(
            Command::new("mke2fs")
                .args(["-q", "-F", "-t", "ext4", "-b", "1024", "-m", "0"])
                .args(["-O", "^has_journal"])
                .arg(image),
        );
        let mounted = made
            && succeeds(
                Command::new("mount")
                    .args(["-o", "loop"])
                    .arg(image)
                    .arg(at),
            );
        mounted.then(|| SmallDisk(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Sets a limit of the running server by `prlimit`.
fn limit(server: &Server, what: &str) -> bool {
    let id = server.id().to_string();
    Command::new("prlimit")
        .args(["--pid", &id, what])
        .output()
        .is_ok_and(|output| output.status.success())
}

/// The limit under which the server can open exactly `more` descriptors: the kernel limits their
/// numbers, and some numbers below the highest are free.
fn nofile(server: &Server, more: usize) -> String {
    server.rest_after_start();
    let taken: Vec<usize> = std::fs::read_dir(format!("/proc/{}/fd", server.id()))
        .expect("alive")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    let free = (0..).filter(|number| !taken.contains(number)).nth(more);
    format!("--nofile={}:", free.expect("numbers do not end"))
}

#[test]
fn a_full_disk_causes_one_error_and_keeps_the_old_file() {
    for way in BOTH_WAYS {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("root");
        let Some(disk) = SmallDisk::mount(&root) else {
            return skip(
                "a_full_disk_causes_one_error_and_keeps_the_old_file",
                "no mount",
            );
        };
        std::fs::write(root.join("old"), "old").expect("a file");
        let before = tree(&root);
        let server = Server::start_in(folder, way);
        let body = noise(3_000_000);
        let mut known = server.connect("files");
        known.send("upload old 3000000\n");
        known
            .expect("ERROR there is no space left for the file\n")
            .rest();
        // Uploads of unknown size: a bare one, and one whose size is ambiguous.
        for _ in 0..3 {
            let mut bare = server.connect("files");
            bare.send("upload old");
            support::pause();
            let _ = std::io::Write::write_all(&mut bare.0, &body);
            let mut answer = String::new();
            let _ = bare.0.read_to_string(&mut answer);
            assert_eq!(answer, "ERROR there is no space left for the file");
            let mut guessed = server.connect("transfer");
            guessed.send("SEND").expect("OK");
            let _ = std::io::Write::write_all(&mut guessed.0, b"oldold<SEPARATOR>3000000");
            let _ = std::io::Write::write_all(&mut guessed.0, &body);
            let mut answer = String::new();
            let _ = guessed.0.read_to_string(&mut answer);
            assert_eq!(answer, "ERROR: there is no space left for the file");
        }
        assert_eq!(tree(&root), before);
        eventually("each upload is logged with the reason", || {
            let log = server.log();
            let why = "failed: there is no space left for the file";
            let lines = log.lines().filter(|line| line.contains(why));
            let named = lines.filter(|line| line.contains("upload \"old\" from 127.0.0.1:"));
            named.count() == 7
        });
        let mut fits = server.connect("files");
        fits.send("upload new 500000\n")
            .send(&body[..500_000])
            .expect(CREATED);
        fits.send("rm new\n").expect(REMOVED);
        assert_eq!(tree(&root), before);
        drop(server);
        drop(disk);
    }
}

#[test]
fn uploads_work_where_the_file_system_reports_no_blocks() {
    const NAME: &str = "uploads_work_where_the_file_system_reports_no_blocks";
    let tmpfs = ["-t", "tmpfs", "-o", "size=0", "tmpfs"];
    let ramfs = ["-t", "ramfs", "ramfs"];
    for options in [&tmpfs[..], &ramfs] {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("root");
        let Some(disk) = SmallDisk::mount_as(options, &root) else {
            return skip(NAME, "no mount");
        };
        let blocks = rustix::fs::statvfs(&root).expect("mounted").f_blocks;
        assert_eq!(blocks, 0, "{options:?}");
        let server = Server::start_in(folder, &[]);
        let body = noise(300_000);
        let mut client = server.connect("files");
        client.send("upload new 300000\n").send(&body);
        client.expect(CREATED);
        let mut client = server.connect("transfer");
        client.send("SEND\nsent\nsent<SEPARATOR>5\nhello");
        client.expect("OK\nOK 5\n");
        let stored = [root.join("new"), root.join("sent")];
        assert_eq!(
            tree(&root),
            stored.into_iter().zip([body, b"hello".to_vec()]).collect()
        );
        drop((server, disk));
    }
}

#[test]
fn of_eight_uploads_those_that_fill_the_disk_are_refused_at_their_command() {
    for way in BOTH_WAYS {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("root");
        let Some(disk) = SmallDisk::mount(&root) else {
            return skip(
                "of_eight_uploads_those_that_fill_the_disk_are_refused_at_their_command",
                "no mount",
            );
        };
        for slot in 0..4 {
            std::fs::write(root.join(format!("name{slot}")), "old").expect("a file");
        }
        let server = Server::start_in(folder, way);
        let body = noise(400_000);
        let mut clients: Vec<(usize, FileService, Client)> = Vec::new();
        // Each of them would fit alone. Nothing but their commands is sent.
        for slot in 0..8 {
            let service = FILE_SERVICES[slot % 2];
            let mut client = server.connect(service.name());
            let head = service.upload_head(&format!("name{slot}"), 400_000);
            client.send(head);
            let refused = match slot < 2 {
                true => "OK\n".to_owned(),
                false => service.error("there is no space left for the file") + "\n",
            };
            if slot >= 2 && service == FileService::Transfer {
                client.expect("OK\n");
            }
            client.expect(refused);
            clients.push((slot, service, client));
        }
        clients.truncate(2);
        for piece in body.chunks(50_000) {
            for (.., client) in &mut clients {
                client.send(piece);
            }
        }
        let stored = clients.len();
        for (slot, service, client) in &mut clients {
            client.expect(service.stored(400_000));
            assert!(server.got(format!("name{slot}")) == body, "name{slot}");
        }
        for slot in 2..8 {
            let found = std::fs::read(root.join(format!("name{slot}"))).ok();
            let old = (slot < 4).then(|| b"old".to_vec());
            assert!(found == old, "name{slot} was changed");
        }
        drop(clients);
        // What is left can be used.
        let mut fits = server.connect("files");
        let room = 1_000_000 - 400_000 * stored - 100_000;
        fits.send(format!("upload fits {room}\n"));
        fits.send(&body.repeat(3)[..room]).expect(CREATED);
        drop((server, disk));
    }
}

#[test]
fn each_of_eight_uploads_of_unknown_size_is_stored_or_refused_when_the_disk_fills() {
    const NAME: &str =
        "each_of_eight_uploads_of_unknown_size_is_stored_or_refused_when_the_disk_fills";
    for way in BOTH_WAYS {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("root");
        let Some(disk) = SmallDisk::mount(&root) else {
            return skip(NAME, "no mount");
        };
        for slot in 0..4 {
            std::fs::write(root.join(format!("name{slot}")), "old").expect("a file");
        }
        let server = Server::start_in(folder, way);
        let body = noise(400_000);
        let mut clients: Vec<Client> = Vec::new();
        for slot in 0..8 {
            let mut client = server.connect("files");
            client.send(format!("upload name{slot}"));
            clients.push(client);
        }
        pause();
        for piece in body.chunks(50_000) {
            for client in &mut clients {
                // A refused connection may be closed already.
                let _ = std::io::Write::write_all(&mut client.0, piece);
            }
        }
        let mut stored = 0;
        for (slot, client) in clients.iter_mut().enumerate() {
            let _ = client.0.shutdown(std::net::Shutdown::Write);
            let mut answer = String::new();
            let _ = client.0.read_to_string(&mut answer);
            let found = std::fs::read(root.join(format!("name{slot}"))).ok();
            if answer == "File Berhasil Dibuat" {
                stored += 1;
                assert!(found.is_some_and(|found| found == body), "name{slot}");
            } else {
                assert!(answer.ends_with("no space left for the file"), "{answer}");
                let old = (slot < 4).then(|| b"old".to_vec());
                assert!(found == old, "name{slot} was changed");
            }
        }
        assert!(stored <= 2, "{stored} of them fit");
        drop(clients);
        // The blocks of the refused uploads are free again.
        let mut fits = server.connect("files");
        let room = 1_000_000 - 400_000 * stored - 100_000;
        fits.send(format!("upload fits {room}\n"));
        fits.send(&body.repeat(3)[..room]).expect(CREATED);
        drop((server, disk));
    }
}

#[test]
fn a_folder_without_room_for_a_name_causes_one_error() {
    const NAME: &str = "a_folder_without_room_for_a_name_causes_one_error";
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("root");
    let Some(disk) = SmallDisk::mount_blocks(&root, &folder.path().join("image")) else {
        return skip(NAME, "no mke2fs or no loop device");
    };
    let server = Server::start_in(folder, &[]);
    let filler = noise(1 << 20);
    let mut file = std::fs::File::create(root.join("filler")).expect("a file");
    while let Ok(1..) = std::io::Write::write(&mut file, &filler) {}
    while let Ok(1..) = std::io::Write::write(&mut file, b"x") {}
    let long = |number: usize| format!("{}{number:03}", "n".repeat(200));
    let taken =
        (0..100).take_while(|&number| std::fs::File::create(root.join(long(number))).is_ok());
    let taken = taken.count();
    assert!(taken < 100, "the folder has no space for more names");
    // An empty body needs no block, so that only the name does not fit.
    for _ in 0..3 {
        let name = long(100);
        let mut client = server.connect("files");
        client.send(format!("upload {name} 0\n"));
        client.expect("OK\nERROR there is no space left for the file\n");
        let mut client = server.connect("transfer");
        client.send(format!("SEND\n{name}\n{name}<SEPARATOR>0\n"));
        client.expect("OK\nERROR: there is no space left for the file\n");
    }
    file.set_len(0).expect("room again");
    let mut client = server.connect("files");
    let name = long(100);
    client.send(format!("upload {name} 3\nnew")).expect(CREATED);
    assert_eq!(std::fs::read(root.join(name)).expect("a file"), b"new");
    drop((file, server, disk));
}

#[test]
fn a_limit_on_file_sizes_causes_one_error() {
    for way in BOTH_WAYS {
        let server = Server::start(way);
        if !limit(&server, "--fsize=100000") {
            return skip("a_limit_on_file_sizes_causes_one_error", "no prlimit");
        }
        for _ in 0..3 {
            let mut client = server.connect("files");
            client.send("upload big 300000\n").send(noise(300_000));
            client
                .expect("OK\nERROR there is no space left for the file\n")
                .rest();
        }
        let mut client = server.connect("files");
        client
            .send("upload fits 90000\n")
            .send(noise(90_000))
            .expect(CREATED);
        assert_eq!(server.contents().len(), 1);
    }
}

#[test]
fn a_missing_permission_causes_one_error() {
    const NAME: &str = "a_missing_permission_causes_one_error";
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("root");
    std::fs::create_dir_all(root.join("locked")).expect("folders");
    for name in ["closed", "locked/x"] {
        std::fs::write(root.join(name), "x").expect("a file");
    }
    let set = |path: PathBuf, mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(path, mode).expect("ours");
    };
    set(root.join("closed"), 0o000);
    set(root.join("locked"), 0o555);
    if rustix::process::geteuid().is_root() {
        // Root ignores permissions: the server runs as another user.
        if !Command::new("setpriv")
            .arg("--version")
            .output()
            .is_ok_and(|out| out.status.success())
        {
            return skip(NAME, "root without setpriv");
        }
        set(folder.path().to_owned(), 0o755);
    }
    let server = Server::start_as_nobody(&[], folder, &[]);
    let denied = "ERROR the server has no permission for it\n";
    for command in ["download closed", "rm locked/x", "upload locked/y 1\nx"] {
        let mut client = server.connect("files");
        client.send(format!("{command}\n")).finish();
        assert_eq!(String::from_utf8_lossy(&client.rest()), denied, "{command}");
    }
    let mut client = server.connect("files");
    client.send("size locked/x\n").expect("OK 1 0.00 MB\n");
    set(root.join("locked"), 0o755);
    assert_eq!(tree(&root.join("locked")).len(), 1);
}

#[test]
fn without_descriptors_clients_wait_and_the_loop_sleeps() {
    for way in BOTH_WAYS {
        let server = Server::start(way);
        server.sparse("big", 64 << 20);
        if !limit(&server, &nofile(&server, 31)) {
            return skip(
                "without_descriptors_clients_wait_and_the_loop_sleeps",
                "no prlimit",
            );
        }
        // 31 descriptors: 15 clients with a file each, one without, and 85 that wait.
        let mut holding: Vec<Client> = Vec::new();
        for _ in 0..15 {
            let mut client = server.connect("files");
            client.send("download big\n").expect("OK 67108864\n");
            holding.push(client);
        }
        let mut refused = server.connect("files");
        refused.send("download big\n").expect(BUSY);
        refused.send("download big\n").expect(BUSY);
        let mut waiting: Vec<Client> = (0..85)
            .map(|_| {
                let mut client = server.connect("echo");
                client.send("patience");
                client
            })
            .collect();
        eventually("the lack is noticed", || {
            server.log().contains("no descriptor")
        });
        server.rests(1_500);
        // Every closed connection admits another, until all have been served.
        drop((holding, refused));
        for client in &mut waiting {
            client.expect("patience");
            client.finish().rest();
        }
    }
}

#[test]
fn a_server_without_a_free_descriptor_sleeps_until_it_has_one() {
    let server = Server::start(&[]);
    if !limit(&server, &nofile(&server, 0)) {
        return skip(
            "a_server_without_a_free_descriptor_sleeps_until_it_has_one",
            "no prlimit",
        );
    }
    let mut client = server.connect("echo");
    client.send("patience");
    eventually("the lack is noticed", || {
        server.log().contains("no descriptor")
    });
    server.rests(1_500);
    assert!(limit(&server, "--nofile=1000:"));
    client.expect("patience");
}

#[test]
fn clients_that_do_not_read_share_one_descriptor_for_a_listing() {
    let server = Server::start(&[]);
    for number in 0..3_000 {
        let name = format!("{number:05}{}", "n".repeat(200));
        server.put(name, "");
    }
    // A listing is shared once the next change of its folder would have another time stamp.
    pause();
    let before = server.descriptors();
    let mut clients: Vec<Client> = (0..10).map(|_| server.connect("files")).collect();
    for client in &mut clients {
        // More than the buffers of the kernel hold.
        client.send("ls\n".repeat(30)).expect("OK 618000\n");
    }
    eventually("only the connections and one list are open", || {
        server.descriptors() == before + clients.len() + 1
    });
}

#[test]
fn a_command_refused_for_lack_of_a_descriptor_changes_nothing() {
    let server = Server::start(&[]);
    server.put("old", "old");
    let before = tree(&server.root());
    let mut removing = server.connect("files");
    removing.send("size old\n").expect("OK 3 0.00 MB\n");
    assert!(limit(&server, &nofile(&server, 0)));
    removing.send("rm old\n").expect(BUSY);
    removing.send("upload old 4\nbody").expect(BUSY).rest();
    assert!(limit(&server, "--nofile=1024:"));
    assert_eq!(tree(&server.root()), before);
    let mut removing = server.connect("files");
    removing.send("rm old\n").expect(REMOVED);
}

#[test]
fn an_accepted_upload_needs_no_further_descriptor() {
    for flags in [&[][..], &["--no-sync"]] {
        // A large second half is spliced, a small one is copied.
        for (name, length) in [("old", 4), ("old", 300_000), ("new", 4), ("new", 300_000)] {
            let server = Server::start(flags);
            server.put("old", "old");
            let body = noise(length);
            let (first, second) = body.split_at(length / 2);
            let mut storing = server.connect("files");
            let command = format!("upload {name} {length}\n");
            storing.send(command).expect("OK\n");
            assert!(limit(&server, &nofile(&server, 0)));
            storing.send(first).send(second);
            storing.expect("OK File Berhasil Dibuat\n");
            let stored = server.got(name);
            assert!(stored == body, "{name} of {length} bytes, {flags:?}");
        }
    }
}

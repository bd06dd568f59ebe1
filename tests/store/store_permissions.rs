//! Owner and permissions of a stored file: those of the replaced file, or of any new file.

use crate::support;
use crate::support::{CREATED, Server};
use rustix::fs::XattrFlags;
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;

const ACL: &str = "system.posix_acl_access";

fn mode(path: &Path) -> u32 {
    let found = std::fs::symlink_metadata(path).expect("a file");
    found.permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("ours");
}

/// Replaces `a` by every command that stores a file; the content is `new`.
fn every_way(server: &Server, mut check: impl FnMut(&str)) {
    for (service, text, answer) in [
        ("files", "upload a 3\nnew", CREATED),
        ("transfer", "SEND\na\na<SEPARATOR>3\nnew", "OK\nOK 3\n"),
    ] {
        server.connect(service).send(text).expect(answer);
        check(text);
    }
    let mut bare = server.connect("files");
    bare.send("upload a");
    support::pause();
    bare.send("new").finish().expect("File Berhasil Dibuat");
    check("bare upload");
    let mut bare = server.connect("transfer");
    bare.send("SEND").expect("OK");
    bare.send("aa<SEPARATOR>3new").finish();
    assert_eq!(bare.rest(), b"");
    check("bare SEND");
}

#[test]
fn a_replaced_file_keeps_its_permission_bits_and_no_setuid() {
    for flags in [&[][..], &["--no-sync"]] {
        let server = Server::start(flags);
        let path = server.root().join("a");
        for (before, after) in [
            (0o600, 0o600),
            (0o640, 0o640),
            (0o444, 0o444),
            (0o755, 0o755),
            (0o666, 0o666),
            (0o777, 0o777),
            (0o200, 0o200),
            (0o6755, 0o755),
            (0o1640, 0o640),
        ] {
            every_way(&server, |way| {
                assert_eq!(std::fs::read(&path).expect("a file"), b"new", "{way}");
                set_mode(&path, before);
                assert_eq!(mode(&path), before);
            });
            every_way(&server, |way| {
                assert_eq!(mode(&path), after, "{before:o} {way}");
                set_mode(&path, before);
            });
        }
    }
}

#[test]
fn a_new_file_has_the_permissions_of_any_new_file() {
    let server = Server::start(&[]);
    let path = server.root().join("a");
    let other = server.root().join("other");
    std::fs::write(&other, "other").expect("a file");
    let target = server.root().join("target");
    std::fs::write(&target, "target").expect("a file");
    set_mode(&target, 0o600);
    every_way(&server, |way| {
        assert_eq!(mode(&path), mode(&other), "{way}");
        std::fs::remove_file(&path).expect("it is there");
        // The link itself is replaced; the permissions of its target do not apply.
        symlink("target", &path).expect("a link");
    });
    assert_eq!(mode(&target), 0o600);
    assert_eq!(std::fs::read(&target).expect("a file"), b"target");
}

#[test]
fn a_replaced_file_keeps_its_owner_if_the_server_may_change_owners() {
    if !rustix::process::geteuid().is_root() {
        support::skip("a_replaced_file_keeps_its_owner", "needs root");
        return;
    }
    let server = Server::start(&[]);
    let path = server.root().join("a");
    std::fs::write(&path, "old").expect("a file");
    chown(&path, Some(1234), Some(2345)).expect("root may");
    set_mode(&path, 0o640);
    every_way(&server, |way| {
        let found = std::fs::metadata(&path).expect("a file");
        assert_eq!((found.uid(), found.gid()), (1234, 2345), "{way}");
        assert_eq!(mode(&path), 0o640, "{way}");
    });
}

#[test]
fn a_server_that_may_not_change_owners_keeps_the_permissions() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("root");
    std::fs::create_dir(&root).expect("a root");
    let path = root.join("a");
    std::fs::write(&path, "old").expect("a file");
    set_mode(&path, 0o640);
    set_mode(folder.path(), 0o755);
    set_mode(&root, 0o777);
    let server = Server::start_as_nobody(&[], folder, &[]);
    every_way(&server, |way| {
        assert_eq!(mode(&path), 0o640, "{way}");
        set_mode(&path, 0o640);
    });
}

/// An access ACL of acl(5): the owner, user 1234, the group, the mask and others.
fn access_list(user: u16) -> Vec<u8> {
    let none = u32::MAX;
    let entries = [
        (0x01, 6, none),
        (0x02, user, 1234),
        (0x04, 4, none),
        (0x10, 7, none),
        (0x20, 0, none),
    ];
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        list.extend(u16::to_le_bytes(tag));
        list.extend(u16::to_le_bytes(permissions));
        list.extend(u32::to_le_bytes(id));
    }
    list
}

#[test]
fn a_replaced_file_keeps_its_acl_and_inherits_none_from_its_folder() {
    let server = Server::start(&[]);
    let path = server.root().join("a");
    std::fs::write(&path, "old").expect("a file");
    let list = access_list(6);
    if rustix::fs::setxattr(&path, ACL, &list, XattrFlags::empty()).is_err() {
        support::skip(
            "a_replaced_file_keeps_its_acl",
            "no ACLs on this file system",
        );
        return;
    }
    let found = |path: &Path| {
        let mut list = [0; 1_000];
        let length = rustix::fs::getxattr(path, ACL, &mut list);
        length.map(|length| list[..length].to_vec())
    };
    every_way(&server, |way| {
        assert_eq!(found(&path), Ok(list.clone()), "{way}");
        assert_eq!(
            mode(&path),
            0o670,
            "{way}: the mask replaces the group bits"
        );
    });
    let default = "system.posix_acl_default";
    rustix::fs::setxattr(server.root(), default, &access_list(7), XattrFlags::empty())
        .expect("a list");
    rustix::fs::removexattr(&path, ACL).expect("it has one");
    set_mode(&path, 0o640);
    every_way(&server, |way| {
        assert_eq!(found(&path), Err(rustix::io::Errno::NODATA), "{way}");
        assert_eq!(mode(&path), 0o640, "{way}");
    });
}

#[test]
fn a_change_in_a_folder_without_read_permission_is_synced() {
    let folder = support::rooted();
    let inbox = folder.path().join("root/inbox");
    std::fs::create_dir(&inbox).expect("a folder");
    std::fs::write(inbox.join("a"), "a").expect("a file");
    set_mode(folder.path(), 0o755);
    set_mode(&inbox, 0o333);
    if Command::new("strace").arg("-V").output().is_err() {
        let test = "a_change_in_a_folder_without_read_permission_is_synced";
        return support::skip(test, "no strace(1)");
    }
    let calls = folder.path().join("calls");
    let file = calls.to_str().expect("text");
    let trace = [
        "strace",
        "-Dfqqo",
        file,
        "-etrace=mkdirat,renameat2,unlinkat,syncfs",
    ];
    let server = Server::start_as_nobody(&trace, folder, &[]);
    let answers = server.ask("files", "mkdir inbox/d\nmv inbox/a inbox/b\nrm inbox/b\n");
    let wanted = "OK the folder is made\nOK the name is changed\nOK File Berhasil Dihapus\n";
    assert_eq!(answers, wanted);
    let calls = std::fs::read_to_string(&calls).expect("its calls");
    // A line is `PID NAME(...) = 0`.
    let done = calls.lines().filter(|line| line.ends_with(" = 0"));
    let names: Vec<&str> = done
        .filter_map(|line| line.split('(').next()?.split(' ').next_back())
        .collect();
    let wanted = [
        "mkdirat",
        "syncfs",
        "renameat2",
        "syncfs",
        "syncfs",
        "unlinkat",
        "syncfs",
    ];
    assert_eq!(names, wanted, "{calls}");
}

//! What a thread can still do in the sandbox: each forbidden access is tried.

use crate::support::Server;
use crate::support::kernel::{has_landlock, has_seccomp, kernel_knows};
use landlock::ABI;
use loket::reactor::connect::begin;
use loket::setup::sandbox::enclose;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketType, bind, connect, listen, sendto, socket};
use rustix::process::{
    PidfdFlags, Resource, Uid, getpriority_process, pidfd_open, prlimit, setpriority_pgrp,
    setpriority_process, setpriority_user,
};
use rustix::thread::UnshareFlags;
use std::fs::{self, File};
use std::io::ErrorKind::PermissionDenied;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs `act` in a sandboxed thread, with a new folder that contains the root.
fn in_sandbox(read_only: bool, act: impl FnOnce(&Path) + Send + 'static) {
    in_linked_sandbox(read_only, &[], act);
}

/// The same with a link to brokers on these ports.
fn in_linked_sandbox(
    read_only: bool,
    ports: &'static [u16],
    act: impl FnOnce(&Path) + Send + 'static,
) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path().join("root");
    fs::create_dir(&root).expect("a root");
    fs::write(root.join("there"), "before").expect("a file");
    fs::write(folder.path().join("outside"), "secret").expect("a file");
    let thread = std::thread::spawn(move || {
        let opened = File::open(&root).expect("the root");
        assert!(enclose(opened.as_fd(), read_only, ports), "Landlock holds");
        act(&root);
    });
    thread.join().expect("the thread's own assertions");
}

#[test]
fn a_sandboxed_thread_cannot_access_files_outside_the_root() {
    if !has_landlock("a_sandboxed_thread_cannot_access_files_outside_the_root") {
        return;
    }
    in_sandbox(false, |root| {
        let refused = |path: PathBuf| {
            let error = File::open(&path).expect_err("outside");
            assert_eq!(error.kind(), PermissionDenied, "{}", path.display());
            let error = fs::read_dir(path.parent().expect("below /")).expect_err("outside");
            assert_eq!(error.kind(), PermissionDenied, "above {}", path.display());
        };
        refused(root.join("../outside"));
        refused("/etc/passwd".into());
        let outside = root.join("../new");
        let error = fs::write(&outside, "x").expect_err("outside");
        assert_eq!(error.kind(), PermissionDenied);
        let error = fs::rename(root.join("there"), outside).expect_err("outside");
        assert!([PermissionDenied, std::io::ErrorKind::CrossesDevices].contains(&error.kind()));
        let error = Command::new("/bin/true")
            .spawn()
            .expect_err("no program is run");
        assert_eq!(error.kind(), PermissionDenied);
    });
}

#[test]
fn a_sandboxed_thread_can_use_files_below_the_root() {
    if !has_landlock("a_sandboxed_thread_can_use_files_below_the_root") {
        return;
    }
    in_sandbox(false, |root| {
        let (there, new) = (root.join("there"), root.join("new"));
        fs::write(&new, "after").expect("a new file");
        fs::rename(&new, &there).expect("a replaced file");
        assert_eq!(fs::read(&there).expect("a file"), b"after");
        fs::write(&there, "cut").expect("a shorter file");
        assert_eq!(fs::read_dir(root).expect("a folder").count(), 1);
        fs::remove_file(&there).expect("no file any more");
        let error = fs::create_dir(root.join("folder")).expect_err("the store creates no folder");
        assert_eq!(error.kind(), PermissionDenied);
    });
}

#[test]
fn a_read_only_sandboxed_thread_cannot_write() {
    if !has_landlock("a_read_only_sandboxed_thread_cannot_write") {
        return;
    }
    in_sandbox(true, |root| {
        let there = root.join("there");
        assert_eq!(fs::read(&there).expect("a file"), b"before");
        assert_eq!(fs::read_dir(root).expect("a folder").count(), 1);
        for refused in [
            fs::write(&there, "after"),
            fs::write(root.join("new"), "new"),
            fs::rename(&there, root.join("new")),
            fs::hard_link(&there, root.join("new")),
            fs::remove_file(&there),
        ] {
            assert_eq!(refused.expect_err("a change").kind(), PermissionDenied);
        }
        let open = File::open(&there).expect("a file");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        for refused in [
            open.set_permissions(mode),
            std::os::unix::fs::fchown(&open, None, Some(0)),
        ] {
            assert_eq!(refused.expect_err("a change").kind(), PermissionDenied);
        }
        assert_eq!(fs::read(&there).expect("a file"), b"before");
    });
}

#[test]
fn a_sandboxed_thread_cannot_open_tcp_connections_or_send_signals() {
    const NAME: &str = "a_sandboxed_thread_cannot_open_tcp_connections_or_send_signals";
    if !kernel_knows(ABI::V6) {
        println!("SKIPPED {NAME}: this kernel's Landlock has no scopes (Linux 6.12 has)");
        return;
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = Server::start(&[]);
    let other = rustix::process::Pid::from_raw(server.id() as i32).expect("a process");
    rustix::process::test_kill_process(other).expect("a process that may be signalled");
    in_sandbox(false, move |_| {
        let error = std::net::TcpStream::connect(address).expect_err("a new connection");
        assert_eq!(error.kind(), PermissionDenied);
        let error = std::net::TcpListener::bind("127.0.0.1:0").expect_err("a new port");
        assert_eq!(error.kind(), PermissionDenied);
        let refused = rustix::process::test_kill_process(other);
        assert_eq!(refused, Err(rustix::io::Errno::PERM));
    });
}

#[test]
fn a_link_may_connect_to_the_ports_of_its_brokers_alone() {
    const NAME: &str = "a_link_may_connect_to_the_ports_of_its_brokers_alone";
    if !kernel_knows(ABI::V4) || !has_seccomp(NAME) {
        println!("SKIPPED {NAME}: this kernel's Landlock knows no ports (Linux 6.7 does)");
        return;
    }
    let listeners = [0; 2].map(|_| std::net::TcpListener::bind("127.0.0.1:0").expect("a port"));
    let [broker, other] = listeners
        .each_ref()
        .map(|it| it.local_addr().expect("an address"));
    let ports = Box::leak(Box::new([broker.port()]));
    in_linked_sandbox(false, ports, move |_| {
        begin(broker, None).expect("a connection to the broker");
        let error = begin(other, None).expect_err("another port");
        assert_eq!(error.kind(), PermissionDenied);
        let made = |family, kind| socket(family, kind, None).err();
        all_refused([
            ("UDP", made(AddressFamily::INET, SocketType::DGRAM)),
            ("Unix stream", made(AddressFamily::UNIX, SocketType::STREAM)),
            ("raw", made(AddressFamily::INET, SocketType::RAW)),
        ]);
        let error = std::net::TcpListener::bind("127.0.0.1:0").expect_err("a new port");
        assert_eq!(error.kind(), PermissionDenied);
    });
    drop(listeners);
}

/// Expects that all these calls have failed with EPERM.
fn all_refused<const N: usize>(tried: [(&str, Option<Errno>); N]) {
    for (what, outcome) in tried {
        assert_eq!(outcome, Some(Errno::PERM), "{what}");
    }
}

#[test]
fn a_sandboxed_thread_cannot_create_a_socket_of_any_kind() {
    if !has_seccomp("a_sandboxed_thread_cannot_create_a_socket_of_any_kind") {
        return;
    }
    in_sandbox(false, |_| {
        let made = |family, kind| socket(family, kind, None).err();
        all_refused([
            ("TCP", made(AddressFamily::INET, SocketType::STREAM)),
            (
                "TCP over IPv6",
                made(AddressFamily::INET6, SocketType::STREAM),
            ),
            ("UDP", made(AddressFamily::INET, SocketType::DGRAM)),
            ("raw", made(AddressFamily::INET, SocketType::RAW)),
            ("packets", made(AddressFamily::PACKET, SocketType::RAW)),
            ("netlink", made(AddressFamily::NETLINK, SocketType::DGRAM)),
            ("Unix stream", made(AddressFamily::UNIX, SocketType::STREAM)),
            (
                "Unix datagrams",
                made(AddressFamily::UNIX, SocketType::DGRAM),
            ),
            ("vsock", made(AddressFamily::VSOCK, SocketType::STREAM)),
        ]);
    });
}

#[test]
fn a_sandboxed_thread_cannot_connect_to_a_unix_socket() {
    if !has_seccomp("a_sandboxed_thread_cannot_connect_to_a_unix_socket") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("socket");
    let there = UnixListener::bind(&path).expect("a socket");
    let datagrams = folder.path().join("datagrams");
    let also_there = UnixDatagram::bind(&datagrams).expect("a socket");
    also_there.set_nonblocking(true).expect("a mode");
    in_sandbox(false, move |root| {
        let refused = |outcome: std::io::Result<()>| {
            assert_eq!(outcome.expect_err("a connection").kind(), PermissionDenied);
        };
        refused(UnixStream::connect(path).map(drop));
        refused(UnixListener::bind(root.join("own")).map(drop));
        refused(UnixDatagram::unbound().map(drop));
        refused(UnixDatagram::pair().map(drop));
        UnixStream::pair().expect("the pipe of a signal handler");
    });
    drop(there);
    let got = also_there.recv(&mut [0]).expect_err("no datagram");
    assert_eq!(got.kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn a_sandboxed_thread_cannot_connect_or_bind_an_open_socket() {
    if !has_seccomp("a_sandboxed_thread_cannot_connect_or_bind_an_open_socket") {
        return;
    }
    let other = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = other.local_addr().expect("an address");
    let open = |kind| socket(AddressFamily::INET, kind, None).expect("a socket");
    let (stream, datagrams) = (open(SocketType::STREAM), open(SocketType::DGRAM));
    let served = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    in_sandbox(false, move |_| {
        let connects = SendFlags::from_bits_retain(nix::libc::MSG_FASTOPEN as u32);
        all_refused([
            ("listen without bind", listen(&stream, 1).err()),
            ("connect", connect(&stream, &address).err()),
            ("connect of datagrams", connect(&datagrams, &address).err()),
            (
                "connect by sending",
                sendto(&stream, b"x", connects, &address).err(),
            ),
            (
                "bind",
                bind(
                    &datagrams,
                    &"127.0.0.1:0".parse::<SocketAddr>().expect("an address"),
                )
                .err(),
            ),
        ]);
        served
            .send_to(b"x", address)
            .expect("the room sends like this");
    });
}

#[test]
fn a_sandboxed_thread_cannot_change_its_namespaces_or_root_directory() {
    const NAME: &str = "a_sandboxed_thread_cannot_change_its_namespaces_or_root_directory";
    if !has_seccomp(NAME) {
        return;
    }
    in_sandbox(false, |root| {
        #[expect(deprecated, reason = "the test needs nothing that the threads share")]
        let unshared = |what| rustix::thread::unshare(what).err();
        let own = rustix::process::getpid();
        all_refused([
            ("a user namespace", unshared(UnshareFlags::NEWUSER)),
            ("a network namespace", unshared(UnshareFlags::NEWNET)),
            ("a mount namespace", unshared(UnshareFlags::NEWNS)),
            ("chroot", rustix::process::chroot(root).err()),
            ("chdir", rustix::process::chdir(root).err()),
            ("pidfd_open", pidfd_open(own, PidfdFlags::empty()).err()),
        ]);
    });
}

#[test]
fn a_sandboxed_thread_cannot_create_an_io_uring() {
    if !has_seccomp("a_sandboxed_thread_cannot_create_an_io_uring") {
        return;
    }
    if let Err(error) = io_uring::IoUring::new(1) {
        println!("SKIPPED a_sandboxed_thread_cannot_create_an_io_uring: not even without: {error}");
        return;
    }
    in_sandbox(false, |_| {
        let error = io_uring::IoUring::new(1).err().expect("a ring");
        assert_eq!(error.kind(), PermissionDenied);
    });
}

#[test]
fn a_sandboxed_thread_cannot_change_owner_mode_or_time() {
    if !has_seccomp("a_sandboxed_thread_cannot_change_owner_mode_or_time") {
        return;
    }
    // Landlock checks none of these, not even outside the root.
    in_sandbox(false, |root| {
        for path in [root.join("there"), root.join("../outside")] {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
            for refused in [
                fs::set_permissions(&path, mode),
                std::os::unix::fs::chown(&path, Some(0), Some(0)),
                std::os::unix::fs::lchown(&path, Some(0), Some(0)),
            ] {
                assert_eq!(refused.expect_err("a change").kind(), PermissionDenied);
            }
        }
        let there = File::open(root.join("there")).expect("a file");
        let error = there
            .set_modified(std::time::UNIX_EPOCH)
            .expect_err("a change");
        assert_eq!(error.kind(), PermissionDenied);
        let flags = rustix::fs::ioctl_getflags(&there);
        assert_eq!(flags.err(), Some(Errno::PERM));
    });
}

#[test]
fn a_sandboxed_thread_cannot_change_limits_of_other_processes() {
    if !has_seccomp("a_sandboxed_thread_cannot_change_limits_of_other_processes") {
        return;
    }
    let server = Server::start(&[]);
    let other = rustix::process::Pid::from_raw(server.id() as i32);
    in_sandbox(false, move |_| {
        let limit = rustix::process::getrlimit(Resource::Core);
        let set = rustix::thread::CpuSet::new();
        all_refused([
            ("prlimit", prlimit(other, Resource::Core, limit).err()),
            ("setpriority", setpriority_process(other, 19).err()),
            ("getpriority", getpriority_process(other).err()),
            ("of a group", setpriority_pgrp(None, 19).err()),
            ("of a user", setpriority_user(Uid::ROOT, 19).err()),
            (
                "sched_setaffinity",
                rustix::thread::sched_setaffinity(other, &set).err(),
            ),
        ]);
        rustix::process::setrlimit(Resource::Core, limit).expect("its own limit");
        setpriority_process(None, 19).expect("its own priority");
        assert_eq!(getpriority_process(None), Ok(19));
        std::thread::spawn(|| ()).join().expect("a new thread");
    });
}

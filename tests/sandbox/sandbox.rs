//! The sandbox of a server: Landlock, seccomp, dropped privileges, and the warnings at start.
//! Some tests need root, and most a kernel with Landlock; they are skipped without.

use crate::support;
use crate::support::kernel::{has_landlock, has_seccomp, kernel_knows};
use crate::support::{BOTH_WAYS, CREATED, Prepared, REMOVED, Server};
use clap::Parser;
use landlock::{ABI, AccessFs, Ruleset, RulesetAttr};
use loket::config;
use loket::config::reactor::REACTOR;
use rustix::process::Signal;
use rustix::thread::CapabilitySet;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

fn is_root(test: &str) -> bool {
    let is = rustix::process::geteuid().is_root();
    if !is {
        println!("SKIPPED {test}: needs root");
    }
    is
}

/// A field of `/proc/PID/status`. Panics if it differs between the threads of the server.
fn status(server: &Server, field: &str) -> String {
    let threads = fs::read_dir(format!("/proc/{}/task", server.id())).expect("a server");
    let values: BTreeSet<String> = threads
        .filter_map(|thread| {
            let path = thread.expect("a thread").path().join("status");
            // A thread that has no more to do ends.
            let status = fs::read_to_string(path).ok()?;
            let line = status.lines().find_map(|line| line.strip_prefix(field));
            Some(line.expect("a field of proc(5)").trim().to_owned())
        })
        .collect();
    assert_eq!(values.len(), 1, "{field} {values:?}");
    values.into_iter().next().expect("one")
}

/// The log with all lines of the start. It is written at the end of a round, so two echoes pass
/// first.
fn log_of_the_start(server: &Server) -> String {
    for _ in 0..2 {
        server.connect("echo").send("hi").expect("hi");
    }
    server.log()
}

/// The output of `id` for a user.
fn id(flag: &str, user: &str) -> String {
    let output = Command::new("id").args([flag, user]).output();
    let text = output.expect("id runs").stdout;
    String::from_utf8(text).expect("text").trim().to_owned()
}

#[test]
fn an_upload_into_a_folder_moved_out_of_the_root_fails() {
    if !has_landlock("an_upload_into_a_folder_moved_out_of_the_root_fails") {
        return;
    }
    // The store resolves a name when an upload begins. At its end only Landlock checks where the
    // folder is, so this proves that the server itself is sandboxed.
    for flags in BOTH_WAYS {
        let server = Server::start(flags);
        let inside = server.root().join("folder");
        let outside = server.root().with_file_name("elsewhere");
        fs::create_dir(&inside).expect("a folder made later");
        fs::write(inside.join("old"), "as it was").expect("a file");
        let mut uploads = ["new", "old"].map(|name| {
            let mut client = server.connect("files");
            client
                .send(format!("upload folder/{name} 5\n"))
                .expect("OK\n");
            client
        });
        fs::rename(&inside, &outside).expect("a move");
        for client in &mut uploads {
            client
                .send("bytes")
                .expect("ERROR the server has no permission for it\n");
        }
        let found = support::tree(&outside);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[&outside.join("old")], b"as it was");
    }
}

#[test]
fn a_sandboxed_server_serves_as_before() {
    for flags in BOTH_WAYS {
        let server = Server::start(flags);
        assert_eq!(status(&server, "NoNewPrivs:"), "1");
        fs::create_dir(server.root().join("later")).expect("a folder made later");
        let mut client = server.connect("files");
        for body in ["first", "again"] {
            let upload = format!("upload later/a 5\n{body}");
            client.send(upload).expect(CREATED);
            client
                .send("download later/a\n")
                .expect(format!("OK 5\n{body}"));
        }
        client.send("ls\n").expect("OK 7\nlater/\n");
        client.send("ls later\n").expect("OK 2\na\n");
        client.send("size later/a\n").expect("OK 5 0.00 MB\n");
        client.send("rm later/a\n").expect(REMOVED);
        std::os::unix::fs::symlink("/etc/passwd", server.root().join("link")).expect("a link");
        client.send("download link\n").expect("ERROR ");
        assert_eq!(
            fs::read_dir(server.root().join("later"))
                .expect("it")
                .count(),
            0
        );
        let log = log_of_the_start(&server);
        assert!(
            !log.contains("not enclosed") || !kernel_knows(ABI::V1),
            "{log}"
        );
        // By now the helper threads for the disk have started.
        if has_seccomp("a_sandboxed_server_serves_as_before (its filter)") {
            assert_eq!(status(&server, "Seccomp:"), "2");
        }
    }
}

#[test]
fn without_landlock_the_server_runs_with_a_warning() {
    if !has_landlock("without_landlock_the_server_runs_with_a_warning") {
        return;
    }
    let thread = std::thread::spawn(|| {
        // The kernel allows 16 layers. Each of these forbids something that no test here needs.
        for _ in 0..16 {
            let rules = Ruleset::default().handle_access(AccessFs::MakeBlock);
            let rules = rules.and_then(Ruleset::create).expect("rules");
            rules.restrict_self().expect("one more layer");
        }
        let server = Server::start(&[]);
        server.connect("files").send("ls\n").expect("OK 0\n");
        let log = log_of_the_start(&server);
        assert_eq!(
            log.matches("not enclosed in the root: Landlock failed")
                .count(),
            1,
            "{log}"
        );
    });
    thread.join().expect("the thread's own assertions");
}

#[test]
fn a_server_started_by_root_becomes_the_user_permanently() {
    if !is_root("a_server_started_by_root_becomes_the_user_permanently") {
        return;
    }
    // Only root can enter the parent folder, but the server opens its root before it drops root.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start_in(folder, &["--user", "nobody"]);
    let (user, group) = (id("-u", "nobody"), id("-g", "nobody"));
    assert_eq!(status(&server, "Uid:"), vec![user.clone(); 4].join("\t"));
    assert_eq!(status(&server, "Gid:"), vec![group.clone(); 4].join("\t"));
    assert_eq!(status(&server, "Groups:"), id("-G", "nobody"));
    for capabilities in ["CapPrm:", "CapEff:", "CapAmb:"] {
        assert_eq!(
            status(&server, capabilities),
            "0".repeat(16),
            "{capabilities}"
        );
    }
    let mut client = server.connect("files");
    for body in ["first", "again"] {
        let upload = format!("upload a 5\n{body}");
        client.send(upload).expect(CREATED);
    }
    for path in [server.root(), server.root().join("a")] {
        let owner = fs::metadata(&path).expect("made").uid();
        assert_eq!(owner.to_string(), user, "{}", path.display());
    }
    let log = log_of_the_start(&server);
    assert!(!log.contains("serving as root"), "{log}");
}

#[test]
fn a_user_by_number_is_not_looked_up_and_has_no_other_groups() {
    if !is_root("a_user_by_number_is_not_looked_up_and_has_no_other_groups") {
        return;
    }
    for (number, user, group) in [("4711:4712", "4711", "4712"), ("4711", "4711", "4711")] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let server = Server::start_in(folder, &["--user", number]);
        assert_eq!(status(&server, "Uid:"), [user; 4].join("\t"));
        assert_eq!(status(&server, "Gid:"), [group; 4].join("\t"));
        assert_eq!(status(&server, "Groups:"), "");
        let mut client = server.connect("files");
        client.send("upload a 5\nfirst").expect(CREATED);
    }
}

#[test]
fn a_server_that_stays_root_logs_a_warning() {
    if !is_root("a_server_that_stays_root_logs_a_warning") {
        return;
    }
    let log = log_of_the_start(&Server::start(&[]));
    assert_eq!(log.matches("serving as root").count(), 1, "{log}");
    assert!(log.contains("--user NAME"), "{log}");
}

#[test]
fn a_server_that_stays_root_keeps_only_file_capabilities() {
    if !is_root("a_server_that_stays_root_keeps_only_file_capabilities") {
        return;
    }
    let reading = CapabilitySet::DAC_READ_SEARCH;
    let writing = CapabilitySet::DAC_OVERRIDE | CapabilitySet::CHOWN | CapabilitySet::FOWNER;
    let all = reading | writing;
    for (flags, left) in [(&[][..], all), (&["--read-only"], reading)] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = folder.path().join("root");
        fs::create_dir(&root).expect("a root");
        fs::write(root.join("a"), "first").expect("a file");
        // A sticky folder: only the owner of a file may replace it.
        for (path, mode) in [(root.join("a"), 0o600), (root.clone(), 0o1700)] {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
            fs::set_permissions(&path, mode).expect("root's");
            std::os::unix::fs::chown(&path, Some(65534), Some(65534)).expect("root gives");
        }
        let server = Server::start_in(folder, flags);
        for field in ["CapPrm:", "CapEff:"] {
            assert_eq!(status(&server, field), format!("{:016x}", left.bits()));
        }
        assert_eq!(status(&server, "CapInh:"), "0".repeat(16));
        let mut client = server.connect("files");
        client.send("download a\n").expect("OK 5\nfirst");
        if left == all {
            let upload = "upload a 5\nagain";
            client.send(upload).expect(CREATED);
            let kept = fs::metadata(server.root().join("a")).expect("a file");
            assert_eq!((kept.uid(), kept.mode() & 0o7777), (65534, 0o600));
            client.send("rm a\n").expect(REMOVED);
        }
    }
}

/// Runs `loket serve` and expects that it exits by itself. Returns its status and standard error.
fn refused(program: &[&str], folder: &Path, flags: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new("timeout");
    let services = [
        "--echo",
        "0",
        "--transfer",
        "0",
        "--files",
        "0",
        "--talk",
        "0",
        "--http",
        "0",
        "--room",
        "0",
    ];
    command
        .arg("20")
        .args(program)
        .arg("serve")
        .args(services)
        .args(["--root"]);
    let output = command
        .arg(folder.join("root"))
        .args(flags)
        .output()
        .expect("timeout runs");
    let text = String::from_utf8(output.stderr).expect("text");
    (output.status.code(), text)
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_loket");

#[test]
fn user_needs_root_and_an_existing_user() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let refusal = |user: &str| {
        let (code, output) = refused(&[PROGRAM], folder.path(), &["--user", user]);
        assert_eq!(code, Some(2), "{output}");
        assert!(!folder.path().join("root").exists(), "nothing was made");
        output
    };
    if rustix::process::geteuid().is_root() {
        let output = refusal("no-such-user");
        assert!(output.contains("no-such-user: there is none"), "{output}");
        for root in ["root", "0", "0:5"] {
            assert!(refusal(root).contains("root again"));
        }
    } else {
        assert!(refusal("nobody").contains("only root can"));
    }
}

#[test]
fn user_is_refused_without_root() {
    if !is_root("user_is_refused_without_root") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = support::copied_program(folder.path());
    let public = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(folder.path(), public).expect("ours");
    let as_nobody = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        &program,
    ];
    let (code, output) = refused(&as_nobody, folder.path(), &["--user", "nobody"]);
    assert_eq!(code, Some(2), "{output}");
    assert!(output.contains("only root can"), "{output}");
}

#[test]
fn a_root_folder_that_the_user_cannot_use_is_refused_at_start() {
    if !is_root("a_root_folder_that_the_user_cannot_use_is_refused_at_start") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(folder.path().join("root")).expect("a root that is root's");
    let (code, output) = refused(&[PROGRAM], folder.path(), &["--user", "nobody"]);
    assert_eq!(code, Some(1), "{output}");
    assert!(
        output.contains("nobody may not read and write there"),
        "{output}"
    );
    assert!(
        output.contains("chown nobody") && output.contains("--read-only"),
        "{output}"
    );
    // All users may read it.
    let server = Server::start_in(folder, &["--user", "nobody", "--read-only"]);
    server.connect("files").send("ls\n").expect("OK 0\n");
}

/// The notifications of a supervisor: sd_notify(3).
mod supervised {
    use super::*;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    fn next(socket: &UnixDatagram) -> String {
        socket
            .set_read_timeout(Some(support::PATIENCE))
            .expect("a timeout");
        let mut text = [0; 4096];
        let length = socket.recv(&mut text).expect("a datagram");
        String::from_utf8(text[..length].to_vec()).expect("text")
    }

    fn check_notifications(socket: &UnixDatagram, name: &str, flags: &[&str]) {
        let mut prepared = Prepared::new();
        prepared.command.args(flags).env("NOTIFY_SOCKET", name);
        if flags.contains(&"--user") {
            std::os::unix::fs::chown(prepared.folder().join("root"), Some(65534), None)
                .expect("root gives");
        }
        let mut server = prepared.launch();
        let ready = next(socket);
        let echo = format!("echo listening on tcp {}, ", server.address("echo"));
        assert!(
            ready.starts_with(&format!("READY=1\nSTATUS={echo}")),
            "{ready}"
        );
        assert!(!ready.contains(support::ROOM_PASSWORD), "{ready}");
        server.connect("echo").send("hi").expect("hi");
        server.signal(Signal::TERM);
        assert!(next(socket).starts_with("STOPPING=1\n"));
        assert!(server.wait().success());
    }

    #[test]
    fn a_supervisor_is_notified_of_start_and_stop() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        check_notifications(&socket, path.to_str().expect("text"), &[]);
    }

    #[test]
    fn a_supervisor_with_an_abstract_socket_is_notified_too() {
        let name = format!("loket-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        let socket = UnixDatagram::bind_addr(&address).expect("a socket");
        check_notifications(&socket, &format!("@{name}"), &[]);
    }

    #[test]
    fn a_server_that_became_another_user_notifies_its_supervisor_too() {
        if !is_root("a_server_that_became_another_user_notifies_its_supervisor_too") {
            return;
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        check_notifications(&socket, path.to_str().expect("text"), &["--user", "nobody"]);
    }

    #[test]
    fn the_server_runs_with_a_warning_without_its_supervisor() {
        let mut prepared = Prepared::new();
        prepared.command.env("NOTIFY_SOCKET", "/nowhere/notify");
        let server = prepared.launch();
        server.connect("echo").send("hi").expect("hi");
        let log = log_of_the_start(&server);
        assert!(
            log.contains("cannot reach NOTIFY_SOCKET=/nowhere/notify"),
            "{log}"
        );
    }
}

#[test]
fn a_public_address_is_logged_with_what_it_exposes() {
    let log = log_of_the_start(&Server::start(&["--host", "0.0.0.0"]));
    assert_eq!(
        log.matches("store, replace and remove files below").count(),
        1,
        "{log}"
    );
    assert!(log.contains("add --read-only"), "{log}");
    let made = "the password of the room on 0.0.0.0 was generated";
    assert!(!log.contains(made), "{log}");

    let mut prepared = Prepared::without_password();
    prepared.command.args(["--host", "0.0.0.0", "--read-only"]);
    let server = prepared.launch();
    let log = log_of_the_start(&server);
    assert!(!log.contains("store, replace"), "{log}");
    assert_eq!(log.matches(made).count(), 1, "{log}");
    assert!(
        !log.contains(server.made_password.as_deref().expect("made")),
        "{log}"
    );
}

#[test]
fn a_loopback_address_logs_no_warning() {
    let log = log_of_the_start(&Prepared::without_password().launch());
    assert!(!log.contains("every machine that reaches"), "{log}");
    assert!(!log.contains("generated"), "{log}");
}

#[test]
fn systemd_and_the_server_accept_the_unit_file() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/loket.service");
    let unit = fs::read_to_string(unit).expect("the unit");
    let starts = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="));
    let words = starts.expect("a command").split_whitespace();
    loket::cli::Cli::try_parse_from(words).expect("flags of loket serve");
    let reserve = format!("{} are kept in", config::DESCRIPTOR_RESERVE);
    assert!(unit.contains(&reserve), "the code reserves {reserve}");
    let drain = format!("have {} seconds to finish", REACTOR.drain_seconds);
    assert!(unit.contains(&drain), "transfers {drain}");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("loket.service");
    fs::write(&path, unit.replace("=loket ", &format!("={PROGRAM} "))).expect("a copy");
    let Ok(verified) = Command::new("systemd-analyze")
        .arg("verify")
        .arg(&path)
        .output()
    else {
        println!("SKIPPED systemd_and_the_server_accept_the_unit_file: no systemd-analyze");
        return;
    };
    let errors = String::from_utf8_lossy(&verified.stderr);
    let about_it: Vec<_> = errors
        .lines()
        .filter(|line| line.contains("loket.service"))
        .collect();
    assert!(verified.status.success() && about_it.is_empty(), "{errors}");
}

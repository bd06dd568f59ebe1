//! A command that is typed, or sent in pieces, is executed as meant or not at all, at any pace.
//! Runs in virtual time, and once over real sockets; `simulation.rs` types at random paces.

use crate::memory::Service;
use crate::memory::store::Files;
use crate::sim::by_hand::{Peer, Simulation};
use crate::support;
use loket::config::reactor::REACTOR;
use loket::session::close_reason::CloseReason;
use loket::wire::follows::{Follows, Timer};
use loket::wire::framing::{Fault, Frame, Framer};
use loket::wire::unended::Unended;
use std::time::Duration;

const MILLI: u64 = 1_000;

/// Milliseconds per byte.
const PACES: [u64; 12] = [1, 2, 4, 5, 6, 10, 49, 50, 51, 120, 999, 2_000];

/// Whether the next byte arrives before silence refuses the partial command.
fn is_executed(pace: u64) -> bool {
    pace < REACTOR.partial_command_millis
}

/// Every prefix of every typed name is a file: a command on a cut name would change it.
fn files() -> Files {
    let names = ["laporan.doc", "\"laporan.doc\"", "dir"];
    let beginnings = names.iter().flat_map(|name| {
        let ends = 1..=name.len();
        ends.map(|end| (name[..end].to_owned(), format!("old {end}").into_bytes()))
    });
    beginnings.collect()
}

/// What is sent, the answer, and the file that changes: its new content, or `None` if removed.
struct Case {
    service: Service,
    sent: &'static str,
    answer: &'static str,
    change: Change,
}

type Change = Option<(&'static str, Option<&'static str>)>;

const GONE: Change = Some(("laporan.doc", None));
const HELLO: Change = Some(("laporan.doc", Some("hello")));
const NEW: Change = Some(("new.txt", Some("hello")));

const fn case(service: Service, sent: &'static str, answer: &'static str, change: Change) -> Case {
    Case {
        service,
        sent,
        answer,
        change,
    }
}

impl Case {
    /// The files after the command.
    fn expected(&self) -> Files {
        let mut files = files();
        match self.change {
            Some((name, Some(content))) => {
                files.insert(name.to_owned(), content.as_bytes().to_vec());
            }
            Some((name, None)) => {
                files.remove(name);
            }
            None => {}
        }
        files
    }

    /// Checks that the command was executed as meant or not at all.
    fn check(&self, simulation: &Simulation, how: &str) {
        let after = simulation.store.files();
        let fine = after == files() || after == self.expected();
        assert!(fine, "{:?} {how}: {:?}", self.sent, changes(&after));
    }
}

/// The files that differ from the initial ones.
fn changes(after: &Files) -> Vec<(String, Option<Vec<u8>>)> {
    let before = files();
    let names = before.keys().chain(after.keys());
    let changed = names.filter(|name| before.get(*name) != after.get(*name));
    let now = |name: &String| (name.clone(), after.get(name).cloned());
    changed.map(now).collect()
}

const REMOVED: &str = "OK File Berhasil Dihapus\n";
const CREATED: &str = "OK\nOK File Berhasil Dibuat\n";

/// Commands of a line client.
#[rustfmt::skip] // a table
const LINES: [Case; 11] = {
    use Service::{Files, Transfer};
    [
        case(Files, "rm laporan.doc\r\n", REMOVED, GONE),
        case(Files, "rm laporan.doc\n", REMOVED, GONE),
        case(Files, "rm \"laporan.doc\"\n", REMOVED, GONE),
        case(Files, "upload laporan.doc 5\r\nhello", CREATED, HELLO),
        case(Files, "upload new.txt 5\nhello", CREATED, NEW),
        case(Files, "size laporan.doc\r\n", "OK 6 0.00 MB\n", None),
        case(Files, "download laporan.doc 4\r\n", "OK 2\n11", None),
        case(Files, "byebye\r\n", "OK\n", None),
        case(Transfer, "SEND\r\nlaporan.doc\r\nlaporan.doc<SEPARATOR>5\r\nhello",
            "OK\nOK 5\n", HELLO),
        case(Transfer, "SEND\nnew.txt\ndir/new.txt<SEPARATOR>5\nhello", "OK\nOK 5\n", NEW),
        case(Transfer, "RECEIVE\r\nlaporan.doc\r\n", "OK\nlaporan.doc<SEPARATOR>6\nold 11", None),
    ]
};

/// Commands without line ends. The client ends its stream after them, or stays silent.
#[rustfmt::skip] // a table
const BARE: [Case; 9] = {
    use Service::{Files, Transfer};
    [
        case(Files, "rm laporan.doc", "", GONE),
        case(Files, "upload laporan.doc", "", None),
        case(Files, "size laporan.doc", "0.00 MB", None),
        case(Files, "download laporan.doc", "old 11", None),
        case(Transfer, "SENDlaporan.doclaporan.doc<SEPARATOR>5hello", "OK", HELLO),
        case(Transfer, "SENDdir/laporan.doclaporan.doc<SEPARATOR>5hello", "OK", HELLO),
        case(Transfer, "SENDC:\\dir\\laporan.doclaporan.doc<SEPARATOR>5hello", "OK", HELLO),
        case(Transfer, "SENDlaporan.doc<SEPARATOR>5hello", "OK", HELLO),
        case(Transfer, "RECEIVElaporan.doc", "OKlaporan.doc<SEPARATOR>6", None),
    ]
};

/// A client that has sent these pieces `pace` milliseconds apart.
fn written(service: Service, pieces: &[&str], pace: u64) -> (Simulation, Peer) {
    let mut simulation = Simulation::new(&files());
    let peer = simulation.connect(service);
    write(&mut simulation, &peer, pieces, pace);
    (simulation, peer)
}

/// Sends these pieces `pace` milliseconds apart.
fn write(simulation: &mut Simulation, peer: &Peer, pieces: &[&str], pace: u64) {
    for piece in pieces {
        simulation.say(peer, piece);
        simulation.pass(pace * MILLI);
    }
}

/// The client is silent for longer than any timer.
fn fall_silent(simulation: &mut Simulation) {
    simulation.pass(u64::from(REACTOR.command_seconds + 2) * 1_000 * MILLI);
}

fn bytes(text: &str) -> Vec<&str> {
    (0..text.len()).map(|at| &text[at..=at]).collect()
}

#[test]
fn a_typed_line_is_executed_as_meant_or_not_at_all() {
    for case in &LINES {
        for pace in PACES {
            let (mut simulation, peer) = written(case.service, &bytes(case.sent), pace);
            let how = format!("at {pace} ms");
            case.check(&simulation, &how);
            if is_executed(pace) {
                let answer = peer.text();
                let same = without_line_ends(&answer) == without_line_ends(case.answer);
                assert!(same, "{:?} {how}: {answer:?}", case.sent);
                assert_eq!(simulation.store.files(), case.expected());
            }
            fall_silent(&mut simulation);
            case.check(&simulation, &how);
        }
    }
}

/// The command words of transfer are answered at once, and their line end separately.
fn without_line_ends(text: &str) -> String {
    text.replace('\n', "")
}

#[test]
fn a_typed_change_without_line_end_is_executed_as_meant_or_not_at_all() {
    for case in &BARE {
        for pace in PACES {
            for ends in [false, true] {
                let (mut simulation, peer) = written(case.service, &bytes(case.sent), pace);
                if ends && !peer.is_closed() {
                    simulation.say_and_finish(&peer, "");
                    simulation.run();
                }
                fall_silent(&mut simulation);
                case.check(&simulation, &format!("at {pace} ms"));
            }
        }
    }
}

#[test]
fn a_typed_question_is_answered_after_a_long_silence() {
    for case in BARE.iter().filter(|case| case.change.is_none()) {
        // After a typed RECEIVE the name counts as typed, too.
        if case.answer.is_empty() {
            continue;
        }
        for pace in [6, 49, 120, 900] {
            let (mut simulation, peer) = written(case.service, &bytes(case.sent), pace);
            simulation.pass((REACTOR.partial_command_millis - pace) * MILLI);
            assert_eq!(peer.text(), case.answer, "{:?} at {pace} ms", case.sent);
        }
    }
}

#[test]
fn a_typed_change_waits_for_its_line_end_until_the_command_deadline() {
    let change = |sent: &str| {
        let (mut simulation, peer) = written(Service::Files, &bytes(sent), 120);
        simulation.pass(u64::from(REACTOR.command_seconds - 5) * 1_000 * MILLI);
        assert_eq!(
            (peer.text(), simulation.closed(&peer)),
            (String::new(), None)
        );
        (simulation, peer)
    };
    for sent in ["rm laporan.doc", "upload laporan.doc"] {
        let (mut simulation, peer) = change(sent);
        simulation.pass(7_000 * MILLI);
        assert_eq!(simulation.closed(&peer), Some(CloseReason::Unfinished));
        assert_eq!(simulation.store.files(), files());
    }
    let (mut simulation, peer) = change("rm laporan.doc");
    write(&mut simulation, &peer, &["\r", "\n"], 120);
    assert_eq!(peer.text(), "OK File Berhasil Dihapus\n");
    let left = simulation.store.files();
    assert_eq!(changes(&left), [("laporan.doc".to_owned(), None)]);
}

/// All ways to cut a text into this number of pieces.
fn cuttings(text: &str, pieces: usize) -> Vec<Vec<&str>> {
    if pieces == 1 {
        return vec![vec![text]];
    }
    let cut = |at: usize| {
        let rest = cuttings(&text[at..], pieces - 1).into_iter();
        rest.map(move |rest| [&[&text[..at]], &rest[..]].concat())
    };
    (1..text.len()).flat_map(cut).collect()
}

#[test]
fn a_line_in_pieces_within_the_settle_window_is_executed_as_meant() {
    for case in &LINES {
        for count in 2..=4 {
            for (number, pieces) in cuttings(case.sent, count).into_iter().enumerate() {
                // There are many cuttings into four: each is tried at one pace only.
                let paces = [0, 2, 5, 20, REACTOR.settle_millis - 1];
                let one = [paces[number % paces.len()]];
                for pace in if count < 4 { &paces[..] } else { &one } {
                    let (mut simulation, _) = written(case.service, &pieces, *pace);
                    fall_silent(&mut simulation);
                    let after = simulation.store.files();
                    assert_eq!(after, case.expected(), "{pieces:?} {pace} ms apart");
                }
            }
        }
    }
}

#[test]
fn a_repeated_name_may_arrive_in_any_pieces() {
    let sends = BARE.iter().filter(|case| case.sent.starts_with("SEND"));
    for case in sends {
        let names = &case.sent["SEND".len()..];
        let twice = names.matches("laporan.doc").count() == 2;
        for count in 1..=3 {
            for pieces in cuttings(names, count) {
                for pace in [0, 2, 20, REACTOR.settle_millis + 1, 300] {
                    // A pause inside a single name makes it two names.
                    if !twice && pace > REACTOR.settle_millis && count > 1 {
                        continue;
                    }
                    let (mut simulation, peer) = written(case.service, &["SEND"], 0);
                    write(&mut simulation, &peer, &pieces, pace);
                    simulation.say_and_finish(&peer, "");
                    simulation.run();
                    let how = format!("{pieces:?} {pace} ms apart");
                    case.check(&simulation, &how);
                    let done = simulation.store.files() == case.expected();
                    assert!(done || !twice, "{how}: {}", peer.text());
                }
            }
        }
    }
}

#[test]
fn pieces_a_round_trip_apart_are_executed_as_meant_unless_the_first_looks_complete() {
    for case in &LINES {
        let word = case.sent.find([' ', '\r', '\n']).expect("a word") + 1;
        for count in 2..=3 {
            for pieces in cuttings(case.sent, count) {
                if pieces[0].len() > word {
                    continue;
                }
                for pace in [REACTOR.settle_millis + 1, 300] {
                    let (simulation, _) = written(case.service, &pieces, pace);
                    case.check(&simulation, &format!("{pieces:?} {pace} ms apart"));
                }
            }
        }
    }
}

#[test]
fn a_client_that_disconnects_while_typing_changes_nothing() {
    for case in LINES.iter().filter(|case| case.service == Service::Files) {
        let line = case.sent.find(['\r', '\n']).expect("a line");
        for pace in PACES {
            for keys in 2..=line {
                for resets in [false, true] {
                    let (mut simulation, peer) =
                        written(case.service, &bytes(&case.sent[..keys]), pace);
                    match resets {
                        _ if peer.is_closed() => {}
                        true => simulation.reset(&peer),
                        false => simulation.say_and_finish(&peer, ""),
                    }
                    fall_silent(&mut simulation);
                    let after = simulation.store.files();
                    let gone = &case.sent[..keys];
                    assert_eq!(changes(&after), [], "{gone:?} at {pace} ms");
                }
            }
        }
    }
}

#[test]
fn one_send_that_arrives_as_two_segments_is_served_as_one() {
    for (first, second) in [("r", "m laporan.doc"), ("rm lap", "oran.doc")] {
        for micros in [0, 1, MILLI, REACTOR.interbyte_millis * MILLI - 1] {
            let mut simulation = Simulation::new(&files());
            let peer = simulation.connect(Service::Files);
            simulation.say(&peer, first);
            simulation.pass(micros);
            simulation.say(&peer, second);
            simulation.pass(REACTOR.settle_millis * MILLI);
            assert_eq!(peer.text(), "File Berhasil Dihapus", "{micros} us");
            let after = simulation.store.files();
            assert_eq!(changes(&after), [("laporan.doc".to_owned(), None)]);
        }
    }
}

#[test]
fn fast_keys_followed_by_a_pause_count_as_typed() {
    for pace in 1..REACTOR.interbyte_millis {
        let (mut simulation, peer) = written(Service::Files, &bytes("rm laporan"), pace);
        simulation.pass(REACTOR.settle_millis * MILLI);
        write(&mut simulation, &peer, &[".doc\n"], 0);
        let left = changes(&simulation.store.files());
        assert_eq!(left, [("laporan.doc".to_owned(), None)], "{pace} ms");
    }
}

#[test]
fn a_byte_that_epoll_has_not_reported_voids_a_silence() {
    for late in [REACTOR.interbyte_millis, REACTOR.settle_millis] {
        let mut simulation = Simulation::new(&files());
        let peer = simulation.connect(Service::Files);
        simulation.say(&peer, "rm lap");
        simulation.pass((late - 1) * MILLI);
        if late < REACTOR.settle_millis {
            // It arrives, and its event is fetched after the timer has expired.
            peer.sends(b"oran.doc");
            simulation.pass(MILLI);
            simulation.say(&peer, "");
            simulation.pass(REACTOR.settle_millis * MILLI);
            assert_eq!(peer.text(), "File Berhasil Dihapus");
        } else {
            peer.sends(b"oran.doc\n");
            simulation.pass(MILLI);
            assert_eq!(peer.text(), "OK File Berhasil Dihapus\n");
        }
        let after = simulation.store.files();
        assert_eq!(changes(&after), [("laporan.doc".to_owned(), None)]);
    }
}

#[test]
fn keys_pressed_before_the_answer_count_as_typed() {
    let mut simulation = Simulation::new(&files());
    let peer = simulation.connect(Service::Files);
    peer.takes(0);
    write(&mut simulation, &peer, &["l", "s"], 120);
    simulation.pass(REACTOR.partial_command_millis * MILLI);
    // The answer is not sent yet: keys typed meanwhile arrive in one piece.
    write(&mut simulation, &peer, &bytes("rm lap"), 120);
    simulation.make_room(&peer, 10_000);
    simulation.pass(2 * REACTOR.settle_millis * MILLI);
    write(&mut simulation, &peer, &bytes("oran.doc\n"), 120);
    let after = simulation.store.files();
    assert_eq!(changes(&after), [("laporan.doc".to_owned(), None)]);
}

#[test]
fn a_bare_upload_without_data_is_an_error_and_creates_nothing() {
    for sent in ["upload rapor.txtnilai budi 90", "upload laporan.doc"] {
        for pieces in [&[sent][..], &[&sent[..16], &sent[16..]], &bytes(sent)] {
            for (pace, wait) in [(0, 0), (0, 40), (1, 2), (20, 2)] {
                let (mut simulation, peer) = written(Service::Files, pieces, pace);
                simulation.pass(wait * MILLI);
                simulation.say_and_finish(&peer, "");
                simulation.run();
                let answer = peer.text();
                let reason = answer.starts_with("ERROR no data came, nothing is stored; ");
                assert!(reason, "{pieces:?} {pace} ms, {wait} ms: {answer}");
                assert_eq!(simulation.store.files(), files());
            }
        }
        let mut simulation = Simulation::new(&files());
        let peer = simulation.connect(Service::Files);
        simulation.say_and_finish(&peer, sent);
        simulation.run();
        assert!(peer.text().starts_with("ERROR no data came"));
        assert_eq!(simulation.store.files(), files());
    }
}

#[test]
fn keys_over_real_sockets_are_executed_as_meant() {
    let server = support::Server::start(&[]);
    for (name, content) in files() {
        server.put(name, content);
    }
    let paces = [1, 4, 6, 20, 80, 120, 300];
    let typed = |service: &str, pace: u64, text: &str| {
        let mut client = server.connect(service);
        for byte in text.bytes() {
            client.send([byte]);
            std::thread::park_timeout(Duration::from_millis(pace));
        }
        client.finish().text()
    };
    std::thread::scope(|scope| {
        for pace in paces {
            scope.spawn(move || {
                let name = format!("l{pace}");
                let sent = format!("upload {name} 5\r\nhellorm {name}\r\n");
                let answer = typed("files", pace, &sent);
                let wanted = "OK\nOK File Berhasil Dibuat\nOK File Berhasil Dihapus\n";
                assert_eq!(answer, wanted, "{pace} ms a key");
            });
            scope.spawn(move || {
                let name = format!("d{pace}");
                let sent = format!("SEND\r\n{name}\r\n{name}<SEPARATOR>5\r\nhello");
                let answer = typed("transfer", pace, &sent);
                assert_eq!(answer, "OK\nOK 5\n", "{pace} ms a key");
            });
        }
    });
    let mut left = server.files();
    for pace in paces {
        assert_eq!(left.remove(&format!("d{pace}")), Some(b"hello".to_vec()));
    }
    assert_eq!(changes(&left), []);
}

// ---- the framer alone ----

const PAUSED: Follows = Follows::Silence(Timer::Interbyte);
const SETTLED: Follows = Follows::Silence(Timer::Settle);
const SILENT: Follows = Follows::Silence(Timer::PartialCommand);

fn is_ls(unit: &[u8]) -> Unended {
    match unit {
        b"ls" => Unended::Question,
        _ => Unended::Part,
    }
}

/// Treats any text as a command that changes a file.
fn changes_all(_: &[u8]) -> Unended {
    Unended::Change
}

#[test]
fn a_change_in_pieces_without_a_pause_is_completed_by_silence() {
    let mut framer = Framer::new(16);
    for piece in [&b"r"[..], b"rm", b"rm x"] {
        assert_eq!(framer.split(piece, Follows::More, changes_all), Frame::More);
    }
    let found = framer.split(b"rm x", SETTLED, changes_all);
    assert!(matches!(found, Frame::Unit { taken: 4, .. }));
    assert!(!framer.is_typed());
}

#[test]
fn a_change_that_grows_after_a_pause_waits_for_its_line_end() {
    for follows in [PAUSED, SETTLED, SILENT] {
        let mut framer = Framer::new(16);
        framer.split(b"r", Follows::More, is_ls);
        framer.split(b"r", PAUSED, is_ls);
        framer.split(b"rm x", Follows::More, changes_all);
        assert_eq!(framer.split(b"rm x", follows, changes_all), Frame::More);
        let cut = framer.split(b"rm x", Follows::Eof, changes_all);
        assert_eq!(cut, Frame::Broken(Fault::Cut));
        let found = framer.split(b"rm x\n", Follows::More, changes_all);
        assert!(matches!(found, Frame::Unit { taken: 5, .. }));
    }
}

#[test]
fn a_typed_question_is_completed_by_a_long_silence() {
    let mut framer = Framer::new(16);
    framer.split(b"l", Follows::More, is_ls);
    framer.split(b"l", PAUSED, is_ls);
    framer.split(b"ls", Follows::More, is_ls);
    framer.split(b"ls", PAUSED, is_ls);
    assert_eq!(framer.split(b"ls", SETTLED, is_ls), Frame::More);
    assert_eq!(framer.awaited(), Some(Timer::PartialCommand));
    let found = framer.split(b"ls", SILENT, is_ls);
    assert!(matches!(found, Frame::Unit { taken: 2, .. }));
    // Keys that were pressed before the answer arrived come in one piece.
    assert_eq!(
        framer.split(b"rm x", Follows::More, changes_all),
        Frame::More
    );
    assert_eq!(framer.split(b"rm x", SETTLED, changes_all), Frame::More);
}

#[test]
fn end_of_stream_completes_a_change_only_if_it_arrived_in_one_piece() {
    let mut framer = Framer::new(16);
    framer.split(b"rm x", Follows::More, changes_all);
    let found = framer.split(b"rm x", Follows::Eof, changes_all);
    assert!(matches!(found, Frame::Unit { taken: 4, .. }));

    let mut framer = Framer::new(16);
    framer.split(b"rm", Follows::More, changes_all);
    framer.split(b"rm x", Follows::More, changes_all);
    let found = framer.split(b"rm x", Follows::Eof, changes_all);
    assert_eq!(found, Frame::Broken(Fault::Cut));
}

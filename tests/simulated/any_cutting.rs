//! However the bytes of a conversation are cut, its transcript and the files are the same.
//! Runs without sockets; `turns.rs` simulates the behaviour of the kernel.

use crate::memory;
use crate::memory::http_scripts;
use crate::memory::random::cases;
use crate::memory::scripts::{self, Script, files};
use crate::memory::store::Faults;
use crate::memory::{Driver, Outcome, Service, Step, Way};
use loket::config::reactor::{OUTBOX_HIGH_WATER, REACTOR};
use loket::session::close_reason::CloseReason;
use loket::wire::follows::Timer;
use proptest::prelude::*;

fn all_scripts() -> Vec<Script> {
    let http = http_scripts::ROWS.iter().map(http_scripts::Row::script);
    scripts::all().into_iter().chain(http).collect()
}

/// Plays a script to its end and checks its replies.
fn play(script: &Script, way: Way) -> Outcome {
    let mut driver = Driver::new(script.service, &files(), &script.faults, way.clone());
    if let Err(wrong) = driver.play(&script.steps) {
        panic!("`{}` going {way:?}: {wrong}", script.name);
    }
    driver.close()
}

fn check(script: &Script, wanted: &Outcome, way: Way) {
    let outcome = play(script, way.clone());
    assert_eq!(outcome, *wanted, "`{}` going {way:?}", script.name);
}

fn whole(script: &Script) -> Outcome {
    play(script, Way::pieces_of(usize::MAX, false))
}

#[test]
fn every_script_stores_its_file_and_nothing_else() {
    for script in all_scripts() {
        let stored = whole(&script).files;
        if let Some((name, content)) = &script.stored {
            assert_eq!(stored.get(*name), Some(content), "`{}`", script.name);
            let mut wanted = files();
            wanted.insert((*name).to_owned(), content.clone());
            assert_eq!(stored, wanted, "`{}`", script.name);
        }
    }
}

#[test]
fn every_http_request_gets_its_status() {
    for row in http_scripts::ROWS {
        let transcript = whole(&row.script()).transcript;
        let text = String::from_utf8_lossy(&transcript);
        let statuses: Vec<u16> = text
            .split("HTTP/1.1 ")
            .skip(1)
            .map(|answer| answer[..3].parse().expect("a status"))
            .collect();
        assert_eq!(statuses, row.statuses, "`{}`: {text}", row.name);
    }
}

#[test]
fn a_refused_conversation_changes_no_file() {
    for script in all_scripts() {
        let outcome = whole(&script);
        if outcome.closed == Some(CloseReason::Refused) {
            assert_eq!(outcome.files, files(), "`{}`", script.name);
        }
    }
}

#[test]
fn pieces_of_any_length_give_the_same_conversation() {
    for script in all_scripts() {
        let wanted = whole(&script);
        // Every piece parses the whole input again: long conversations skip the short pieces.
        let least = longest(&script) / 60;
        for length in (1..=16).chain([63, 255, 4095, 4096, 4097]) {
            if length < least {
                continue;
            }
            for direct in [false, true] {
                check(&script, &wanted, Way::pieces_of(length, direct));
            }
        }
    }
}

#[test]
fn a_cut_at_any_byte_gives_the_same_conversation() {
    for script in all_scripts() {
        let wanted = whole(&script);
        let longest = longest(&script);
        // All places; of a long conversation the beginning and the places around the limits.
        for cut in (1..longest.min(400)).chain(4085..longest.min(4115)) {
            for direct in [false, true] {
                let mut way = Way::pieces_of(1, direct);
                way.pieces = vec![cut, usize::MAX];
                check(&script, &wanted, way);
            }
        }
    }
}

#[test]
fn a_slow_reader_and_a_low_high_water_mark_give_the_same_conversation() {
    for script in all_scripts() {
        let wanted = whole(&script);
        for (gulp, high_water, length) in [(1, 1, 1), (1, 8, 5), (3, 64, 7), (7, 1, 4096)] {
            if length < longest(&script) / 60 {
                continue;
            }
            for direct in [false, true] {
                let mut way = Way::pieces_of(length, direct);
                (way.gulp, way.high_water) = (gulp, high_water);
                check(&script, &wanted, way);
            }
        }
    }
}

#[test]
fn a_conversation_that_ends_at_any_byte_leaves_no_partial_file() {
    for script in all_scripts() {
        let mut known = whole(&script).files;
        known.extend(files());
        let bytes: usize = script.steps.iter().map(sent).sum();
        for cut in 0..bytes.min(600) {
            let steps = until(&script.steps, cut);
            for (direct, finishes) in [(false, false), (false, true), (true, false), (true, true)] {
                let way = Way::pieces_of(usize::MAX, direct);
                let mut driver = Driver::new(script.service, &files(), &script.faults, way);
                // A reply that it awaits may be missing.
                let _ = driver.play(&steps);
                if finishes {
                    let _ = driver.play(&[Step::End]);
                }
                let after = driver.close().files;
                if script.announced && !is_first_line(&steps) {
                    for (name, content) in after {
                        let original = files().get(&name) == Some(&content);
                        let whole = known.get(&name) == Some(&content);
                        assert!(original || whole, "`{}` cut at {cut}: {name}", script.name);
                    }
                }
            }
        }
    }
}

#[test]
fn a_pause_at_any_byte_leaks_nothing() {
    for script in all_scripts() {
        let bytes: usize = script.steps.iter().map(sent).sum();
        for (cut, delay) in (0..bytes.min(600)).flat_map(|cut| Timer::ALL.map(|delay| (cut, delay)))
        {
            let mut driver = Driver::new(
                script.service,
                &files(),
                &script.faults,
                Way::pieces_of(usize::MAX, cut % 2 == 0),
            );
            // A pause may change the replies.
            let _ = driver.play(&until(&script.steps, cut));
            let _ = driver.play(&[Step::Quiet(delay)]);
            let _ = driver.play(&beyond(&script.steps, cut));
            driver.close();
        }
    }
}

/// The conversation after its first `bytes` sent bytes, without the awaited replies.
fn beyond(steps: &[Step], mut bytes: usize) -> Vec<Step> {
    let mut kept = Vec::new();
    for step in steps {
        match step {
            Step::Send(all) => {
                let past = bytes.min(all.len());
                bytes -= past;
                kept.push(Step::Send(all[past..].to_vec()));
            }
            Step::Quiet(_) | Step::End if bytes == 0 => kept.push(step.clone()),
            _ => {}
        }
    }
    kept
}

/// Before the first line end, the end of the stream may complete a bare command.
fn is_first_line(steps: &[Step]) -> bool {
    !steps
        .iter()
        .any(|step| matches!(step, Step::Send(bytes) if bytes.contains(&b'\n')))
}

fn longest(script: &Script) -> usize {
    script.steps.iter().map(sent).max().unwrap_or(0)
}

fn sent(step: &Step) -> usize {
    match step {
        Step::Send(bytes) => bytes.len(),
        _ => 0,
    }
}

/// The conversation up to its first `bytes` sent bytes.
fn until(steps: &[Step], mut bytes: usize) -> Vec<Step> {
    let mut kept = Vec::new();
    for step in steps {
        if let Step::Send(all) = step
            && all.len() > bytes
        {
            kept.push(Step::Send(all[..bytes].to_vec()));
            break;
        }
        bytes -= sent(step);
        kept.push(step.clone());
    }
    kept
}

fn ways() -> impl Strategy<Value = Way> {
    let pieces = prop::collection::vec(1..40_usize, 1..12);
    let gulp = prop_oneof![Just(usize::MAX), 1..50_usize];
    let high_water = prop_oneof![Just(OUTBOX_HIGH_WATER), 1..100_usize];
    let yes = any::<bool>;
    (pieces, yes(), gulp, high_water, yes()).prop_map(
        |(pieces, direct, gulp, high_water, waits)| Way {
            pieces,
            direct,
            gulp,
            high_water,
            waits,
        },
    )
}

/// Words of the protocols and noise, so that random input gets deep into a conversation.
fn babble() -> impl Strategy<Value = Vec<Step>> {
    let words = [
        "SEND",
        "RECEIVE",
        "SEND\n",
        "RECEIVE\n",
        "RESUME\n",
        "SUM\n",
        "a.bin<SEPARATOR>5\n",
        "<SEPARATOR>",
        "a.bin",
        "a.bina.bin",
        "\n",
        "\r",
        "\r\n",
        "5",
        "11",
        "20\n",
        "ls",
        "ls\n",
        "ls photos\n",
        "size a.bin\n",
        "rm ",
        "download a.bin\n",
        "download ",
        "upload x 5\n",
        "upload x 70000\n",
        "upload x",
        "byebye",
        "hello",
        " ",
        "/",
        "\"",
        "x\nx<SEPARATOR>5\nhello",
        "a.bina.bin<SEPARATOR>5",
        "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /a.bin HTTP/1.1\r\n",
        "DELETE /a.bin HTTP/1.1\r\n",
        "PUT /x HTTP/1.1\r\n",
        "PUT /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
        "Host: localhost\r\n",
        "Content-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\n",
        "5\r\nhello\r\n",
        "0\r\n\r\n",
    ];
    let word = prop::sample::select(words.to_vec()).prop_map(memory::send);
    let noise = prop::collection::vec(any::<u8>(), 0..200).prop_map(Step::Send);
    let flood =
        (any::<u8>(), 1..100_000_usize).prop_map(|(byte, count)| Step::Send(vec![byte; count]));
    let delay = prop::sample::select(&Timer::ALL[..]).prop_map(Step::Quiet);
    let step = prop_oneof![12 => word, 2 => noise, 1 => flood, 4 => delay, 1 => Just(Step::End)];
    prop::collection::vec(step, 0..30)
}

fn piece() -> impl Strategy<Value = usize> {
    prop_oneof![1..50_usize, Just(REACTOR.read_buffer / 2)]
}

#[test]
fn any_cutting_gives_the_same_conversation() {
    for script in all_scripts() {
        let wanted = whole(&script);
        if longest(&script) > 1000 {
            continue;
        }
        proptest!(cases(64), |(way in ways())| check(&script, &wanted, way));
    }
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn any_input_leaks_nothing_and_uses_bounded_memory(
        service in prop::sample::select(
            &[Service::Echo, Service::Transfer, Service::Files, Service::Http][..]
        ),
        steps in babble(),
        pieces in prop::collection::vec(piece(), 1..9),
        direct in any::<bool>(),
        gulp in prop_oneof![Just(usize::MAX), 100..10_000_usize],
    ) {
        let high_water = 1000;
        let way = Way { pieces, direct, gulp, high_water, waits: false };
        let mut driver = Driver::new(service, &files(), &Faults::default(), way);
        driver.play(&steps).expect("it awaits no reply");
        let (inbox, outbox) = driver.most_held;
        prop_assert!(inbox <= REACTOR.read_buffer, "{inbox} bytes of input are held");
        // The replies to one more read may be added.
        prop_assert!(outbox <= high_water + REACTOR.read_buffer, "{outbox} bytes are queued");
        driver.close();
    }
}

//! No parser of network or terminal input panics on any bytes or consumes more than it was given.

use crate::memory::random::cases;
use crate::memory::store::Memory;
use loket::client::ClientLimits;
use loket::client::connection::{Address, BlockingConnection, Reply};
use loket::client::error::ExchangeError;
use loket::client::{names as local_names, split_args};
use loket::config::WIRE;
use loket::config::client::CLIENT;
use loket::config::reactor::OUTBOX_HIGH_WATER;
use loket::config::room::ROOM;
use loket::config::services::{EDITOR, SERVICES};
use loket::config::store::STORE;
use loket::services::room::Room;
use loket::services::talk::Talk;
use loket::services::unframed_upload::UnframedUpload;
use loket::session::datagram::{DatagramContext, DatagramProtocol, SendQueue};
use loket::session::notice::Notice;
use loket::session::outbox::Outbox;
use loket::session::protocol::Protocol;
use loket::session::session_id::SessionId;
use loket::session::shared::Shared;
use loket::store::{Overwrite, Requester, Store, Stored};
use loket::terminal::line_editor::{EditorLimits, LineEditor, Typed};
use loket::terminal::sanitize::Sanitizer;
use loket::wire::SEPARATOR;
use loket::wire::ambiguous_size::{Digits, Start};
use loket::wire::files_command::{self, Command};
use loket::wire::follows::{Follows, Timer};
use loket::wire::framing::{Dialect, Fault, Frame, Framer};
use loket::wire::names;
use loket::wire::names::WireLimits;
use loket::wire::text;
use loket::wire::transfer_header::{self, BareHeader, Pauses};
use loket::wire::unended::Unended;
use proptest::prelude::*;
use proptest::sample::select;
use std::io::Write;
use std::net::TcpListener;
use std::rc::Rc;
use unicode_width::UnicodeWidthChar;

/// Bytes in which the words and separators of the protocols are frequent, whole and in part.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let words = [
        "\n",
        "\r",
        "\r\n",
        " ",
        "\"",
        "/",
        "..",
        "0",
        "1",
        "11",
        "20",
        "99999999999999999999",
        "<",
        "<SEPA",
        "<SEPARATOR>",
        "<SEPARATOR>5",
        "a",
        "a.bin",
        "ls",
        "size ",
        "rm ",
        "upload ",
        "download ",
        "byebye",
        "PASSWORD ",
        "USERNAME ",
        "exit",
        "amy",
        "amy: ",
        "\t",
        "\0",
        "é",
        "\u{202e}",
        "\x1b[",
        "\x1b[A",
        "\x1b[3~",
        "\x04",
        "\x7f",
        "\u{85}",
        "😀",
    ];
    let word = select(words.to_vec()).prop_map(|word| word.as_bytes().to_vec());
    let noise = prop::collection::vec(any::<u8>(), 0..6);
    let run = (any::<u8>(), 0..300_usize).prop_map(|(byte, count)| vec![byte; count]);
    let piece = prop_oneof![12 => word, 3 => noise, 1 => run];
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

/// Where the bytes are cut into pieces.
fn cuts() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    prop::collection::vec(any::<prop::sample::Index>(), 0..6)
}

fn cut_at(length: usize, cuts: &[prop::sample::Index]) -> Vec<usize> {
    let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(length + 1)).collect();
    ends.push(length);
    ends.sort_unstable();
    ends
}

fn pauses() -> impl Strategy<Value = Follows> {
    let quiet = select(&Timer::ALL[..]).prop_map(Follows::Silence);
    prop_oneof![Just(Follows::More), Just(Follows::Eof), quiet]
}

fn judgements() -> impl Strategy<Value = Unended> {
    use Unended::{Change, Hopeless, Part, Question, Word};
    select(vec![Question, Change, Word, Part, Hopeless])
}

fn is_inside(part: &[u8], whole: &[u8]) -> bool {
    part.is_empty() || whole.windows(part.len()).any(|window| window == part)
}

/// A name that the rules accept.
fn a_name() -> impl Strategy<Value = String> {
    "[^\\p{Cc}]{1,40}".prop_filter("a name", |name| {
        names::check(name.as_bytes(), &WIRE).is_ok()
    })
}

const TIGHT: WireLimits = WireLimits {
    unit: 16,
    name: 12,
    component: 5,
};

/// The units of a line client and the fault that ended them; the input grows to each of `ends`.
fn units(input: &[u8], ends: &[usize]) -> (Vec<Vec<u8>>, Option<Fault>) {
    let mut framer = Framer::new(TIGHT.unit);
    let (mut units, mut taken_so_far) = (Vec::new(), 0);
    for (number, &end) in ends.iter().enumerate() {
        let follows = if number + 1 == ends.len() {
            Follows::Eof
        } else {
            Follows::More
        };
        loop {
            let rest = &input[taken_so_far..end];
            match framer.split(rest, follows, |_| Unended::Part) {
                Frame::Unit { text, taken } => {
                    units.push(text.to_vec());
                    taken_so_far += taken;
                }
                Frame::Broken(fault) => return (units, Some(fault)),
                Frame::More | Frame::End => break,
                Frame::Healed { .. } => unreachable!("no unit was bare"),
            }
        }
    }
    (units, None)
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn a_name_that_passes_keeps_every_limit(raw in bytes()) {
        for limits in [WIRE, TIGHT] {
            if let Ok(name) = names::check(&raw, &limits) {
                prop_assert_eq!(name.as_bytes(), &raw[..]);
                prop_assert!((1..=limits.name).contains(&name.len()));
                prop_assert!(!name.chars().any(char::is_control));
                prop_assert!(name.split('/').all(|part| part.len() <= limits.component));
                prop_assert!(!names::last_component(name).contains('/'));
            }
        }
        if let Some(name) = names::undouble(&raw) {
            prop_assert!(raw.ends_with(&[name, name].concat()));
        }
    }

    #[test]
    fn a_repeated_name_is_split_in_half(name in prop::collection::vec(any::<u8>(), 1..30)) {
        let twice = [&name[..], &name].concat();
        prop_assert_eq!(names::undouble(&twice), Some(&name[..]));
    }

    #[test]
    fn any_command_is_refused_or_holds_the_name_that_was_sent(unit in bytes()) {
        let line = files_command::parse_line(&unit, &TIGHT);
        let bare = files_command::parse_bare(&unit, &TIGHT);
        for parsed in [line, bare] {
            let name = match parsed {
                Err(fault) => {
                    prop_assert!(!fault.to_string().contains(char::is_control));
                    continue;
                }
                Ok(Command::List(None) | Command::Goodbye) => continue,
                Ok(Command::Rename(old, new)) => {
                    prop_assert!(is_inside(old.as_bytes(), &unit));
                    new
                }
                Ok(Command::List(Some(name)) | Command::Size(name) | Command::Remove(name))
                | Ok(Command::Sum(name, _) | Command::MakeFolder(name))
                | Ok(Command::Download(name, _) | Command::Upload(name, _)) => name,
            };
            prop_assert!(is_inside(name.as_bytes(), &unit));
            prop_assert_eq!(names::check(name.as_bytes(), &TIGHT), Ok(name));
        }
    }

    #[test]
    fn quoting_a_name_does_not_change_it(name in a_name(), number in any::<u64>()) {
        let quoted = files_command::quote(&name);
        let parse = |text: &str| {
            let parsed = files_command::parse_line(text.as_bytes(), &WIRE).expect("a command");
            format!("{parsed:?}")
        };
        let is = |command: Command<'_>| format!("{command:?}");
        // The root has more than one name.
        let is_root = name.split('/').all(|part| ["", "."].contains(&part));
        let folder = (!is_root).then_some(&*name);
        prop_assert_eq!(parse(&format!("ls {quoted}")), is(Command::List(folder)));
        prop_assert_eq!(parse(&format!("size {quoted}")), is(Command::Size(&name)));
        prop_assert_eq!(parse(&format!("rm {quoted}")), is(Command::Remove(&name)));
        let from = format!("download {quoted} {number}");
        prop_assert_eq!(parse(&from), is(Command::Download(&name, number)));
        prop_assert_eq!(parse(&format!("download {quoted}")), is(Command::Download(&name, 0)));
        let upload = format!("upload {quoted} {number}");
        prop_assert_eq!(parse(&upload), is(Command::Upload(&name, Some(number))));
    }

    #[test]
    fn any_line_header_is_refused_or_parsed_exactly(line in bytes(), size in any::<u64>()) {
        if let Ok((name, size)) = transfer_header::parse_line(&line) {
            let digits = &line[name.len() + SEPARATOR.len()..];
            prop_assert!(line[name.len()..].starts_with(SEPARATOR.as_bytes()));
            let read = std::str::from_utf8(digits).expect("digits").parse();
            prop_assert_eq!(read, Ok(size));
        }
        let written = [&line[..], SEPARATOR.as_bytes(), size.to_string().as_bytes()].concat();
        prop_assert_eq!(transfer_header::parse_line(&written), Ok((&line[..], size)));
    }

    #[test]
    fn a_bare_header_is_parsed_from_its_own_bytes(
        input in bytes(), first in 0..200_usize, longest in 0..60_usize, finished in any::<bool>(),
    ) {
        let Some(at) = transfer_header::separator(&input, longest) else { return Ok(()) };
        prop_assert!(at <= longest && input[at..].starts_with(SEPARATOR.as_bytes()));
        prop_assert!(!is_inside(SEPARATOR.as_bytes(), &input[..at + SEPARATOR.len() - 1]));
        let pauses = [Pauses::None, Pauses::Typed, Pauses::Behind(first)][first % 3];
        let parsed = transfer_header::parse_bare(&input, at, pauses, finished);
        prop_assert!(!finished || parsed != Ok(BareHeader::Open));
        if let Ok(BareHeader::Whole { name, digits, behind }) = parsed {
            prop_assert!(input[..at].ends_with(name));
            prop_assert_eq!(behind, at + SEPARATOR.len());
            prop_assert!(input[behind..].starts_with(digits.text()));
        }
    }

    #[test]
    fn a_separator_appears_only_where_it_was_possible(
        input in bytes(), more in bytes(), longest in 0..40_usize,
    ) {
        let whole = [&input[..], &more].concat();
        let came = transfer_header::separator(&input, longest);
        match transfer_header::separator(&whole, longest) {
            Some(at) if came.is_some() => prop_assert_eq!(Some(at), came),
            Some(_) => prop_assert!(transfer_header::separator_may_come(&input, longest)),
            None => prop_assert_eq!(came, None),
        }
    }

    #[test]
    fn decided_digits_do_not_change_when_more_bytes_arrive(
        input in "[0-9]{0,24}[0-9a ]{0,4}", more in bytes(), most in any::<u64>(),
    ) {
        let (input, whole) = (input.as_bytes(), [input.as_bytes(), &more].concat());
        match Digits::read(input, false) {
            Start::Open => prop_assert!(input.len() < 20 && input.iter().all(u8::is_ascii_digit)),
            closed => prop_assert_eq!(&Digits::read(&whole, false), &closed),
        }
        let Start::Closed(digits) = Digits::read(&whole, true) else { return Ok(()) };
        prop_assert!(whole.starts_with(digits.text()));
        let text = std::str::from_utf8(digits.text()).expect("digits");
        prop_assert_eq!(text.parse(), Ok(digits.largest()));
        if let Some(fewer) = digits.at_most(most) {
            prop_assert!(fewer.largest() <= most && digits.text().starts_with(fewer.text()));
        }
        if let Some(length) = digits.solve(most) {
            let size: u64 = text[..length].parse().expect("digits");
            prop_assert_eq!(size + length as u64, most);
        }
    }

    #[test]
    fn a_body_that_begins_with_digits_is_stored_whole(body in "[0-9]{0,30}[0-9a-c]{0,60}") {
        let wire = format!("{}{body}", body.len());
        let Start::Closed(digits) = Digits::read(wire.as_bytes(), true) else {
            unreachable!("there is a digit")
        };
        let digits = digits.at_most(STORE.largest).expect("the size itself fits");
        let taken = digits.text().len();
        let store = Memory::default();
        let client = Requester { session: SessionId(1), address: [127, 0, 0, 1].into(), reads: 0 };
        let upload = store.create("a", None, client).take().ok().expect("at once");
        let upload = upload.expect("a file");
        let blob = upload.blob();
        let (upload, _) = UnframedUpload::new(upload, digits);
        blob.write(&wire.as_bytes()[taken..], 0);
        let missing = digits.largest() + 1 - (wire.len() - taken) as u64;
        let (upload, front) = upload.solve(missing).expect("there is a solution");
        let stored = upload.commit(&front, Overwrite::Allowed, client).take();
        prop_assert!(matches!(stored, Ok(Ok(Stored::Created))));
        prop_assert_eq!(&store.files()["a"], body.as_bytes());
    }

    #[test]
    fn lines_do_not_depend_on_how_the_input_is_cut(input in bytes(), cuts in cuts()) {
        let whole = units(&input, &[input.len()]);
        let (found, fault) = units(&input, &cut_at(input.len(), &cuts));
        prop_assert_eq!(&(found.clone(), fault), &whole);
        for unit in &found {
            prop_assert!(unit.len() <= TIGHT.unit && !unit.contains(&b'\n'));
        }
        let byte_by_byte: Vec<_> = (0..=input.len()).collect();
        prop_assert_eq!(units(&input, &byte_by_byte), whole);
    }

    #[test]
    fn a_frame_is_always_a_prefix_of_the_input(
        steps in prop::collection::vec((bytes(), pauses(), judgements()), 1..6),
    ) {
        let mut framer = Framer::new(TIGHT.unit);
        for (input, follows, found) in steps {
            let was_line = framer.dialect() == Dialect::Line;
            match framer.split(&input, follows, |_| found) {
                Frame::Unit { text, taken } => {
                    prop_assert!(taken > 0 && taken <= input.len());
                    prop_assert!(input.starts_with(text) && text.len() <= TIGHT.unit);
                }
                Frame::Healed { taken } => {
                    prop_assert!([&b"\n"[..], b"\r\n"].contains(&&input[..taken]));
                }
                Frame::End => prop_assert!(input.is_empty() && follows == Follows::Eof),
                Frame::More => prop_assert!(follows != Follows::Eof || input.is_empty()),
                Frame::Broken(_) => prop_assert!(!input.is_empty()),
            }
            prop_assert!(!was_line || framer.dialect() == Dialect::Line);
        }
    }

    #[test]
    fn cleaned_text_has_no_control_characters_however_it_is_cut(input in bytes(), cuts in cuts()) {
        let cleaned = text::clean(&input);
        let is_steering = |letter: char| letter.is_control() && letter != '\t';
        let turns_around = '\u{202e}';
        prop_assert!(!cleaned.contains(is_steering) && !cleaned.contains(turns_around));
        for end in cut_at(input.len(), &cuts) {
            let whole = text::complete_prefix(&input[..end]);
            prop_assert!(whole <= end && end - whole < 4);
            let joined = text::clean(&input[..whole]) + &text::clean(&input[whole..]);
            prop_assert_eq!(&joined, &cleaned);
        }
    }

    #[test]
    fn what_a_client_shows_does_not_depend_on_how_bytes_are_cut(input in bytes(), cuts in cuts()) {
        let whole = |ends: &[usize]| {
            let (mut sanitizer, mut text, mut from) = (Sanitizer::default(), String::new(), 0);
            for &end in ends {
                text += &sanitizer.clean(&input[from..end]);
                from = end;
            }
            text + sanitizer.finish()
        };
        let shown = whole(&[input.len()]);
        let is_steering = |letter: char| letter.is_control() && !"\n\t".contains(letter);
        prop_assert!(!shown.contains(is_steering));
        prop_assert_eq!(whole(&cut_at(input.len(), &cuts)), shown);
    }

    #[test]
    fn a_client_saves_only_into_the_current_folder(name in "\\PC{0,20}|[./a]{0,8}") {
        if let Ok(local) = local_names::local_name(&name) {
            prop_assert!(!local.contains('/') && !["", ".", ".."].contains(&local));
            prop_assert!(name.ends_with(local));
        }
    }

    #[test]
    fn the_shell_keeps_quoted_words_unchanged(said in prop::collection::vec("[^']{0,9}", 0..5)) {
        let quoted: Vec<_> = said.iter().map(|word| format!("'{word}'")).collect();
        prop_assert_eq!(split_args::split(&quoted.join(" \t")), Ok(said));
    }

    #[test]
    fn any_shell_line_is_split_or_refused(line in "[ab \t\"'\\PC]{0,40}") {
        if let Ok(words) = split_args::split(&line) {
            let letters = words.iter().flat_map(|word| word.chars());
            prop_assert!(letters.count() <= line.chars().count());
        }
    }
}

/// The lines that these keys type; the keys arrive in pieces that stop at each of `ends`. Keys
/// after an end of input are ignored.
fn typed(keys: &[u8], ends: &[usize], limits: EditorLimits, columns: usize) -> Vec<Typed> {
    let mut editor = LineEditor::new("> ", columns, limits);
    let (mut typed, mut from) = (Vec::new(), 0);
    for &end in ends {
        typed.extend(editor.feed(&keys[from..end], &mut Vec::new()));
        from = end;
        if typed.last() == Some(&Typed::End) {
            break;
        }
    }
    typed
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn typed_lines_do_not_depend_on_how_the_keys_are_cut(keys in bytes(), cuts in cuts()) {
        for limits in [EDITOR, EditorLimits { line: 7, history: 2 }] {
            let whole = typed(&keys, &[keys.len()], limits, 40);
            for line in &whole {
                let Typed::Line(line) = line else { continue };
                prop_assert!(line.chars().count() <= limits.line);
                prop_assert!(!line.contains(char::is_control));
            }
            prop_assert_eq!(typed(&keys, &cut_at(keys.len(), &cuts), limits, 40), whole);
        }
    }

    #[test]
    fn a_typed_line_stays_in_its_row(keys in bytes(), columns in 6..40_usize) {
        let mut editor = LineEditor::new("> ", columns, EDITOR);
        editor.feed(&keys, &mut Vec::new());
        let mut screen = Vec::new();
        editor.draw(&mut screen);
        let drawn = String::from_utf8(screen).expect("text");
        let row = drawn.strip_prefix("\r\x1b[K").expect("an empty row first");
        let shown = row.split('\x1b').next().expect("the line");
        let width: usize = shown.chars().map(|letter| letter.width().unwrap_or(0)).sum();
        prop_assert!(width < columns, "{width} of {columns}: {shown:?}");
    }

    #[test]
    fn room_replies_are_short_to_strangers_and_limited_to_members(
        said in prop::collection::vec((0..4_u16, bytes()), 1..12), join in any::<bool>(),
    ) {
        let mut room = Room::new("sesame", ROOM);
        let (mut out, mut posts) = (SendQueue::new(1_000), Vec::new());
        let members: &[u16] = if join { &[0, 1] } else { &[] };
        let entrance = members.iter().flat_map(|&port| {
            [(port, b"PASSWORD sesame".to_vec()), (port, format!("USERNAME m{port}").into())]
        });
        let mut is_member = [false; 4];
        for (port, bytes) in entrance.chain(said).collect::<Vec<_>>() {
            let mut cx = DatagramContext { out: &mut out, posts: &mut posts, now: 1 };
            let from = std::net::SocketAddr::from(([127, 0, 0, 1], 1000 + port));
            room.on_datagram(from.into(), &bytes, &mut cx);
            let mut copies = Vec::new();
            while let Some((copy, to)) = out.front() {
                copies.push((copy.bytes.to_vec(), to.peer.address().port() - 1000));
                out.advance();
            }
            let joins = copies.first() == Some(&(b"USERNAME OK".to_vec(), port));
            is_member[usize::from(port)] |= joins;
            if !is_member[usize::from(port)] {
                prop_assert!(copies.len() <= 1, "{copies:?}");
            }
            for (copy, to) in copies {
                prop_assert!(copy.len() <= ROOM.message);
                prop_assert!(is_member[usize::from(to)] || copy.len() <= bytes.len() + 20);
                prop_assert!(std::str::from_utf8(&copy).is_ok());
            }
        }
        for post in posts {
            if let Notice::Line(line) = post.notice {
                prop_assert!(!line.contains(|letter: char| letter.is_control() && letter != '\t'));
            }
        }
    }

    #[test]
    fn lines_of_a_talk_client_are_clean_and_independent_of_cuts(
        input in bytes(), cuts in cuts(),
    ) {
        let heard = |ends: &[usize]| {
            let mut shared = Shared::new(OUTBOX_HIGH_WATER);
            let limits = Rc::new(SERVICES);
            let mut talk = Talk::new(limits, Rc::default(), ([127, 0, 0, 1], 9).into());
            let (mut out, mut from) = (Outbox::default(), 0);
            // Begins with a line, so that the end of the stream completes no bare unit.
            let input = [b"line\n", &input[..]].concat();
            for (number, end) in ends.iter().map(|end| end + 5).enumerate() {
                let last = number + 1 == ends.len();
                let follows = if last { Follows::Eof } else { Follows::More };
                loop {
                    let mut cx = shared.context(&mut out, SessionId(1));
                    let (taken, _) = talk.on_bytes(&input[from..end], follows, &mut cx);
                    from += taken;
                    if taken == 0 {
                        break;
                    }
                }
            }
            shared.posts.into_iter().map(|post| post.notice).collect::<Vec<_>>()
        };
        let whole = heard(&[input.len()]);
        for notice in &whole {
            let Notice::Line(line) = notice else { panic!("{notice:?}") };
            prop_assert!(!line.contains(|letter: char| letter.is_control() && letter != '\t'));
        }
        prop_assert_eq!(heard(&cut_at(input.len(), &cuts)), whole);
    }
}

/// The usual limits but for the length of a reply line.
fn client_limits(reply_line: usize) -> ClientLimits {
    ClientLimits {
        reply_line,
        ..CLIENT
    }
}

/// The replies that a client reads from these bytes of a server, and the error that ended them.
fn replies(said: &[u8], reply_line: usize) -> (Vec<Reply>, ExchangeError) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let address = Address::read(&address).expect("an address");
    let mut client =
        BlockingConnection::open(&address, &client_limits(reply_line)).expect("it listens");
    let (mut server, _) = listener.accept().expect("the client");
    server.write_all(said).expect("it fits the buffer");
    drop(server);
    let mut replies = Vec::new();
    loop {
        match client.read_reply() {
            Ok(reply) => replies.push(reply),
            Err(error) => return (replies, error),
        }
    }
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn any_reply_is_parsed_or_refused(
        noise in bytes(),
        texts in prop::collection::vec("(OK|OK [ -~]{0,30}|ERROR[ -~]{0,30})\r?", 0..4),
    ) {
        let lines: String = texts.iter().map(|text| format!("{text}\n")).collect();
        let said = [lines.as_bytes(), &noise].concat();
        let (found, error) = replies(&said, 64);
        let is_expected = matches!(error, ExchangeError::Closed | ExchangeError::NotAReply(_));
        prop_assert!(is_expected, "{error:?}");
        prop_assert!(found.len() >= texts.len(), "{found:?}");
        for (text, reply) in texts.iter().zip(&found) {
            let text = text.trim_end_matches('\r');
            match reply {
                Reply::No(line) => prop_assert_eq!(line, text),
                Reply::Yes(rest) if rest.is_empty() => {
                    prop_assert_eq!(text.trim_end_matches(' '), "OK");
                }
                Reply::Yes(rest) => prop_assert_eq!(format!("OK {rest}"), text),
            }
        }
        for reply in &found {
            let (Reply::Yes(line) | Reply::No(line)) = reply;
            // An invalid byte becomes U+FFFD, which has three.
            prop_assert!(line.len() <= 3 * 64, "{line}");
        }
    }
}

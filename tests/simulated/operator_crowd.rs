//! The operator with many talk clients: a command for 10,000 clients is carried out in bounded
//! steps, and the lines of 200 clients are all shown. `talk.rs` tests the operator of a server.

use crate::memory::store::Files;
use crate::sim::by_hand::{Peer, Simulation};
use loket::config::reactor::{OUTBOX_HIGH_WATER, REACTOR};
use loket::config::services::{EDITOR, SERVICES};
use loket::reactor::clock::SECOND;
use loket::services::operator::Operator;
use loket::services::roster::Roster;
use loket::services::talk::Talk;
use loket::session::notice::{Audience, Notice};
use loket::session::outbox::{Front, Outbox};
use loket::session::protocol::{Intake, Protocol};
use loket::session::session_id::SessionId;
use loket::session::shared::Shared;
use loket::terminal::line_editor::LineEditor;
use loket::wire::follows::Follows;
use std::cell::RefCell;
use std::rc::Rc;

const CLIENTS: u32 = 10_000;
/// The highest client number. Odd numbers have disconnected.
const LAST: u32 = 2 * CLIENTS;

/// An operator without a server, and everything that it has shown and posted.
struct OperatorSession {
    operator: Operator,
    roster: Rc<RefCell<Roster>>,
    shared: Shared,
    out: Outbox,
    shown: String,
    written: Vec<(SessionId, Rc<str>)>,
    /// The most bytes shown and notices posted by one call.
    max_step: (usize, usize),
}

impl OperatorSession {
    fn open(editor: Option<LineEditor>) -> OperatorSession {
        let limits = Rc::new(SERVICES);
        let roster = Rc::<RefCell<Roster>>::default();
        let text = "\u{e9}".repeat(2_000);
        for id in 1..=LAST {
            let (peer, address) = (SessionId(id.into()), ([127, 0, 0, 1], 1).into());
            assert_eq!(roster.borrow_mut().join(peer, address, 0), id);
            roster.borrow_mut().set_last(id, &text);
        }
        for id in (1..LAST).step_by(2) {
            roster.borrow_mut().leave(id);
        }
        OperatorSession {
            operator: Operator::new(limits, Some(roster.clone()), editor),
            roster,
            shared: Shared::new(OUTBOX_HIGH_WATER),
            out: Outbox::default(),
            shown: String::new(),
            written: Vec::new(),
            max_step: (0, 0),
        }
    }

    /// Collects the output and the notices of one call.
    fn collect(&mut self) {
        let before = self.shown.len();
        while let Some(Front::Bytes(bytes)) = self.out.front() {
            self.shown += std::str::from_utf8(bytes).expect("text");
            let count = bytes.len();
            self.out.advance(count);
        }
        let posts = std::mem::take(&mut self.shared.posts);
        self.max_step.0 = self.max_step.0.max(self.shown.len() - before);
        self.max_step.1 = self.max_step.1.max(posts.len());
        for post in posts {
            let (Audience::One(peer), Notice::Line(text)) = (post.to, post.notice) else {
                panic!("the operator writes to clients")
            };
            self.written.push((peer, text));
        }
    }

    /// Types the input and lets the operator finish its work.
    fn type_input(&mut self, mut input: &[u8]) {
        while !input.is_empty() {
            let mut cx = self.shared.context(&mut self.out, SessionId(0));
            let (taken, intake) = self.operator.on_bytes(input, Follows::More, &mut cx);
            assert!(taken > 0, "the operator consumes whole lines");
            input = &input[taken..];
            self.collect();
            self.work(intake);
        }
    }

    fn work(&mut self, mut intake: Intake) {
        while matches!(intake, Intake::Work) {
            let mut cx = self.shared.context(&mut self.out, SessionId(0));
            intake = self.operator.on_work(&mut cx);
            self.collect();
        }
    }
}

fn with_and_without_a_terminal(check: impl Fn(OperatorSession)) {
    check(OperatorSession::open(None));
    check(OperatorSession::open(Some(LineEditor::new(
        "> ", 80, EDITOR,
    ))));
}

#[test]
fn list_shows_10_000_clients_in_bounded_steps() {
    with_and_without_a_terminal(|mut session| {
        session.type_input(b"/list\n");
        let last = format!("last message: {:?}", "\u{e9}".repeat(60) + "...");
        let ids: Vec<u32> = session
            .shown
            .lines()
            .filter(|line| line.ends_with(&last))
            .map(|line| line.rsplit("\u{1b}[K").next().unwrap_or(line))
            .map(|line| {
                line.split(' ')
                    .next()
                    .expect("a number")
                    .parse()
                    .expect(line)
            })
            .collect();
        assert!(ids.into_iter().eq((2..=LAST).step_by(2)));
        assert!(
            session.max_step.0 <= SERVICES.operator_batch * 250,
            "{:?}",
            session.max_step
        );
    });
}

#[test]
fn a_line_for_all_is_posted_to_10_000_clients_in_bounded_steps_and_in_order() {
    with_and_without_a_terminal(|mut session| {
        session.type_input(b"first\n/to 2 one\nsecond\n");
        let all_clients = || (2..=LAST).step_by(2).map(|id| SessionId(id.into()));
        let to_all = |text| all_clients().map(move |peer| (peer, Rc::from(text)));
        let wanted: Vec<(SessionId, Rc<str>)> = to_all("first")
            .chain([(SessionId(2), "one".into())])
            .chain(to_all("second"))
            .collect();
        assert!(session.written == wanted, "{} posts", session.written.len());
        assert!(
            session.max_step.1 <= SERVICES.operator_batch,
            "{:?}",
            session.max_step
        );
    });
}

#[test]
fn pasted_lines_are_carried_out_one_at_a_time() {
    let mut session = OperatorSession::open(Some(LineEditor::new("> ", 80, EDITOR)));
    session.type_input("x\n".repeat(20).as_bytes());
    assert_eq!(session.written.len(), 20 * CLIENTS as usize);
    assert!(
        session.max_step.1 <= SERVICES.operator_batch,
        "{:?}",
        session.max_step
    );
}

#[test]
fn a_list_tolerates_clients_that_connect_and_disconnect_meanwhile() {
    let mut session = OperatorSession::open(None);
    let mut cx = session.shared.context(&mut session.out, SessionId(0));
    let (taken, intake) = session
        .operator
        .on_bytes(b"/list\n", Follows::More, &mut cx);
    assert!(taken == 6 && matches!(intake, Intake::Work));
    for id in (2..=LAST).step_by(2) {
        session.roster.borrow_mut().leave(id);
    }
    let (peer, address) = (SessionId(7), ([127, 0, 0, 1], 1).into());
    let id = session.roster.borrow_mut().join(peer, address, 0);
    session.collect();
    session.shown.clear();
    session.work(intake);
    assert_eq!(session.shown, "");
    session.type_input(b"/list\n");
    let begins = format!("{id}  127.0.0.1:1  connected for 0 s  last message: none\n");
    assert_eq!(session.shown, begins);
}

/// Adds talk clients that have each sent seven lines of 1,000 bytes, before any turn.
fn add_clients(simulation: &mut Simulation, roster: &Rc<RefCell<Roster>>, count: usize) {
    let lines: String = (0..7).map(|number| format!("{number:0999}\n")).collect();
    for _ in 0..count {
        let limits = Rc::new(SERVICES);
        let talk = Talk::new(limits, roster.clone(), ([127, 0, 0, 1], 1).into());
        let client = simulation.open(Box::new(talk), usize::MAX / 2);
        simulation.say(&client, &lines);
    }
}

/// An operator whose screen takes `window` bytes, and 200 talk clients that have sent lines.
fn operator_and_clients(window: usize) -> (Simulation, Peer) {
    let (mut simulation, roster) = (Simulation::new(&Files::new()), Rc::default());
    let limits = Rc::new(SERVICES);
    let operator = Operator::new(limits, Some(Rc::clone(&roster)), None);
    let operator = simulation.operator(Box::new(operator), window);
    add_clients(&mut simulation, &roster, 200);
    (simulation, operator)
}

/// The number of lines shown. Panics if lines were lost.
fn count_shown(operator: &Peer) -> usize {
    let text = operator.text();
    assert!(!text.contains("lost"), "lines are lost");
    text.lines().filter(|line| line.contains(": ")).count()
}

#[test]
fn the_lines_of_200_clients_in_one_round_are_all_shown() {
    let (mut simulation, operator) = operator_and_clients(usize::MAX / 2);
    simulation.run();
    assert_eq!(count_shown(&operator), 7 * 200, "in one round");
}

#[test]
fn talk_clients_wait_while_the_screen_is_read_slowly() {
    let (mut simulation, operator) = operator_and_clients(0);
    for _ in 0..200 {
        simulation.make_room(&operator, 16_384);
        simulation.pass(SECOND / 5);
    }
    assert_eq!(count_shown(&operator), 7 * 200);
}

#[test]
fn talk_clients_do_not_wait_for_a_screen_that_is_not_read() {
    let (mut simulation, operator) = operator_and_clients(0);
    simulation.pass(u64::from(REACTOR.operator_stall_seconds + 1) * SECOND);
    simulation.make_room(&operator, usize::MAX / 2);
    simulation.run();
    let shown = operator.text().lines().count();
    assert!(shown > 100 && shown < 7 * 200, "{shown}");
    let roster = Rc::default();
    add_clients(&mut simulation, &roster, 1);
    simulation.run();
    let text = operator.text();
    let note = text.lines().find(|line| line.contains(" lines lost: "));
    let note = note.expect("the lost lines are counted").strip_prefix('(');
    let lost = note.and_then(|note| note.split(' ').next()?.parse::<usize>().ok());
    assert_eq!(lost.expect("a number") + shown, 200 + 7 * 200);
}

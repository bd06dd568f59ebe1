//! What the Loop view makes of the calls of its observer: frames, snapshots and traces.

use loket::config::loop_view::LOOP_VIEW;
use loket::session::close_reason::CloseReason;
use loket::session::loop_frame::{ConnNow, LoopNow};
use loket::session::loop_metrics::{Counting, LoopMetrics};
use loket::session::loop_observer::LoopObserver;
use loket::session::loop_view::{LoopNews, LoopView};
use loket::session::observer::{ConnLabel, IoDirection, Observer, Readiness, TurnEnd, label};
use loket::session::session_id::SessionId;
use std::rc::Rc;

const SERVICES: [&str; 3] = ["echo", "http", "console"];
const FRAME: u64 = LOOP_VIEW.frame_micros;

/// What a tab was given.
#[derive(Default)]
struct Given {
    piece: Option<String>,
    frame: Option<String>,
    trace: Option<(SessionId, Vec<String>)>,
}

/// A loop that is observed, without any connection.
struct Loop {
    view: Rc<LoopView>,
    observer: (Counting, LoopObserver),
    now: LoopNow,
}

fn conn(slot: u32, service: u16) -> ConnLabel<'static> {
    label(&SERVICES, service, id(slot))
}

/// The session in a slot.
fn id(slot: u32) -> SessionId {
    SessionId::new(slot, slot + 100)
}

impl Loop {
    fn new() -> Loop {
        let metrics = Rc::new(LoopMetrics::new(["echo", "http"]));
        let view = Rc::new(LoopView::new(metrics.clone(), LOOP_VIEW));
        let observer = (Counting::new(metrics), LoopObserver::new(view.clone()));
        let now = LoopNow::default();
        Loop {
            view,
            observer,
            now,
        }
    }

    /// With connections of the echo service in all slots but this one. Its tab has got the snapshot
    /// and the first frame.
    fn watched(tab: u32) -> Loop {
        let mut looped = Loop::new();
        (0..1_000).for_each(|slot| looped.open(conn(slot, 0)));
        looped.join(tab);
        looped.now.micros += FRAME;
        assert_eq!(looped.end_round().0, [id(tab)]);
        let given = looped.given(tab);
        assert!(given.piece.is_some() && given.frame.is_some());
        looped.turn(conn(tab, 1), TurnEnd::Parked, 0);
        looped
    }

    fn join(&mut self, tab: u32) {
        self.open(conn(tab, 1));
        self.view.watch(id(tab), self.now.micros);
        self.turn(conn(tab, 1), TurnEnd::Parked, 0);
    }

    fn open(&mut self, conn: ConnLabel<'_>) {
        self.observer.opened(conn, ([127, 0, 0, 1], 9).into());
    }

    fn turn(&mut self, conn: ConnLabel<'_>, end: TurnEnd, owed: u64) {
        self.observer.turn(conn, Readiness::BOTH);
        self.observer.turn_ended(conn, end, owed, None);
    }

    fn end_round(&mut self) -> (Vec<SessionId>, Option<u64>) {
        self.view.end_round(&self.now, 0, &|_| None)
    }

    /// The frame that the tab in this slot gets after the shortest time.
    #[track_caller]
    fn frame(&mut self, tab: u32) -> String {
        self.now.micros += FRAME;
        self.end_round();
        let frame = self.given(tab).frame.expect("a frame");
        self.turn(conn(tab, 1), TurnEnd::Parked, 0);
        frame
    }

    fn given(&self, tab: u32) -> Given {
        let mut given = Given::default();
        while let Some(news) = self.view.next_news(id(tab)) {
            match news {
                LoopNews::Piece(text) => given.piece = Some(text),
                LoopNews::Frame(text, missed) => {
                    given.frame = Some(format!("{text},\"missed\":{missed}}}"));
                }
                LoopNews::Trace(conn, lines) => given.trace = Some((conn, lines)),
            }
        }
        given
    }
}

#[track_caller]
fn has(frame: &str, part: &str) {
    assert!(frame.contains(part), "no {part} in {frame}");
}

#[test]
fn a_frame_adds_up_what_has_happened_since_the_last_one() {
    let mut looped = Loop::watched(0);
    looped.observer.round(2);
    looped.observer.queued(2, 7);
    let calls = LOOP_VIEW.budget.short_calls / 2;
    for _ in 0..3 {
        looped.observer.turn(conn(5, 0), Readiness::BOTH);
        looped.observer.moved(IoDirection::In, 10, false);
        looped.observer.moved(IoDirection::Out, 30, true);
        looped
            .observer
            .turn_ended(conn(5, 0), TurnEnd::Parked, 0, None);
        looped.observer.cost(conn(5, 0), false, 40, calls, 70);
    }
    looped.turn(conn(6, 0), TurnEnd::Parked, 4_000);
    looped.now.late = 900;
    looped.end_round();
    looped.now = LoopNow {
        late: 5,
        queued: [1, 3],
        connections: 4,
        limit: 9,
        accepting: true,
        ..looped.now
    };
    assert_eq!(
        looped.frame(0),
        "{\"at\":200,\"span\":100,\"rounds\":1,\"events\":2,\"turns\":{\"parked\":5,\"requeue\":0,\
         \"await_disk\":0,\"closed\":0},\"in\":30,\"out\":90,\"short\":1,\"bulk\":3,\
         \"await_disk\":0,\"most\":[2,7],\"longest\":70,\"lag\":900,\"connections\":4,\"limit\":9,\
         \"accepting\":true,\"conns\":[[0,100,1,0,0,1,0,0],[5,105,0,0,0,3,120,50],\
         [6,106,0,0,4000,1,0,0]],\"cut\":0,\"gone\":[],\"missed\":0}"
    );
    // The tab's own turns do not count.
    assert_eq!(looped.end_round(), (vec![], None));
}

#[test]
fn a_connection_shows_how_its_last_turn_ended_until_it_is_gone() {
    let mut looped = Loop::watched(0);
    for (slot, end) in [(1, TurnEnd::Requeue), (2, TurnEnd::AwaitDisk)] {
        looped.open(conn(slot, 0));
        looped.turn(conn(slot, 0), end, 7);
    }
    looped.open(conn(3, 0));
    looped.turn(conn(3, 0), TurnEnd::Parked, 0);
    looped.observer.lingering(conn(3, 0), CloseReason::Refused);
    let frame = looped.frame(0);
    has(
        &frame,
        "[1,101,0,1,7,1,0,0],[2,102,0,2,7,1,0,0],[3,103,0,3,0,1,0,0]",
    );
    has(&frame, "\"await_disk\":1,\"most\"");
    looped.observer.closed(conn(1, 0), CloseReason::Idle);
    looped.observer.closed(conn(2, 0), CloseReason::Idle);
    looped.open(conn(2, 0));
    has(
        &looped.frame(0),
        ",[2,102,0,0,0,0,0,0]],\"cut\":0,\"gone\":[1],",
    );
}

#[test]
fn nothing_is_kept_while_no_tab_watches() {
    let mut looped = Loop::new();
    looped.open(conn(5, 0));
    looped.turn(conn(5, 0), TurnEnd::Requeue, 9);
    assert!(!looped.view.is_watched());
    looped.join(0);
    has(&looped.frame(0), "\"conns\":[[0,");
    looped.turn(conn(5, 0), TurnEnd::Requeue, 9);
    looped.view.leave(id(0));
    assert!(!looped.view.is_watched());
    looped.join(1);
    has(&looped.frame(1), "\"conns\":[[1,");
}

#[test]
fn nothing_is_shown_while_nothing_happens_but_the_end_of_what_happened() {
    let mut looped = Loop::watched(0);
    let next = looped.now.micros + FRAME;
    // Events and turns of the tab itself.
    looped.observer.round(1);
    looped.observer.event(conn(0, 1), Readiness::BOTH);
    looped.observer.queued(1, 0);
    looped.turn(conn(0, 1), TurnEnd::Parked, 0);
    assert_eq!(looped.end_round(), (vec![], None));
    looped.turn(conn(4, 0), TurnEnd::Parked, 0);
    looped.now.micros += 10;
    assert_eq!(looped.end_round(), (vec![], Some(next)));
    has(&looped.frame(0), "[4,104,0,0,0,1,0,0]");
    looped.now.micros += 100 * FRAME;
    assert_eq!(looped.end_round(), (vec![], None));
    // An event without a connection, as a datagram of the room.
    looped.observer.round(1);
    looped.observer.queued(0, 0);
    assert_eq!(looped.end_round(), (vec![id(0)], None));
    // The end of accepting.
    looped.turn(conn(0, 1), TurnEnd::Parked, 0);
    looped.now.accepting = true;
    assert!(looped.end_round().1.is_some());
}

#[test]
fn changes_that_do_not_fit_into_one_frame_are_in_the_next() {
    let mut looped = Loop::watched(0);
    let most = LOOP_VIEW.frame_conns as u32;
    for slot in 1..=most + 7 {
        looped.turn(conn(slot, 0), TurnEnd::Parked, 0);
    }
    // The turn of the tab comes first.
    has(&looped.frame(0), "\"cut\":8,");
    let frame = looped.frame(0);
    has(&frame, &format!("[[{most},{},", most + 100));
    has(&frame, "\"cut\":0,");
}

#[test]
fn a_snapshot_comes_in_pieces_with_all_connections() {
    let mut looped = Loop::new();
    looped.join(0);
    let slots = 3 * LOOP_VIEW.piece_conns as u32 + 5;
    let is_open = |slot: u32| slot % 3 != 1;
    let find = |slot| {
        let found = ConnNow {
            serial: 1,
            service: 0,
            owed: 2,
        };
        Some(found).filter(|_| is_open(slot))
    };
    let mut shown = Vec::new();
    loop {
        assert_eq!(looped.view.end_round(&looped.now, slots, &find).0, [id(0)]);
        let piece = looped.given(0).piece.expect("a piece");
        let first = shown.is_empty();
        has(
            &piece,
            &format!("{{\"first\":{first},\"services\":[\"echo\",\"http\"],\"conns\":[["),
        );
        let (_, conns) = piece.split_once("\"conns\":[[").expect("connections");
        let (conns, rest) = conns.split_once("]]").expect("their end");
        let slot = |conn: &str| conn.split(',').next().expect("a slot").parse::<u32>();
        shown.extend(conns.split("],[").map(|conn| slot(conn).expect("a number")));
        // Nothing more before what it was given is written.
        assert_eq!(looped.view.end_round(&looped.now, slots, &find).0, []);
        looped.turn(conn(0, 1), TurnEnd::Parked, 0);
        if rest == ",\"more\":false}" {
            break;
        }
    }
    let all: Vec<u32> = (0..slots).filter(|slot| is_open(*slot)).collect();
    assert!(shown == all, "{shown:?}");
}

#[test]
fn a_tab_that_stalls_loses_frames_and_gets_the_whole_picture_afterwards() {
    let mut looped = Loop::watched(0);
    looped.join(1);
    looped.turn(conn(1, 1), TurnEnd::Parked, 1 << 20);
    for _ in 0..3 {
        looped.turn(conn(5, 0), TurnEnd::Parked, 0);
        looped.frame(0);
        assert!(looped.given(1).frame.is_none());
    }
    // It does not keep the loop busy either.
    assert_eq!(looped.end_round(), (vec![], None));
    looped.turn(conn(1, 1), TurnEnd::Parked, 0);
    looped.now.micros += FRAME;
    looped.end_round();
    let given = looped.given(1);
    has(&given.piece.expect("a piece"), "{\"first\":true,");
    has(&given.frame.expect("a frame"), ",\"missed\":3}");
}

#[test]
fn a_trace_has_the_turns_of_one_connection_and_no_byte_of_its_peer() {
    let mut looped = Loop::watched(0);
    looped.join(1);
    looped.view.trace(id(0), Some(id(5)));
    looped.view.trace(id(1), Some(id(6)));
    looped.observer.round(3);
    for (slot, bytes) in [(5, b"secret"), (6, b"hidden"), (7, b"unseen")] {
        looped.observer.event(conn(slot, 0), Readiness::BOTH);
        looped.observer.turn(conn(slot, 0), Readiness::BOTH);
        looped.observer.consumed(&bytes[..slot as usize - 4]);
        looped.observer.answered(bytes.len(), 0);
        looped.observer.moved(IoDirection::In, bytes.len(), false);
        looped
            .observer
            .turn_ended(conn(slot, 0), TurnEnd::Parked, 0, None);
    }
    looped.observer.closed(conn(6, 0), CloseReason::Idle);
    looped.now.micros += FRAME;
    let find = |slot| {
        let found = ConnNow {
            serial: id(5).serial(),
            service: 0,
            owed: 0,
        };
        (slot == 5).then_some(found)
    };
    looped.view.end_round(&looped.now, 9, &find);
    let traced = |tab| looped.given(tab).trace.expect("lines");
    let lines = [
        "conn 105 echo: parked, is owed 0 B",
        "round 1: 3 events",
        "conn 105 echo: event, readable and writable",
        "conn 105 echo: readable, consumed 1 B, sends 6 B, read 6 B",
        "conn 105 parked: nothing to read",
    ];
    assert_eq!(traced(0), (id(5), lines.map(str::to_owned).to_vec()));
    let (_, lines) = traced(1);
    assert_eq!(lines[0], "conn 106: is not open");
    assert_eq!(
        lines.last().expect("lines"),
        "conn 106 echo: closed, idle for too long"
    );
}

#[test]
fn a_piece_looks_at_a_bounded_number_of_slots() {
    let mut looped = Loop::new();
    looped.join(0);
    let asked = std::cell::Cell::new(0);
    let find = |_: u32| -> Option<ConnNow> {
        asked.set(asked.get() + 1);
        None
    };
    let slots = 10 * LOOP_VIEW.piece_slots;
    looped.view.end_round(&looped.now, slots, &find);
    assert_eq!(asked.get(), LOOP_VIEW.piece_slots);
}

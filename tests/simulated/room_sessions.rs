//! What the room does for members that are sessions: they leave when they end, and not before.

use crate::room_driver::{RoomDriver, SECOND, Transport, at, host, rooms_within};
use loket::config::room::ROOM;
use loket::services::room::limits::RoomLimits;

fn room(limits: RoomLimits) -> RoomDriver {
    let [_, over_sessions] = rooms_within(limits);
    over_sessions
}

fn copy(port: u16, text: &str) -> (u16, String) {
    (port, text.to_owned())
}

#[test]
fn a_session_that_ends_leaves_at_once_and_frees_its_name_and_its_place() {
    let per_address = 2;
    let mut room = room(RoomLimits {
        per_address,
        ..ROOM
    });
    room.join(at(1), "Ani");
    room.join(at(2), "Budi");
    room.answer(at(3), "PASSWORD sesame");
    assert_eq!(room.answer(at(3), "USERNAME cy"), "USERNAME TAKEN");
    let notice = "Ani telah keluar dari chatroom.";
    // The copy to the session itself is delivered to no one.
    assert_eq!(room.close(at(1)), [copy(1, notice), copy(2, notice)]);
    let names: Vec<_> = room.room.view().borrow().names.iter().cloned().collect();
    assert_eq!(names, ["Budi".into()]);
    let sent = room.deliver(at(3), "USERNAME ani");
    assert_eq!(sent[0], copy(3, "USERNAME OK"));
    // An end without a membership is no news.
    assert_eq!(room.close(at(1)), []);
    room.answer(at(4), "PASSWORD sesame");
    assert_eq!(room.close(at(4)), []);
    assert_eq!(room.answer(at(4), "USERNAME dea"), "PASSWORD INCORRECT");
}

#[test]
fn a_session_that_ends_has_no_claim_any_more() {
    let mut room = RoomDriver::open(20);
    room.join(at(1), "Ani");
    room.transport = Transport::Session;
    room.answer(at(2), "PASSWORD sesame");
    assert_eq!(room.deliver(at(2), "USERNAME ani"), [copy(1, " ")]);
    room.close(at(2));
    room.transport = Transport::Udp;
    room.icmp_error(at(1));
    room.icmp_error(at(1));
    let notice = copy(1, "Ani telah keluar dari chatroom.");
    assert_eq!(room.icmp_error(at(1)), [notice]);
    assert_eq!(room.pass(SECOND), []);
}

#[test]
fn a_claim_to_the_name_of_a_session_fails_at_once_and_sends_it_no_probe() {
    let mut room = room(ROOM);
    room.join(at(1), "Ani");
    for (from, transport) in [(host(2, 2), Transport::Udp), (at(3), Transport::Session)] {
        room.transport = transport;
        room.answer(from, "PASSWORD sesame");
        assert_eq!(room.answer(from, "USERNAME ANI"), "USERNAME TAKEN");
    }
}

#[test]
fn a_silent_session_does_not_expire_and_a_silent_socket_does() {
    let mut room = room(ROOM);
    room.join(at(1), "Ani");
    room.transport = Transport::Udp;
    room.join(at(2), "Budi");
    let notice = "Budi telah keluar dari chatroom.";
    let sent = room.pass(2 * 3_600 * SECOND);
    let to = |port| sent.contains(&copy(port, notice));
    assert!(sent.len() == 2 && to(1) && to(2), "{sent:?}");
    // An ICMP error for the port of the TCP connection is not about the session.
    for _ in 0..3 {
        assert_eq!(room.icmp_error(at(1)), []);
    }
    room.transport = Transport::Session;
    assert!(room.relays(at(1)));
    assert!(room.is_idle());
}

#[test]
fn sessions_and_udp_clients_of_one_address_are_different_members() {
    let mut room = room(ROOM);
    room.join(at(1), "Ani");
    room.transport = Transport::Udp;
    room.join(at(1), "Budi");
    assert_eq!(room.deliver(at(1), "hello").len(), 2);
    assert_eq!(room.deliver(at(1), "exit").len(), 1);
    room.transport = Transport::Session;
    let hello = [copy(1, "Ani: hello")];
    assert_eq!(room.deliver(at(1), "hello"), hello);
}

#[test]
fn the_name_in_a_text_is_marked_also_if_it_ends_in_a_colon() {
    let mut room = room(ROOM);
    for (text, named) in [
        ("PASSWORD sesame", &[][..]),
        ("USERNAME x:", &["x:"]),
        ("bergabung ke chatroom.", &["x:"]),
        ("x:: hello", &["x:"]),
        ("exit", &["x:"]),
    ] {
        room.deliver(at(1), text);
        assert_eq!(room.named, named, "{text}");
    }
}

//! Talk on several servers, over a real nats-server: operators on the terminal and over HTTP, and
//! textbook clients.

use super::link::wait_for_link;
use crate::support::nats::Nats;
use crate::support::{Client, Server, eventually};
use rustix::process::Signal;
use std::io::Write;
use std::process::ChildStdin;

/// A server with an operator, linked under this name.
fn operated(nats: &Nats, node: &str) -> (Server, ChildStdin) {
    let (server, keys) = Server::operated(&["--link", &nats.url(), "--node", node]);
    wait_for_link(&server, 1);
    (server, keys)
}

/// Reads a screen up to this line.
#[track_caller]
fn expect_shown(server: &mut Server, wanted: &str) {
    let line = server.shown_until(wanted);
    assert_eq!(line, wanted);
}

/// A client at a server, once the operator of another one sees it as this.
#[track_caller]
fn join(server: &Server, at: &mut Server, id: &str) -> Client {
    let client = server.connect("talk");
    at.shown_until(&format!("Client {id} connected from 127.0.0.1:"));
    client
}

#[test]
fn operators_of_linked_servers_see_and_reach_the_clients_of_all() {
    let test = "operators_of_linked_servers_see_and_reach_the_clients_of_all";
    let Some(nats) = Nats::start(test) else {
        return;
    };
    let (mut first, mut keys) = operated(&nats, "web1");
    let (mut second, _second_keys) = operated(&nats, "eu.web2");
    let mut line = join(&first, &mut second, "web1.1");
    let mut bare = join(&second, &mut first, "eu-web2.1");
    bare.send("halo dari kelas");
    for server in [&mut first, &mut second] {
        expect_shown(server, "Client eu-web2.1: halo dari kelas");
    }
    line.send("a line\n");
    for server in [&mut first, &mut second] {
        expect_shown(server, "Client web1.1: a line");
    }
    writeln!(keys, "to all\n/to eu-web2.1 to one").expect("an operator");
    line.expect("to all\n");
    // A textbook client gets no LF.
    bare.expect("to allto one");
    for wanted in ["web1> to all", "web1> /to eu-web2.1 to one"] {
        expect_shown(&mut second, wanted);
    }
    writeln!(keys, "/kick eu-web2.1").expect("an operator");
    assert_eq!(bare.rest(), b"");
    expect_shown(&mut first, "Client eu-web2.1 disconnected");
    expect_shown(&mut second, "web1> /kick eu-web2.1");
}

#[test]
fn a_tab_sees_and_reaches_clients_of_other_servers_by_their_ids() {
    let test = "a_tab_sees_and_reaches_clients_of_other_servers_by_their_ids";
    let Some(nats) = Nats::start(test) else {
        return;
    };
    let (mut first, _keys) = operated(&nats, "web1");
    let (second, _second_keys) = operated(&nats, "web2");
    let mut far = join(&second, &mut first, "web2.1");
    let mut tab = first.connect("http");
    tab.send("GET /-/events?operator&client HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut id = String::new();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let line = tab.line();
        if let Some(rest) = line.strip_prefix("data: {\"read_only\"") {
            let rest = rest.split("\"tab\":\"").nth(1).expect("an id");
            id = rest.split('"').next().expect("an id").to_owned();
        }
        let wanted = ["\"id\":\"web2.1\"", "{\"you\":\"web1.1\"}"];
        seen.extend(wanted.into_iter().filter(|it| line.contains(it)));
    }
    let post = |fields: &str| {
        let body = format!("{{\"tab\":\"{id}\",{fields}}}");
        let head = "POST /-/operator HTTP/1.0\r\nHost: localhost\r\n\
                    Content-Type: application/json\r\n";
        let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        let answer = first.ask("http", request);
        answer.split(' ').nth(1).expect("a status").to_owned()
    };
    assert_eq!(post("\"to\":\"web2.1\",\"line\":\"from a tab\""), "204");
    far.expect("from a tab\n");
    assert_eq!(post("\"line\":\"to all\""), "204");
    far.expect("to all\n");
    for wrong in ["\"web2.1 x\"", "\"1\"", "\"\"", "-1", "null"] {
        assert_eq!(
            post(&format!("\"to\":{wrong},\"line\":\"web2.1 y\"")),
            "400"
        );
    }
    assert_eq!(post("\"kick\":\"web2.1\""), "204");
    assert_eq!(far.rest(), b"");
    while !tab.line().contains("{\"left\":\"web2.1\"}") {}
}

#[test]
fn the_clients_of_a_server_leave_when_it_ends_and_when_it_starts_again_after_a_crash() {
    let test = "the_clients_of_a_server_leave_when_it_ends_and_when_it_starts_again_after_a_crash";
    let Some(nats) = Nats::start(test) else {
        return;
    };
    let (mut stays, _keys) = operated(&nats, "web1");
    let (ends, _ends_keys) = operated(&nats, "web2");
    let (mut dies, _dies_keys) = operated(&nats, "web3");
    let _far = join(&ends, &mut stays, "web2.1");
    let _far = join(&dies, &mut stays, "web3.1");
    ends.signal(Signal::TERM);
    expect_shown(&mut stays, "Client web2.1 disconnected");
    dies.kill();
    let (again, _again_keys) = operated(&nats, "web3");
    expect_shown(&mut stays, "Client web3.1 disconnected");
    join(&again, &mut stays, "web3.1");
}

#[test]
fn a_stopped_or_dead_broker_holds_up_no_client_and_operators_see_what_was_lost() {
    let test = "a_stopped_or_dead_broker_holds_up_no_client_and_operators_see_what_was_lost";
    let Some(mut nats) = Nats::start(test) else {
        return;
    };
    let (mut first, mut keys) = operated(&nats, "web1");
    let (mut second, _second_keys) = operated(&nats, "web2");
    let mut near = join(&first, &mut second, "web1.1");
    let mut far = join(&second, &mut first, "web2.1");
    nats.stop();
    for number in 0..10 {
        near.send(format!("stopped {number}\n"));
        expect_shown(&mut first, &format!("Client web1.1: stopped {number}"));
        writeln!(keys, "to all {number}").expect("an operator");
        near.expect(format!("to all {number}\n"));
    }
    nats.kill();
    eventually("the link is lost", || {
        first.connect("echo").send("hi").expect("hi");
        first.log().contains("link: lost")
    });
    writeln!(keys, "/to web2.1 x\nnear only").expect("an operator");
    let down = "the link to the other servers is down: nothing was sent";
    expect_shown(&mut first, down);
    near.expect("near only\n");
    nats.start_again();
    for server in [&first, &second] {
        wait_for_link(server, 2);
    }
    // 20 lines, and one for all clients after the link was lost; /to was not sent, but numbered.
    expect_shown(&mut second, "(22 messages from other servers were lost)");
    writeln!(keys, "again").expect("an operator");
    far.expect("again\n");
    near.expect("again\n");
}

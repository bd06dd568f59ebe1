//! The views Talk and Room: conversations with a terminal, programs of the course, UDP clients.

use crate::support::guest::Guest;
use crate::support::nats::Nats;
use crate::support::python::{PythonClient, python};
use crate::support::{ROOM_PASSWORD, Server};
use crate::tab::Tab;
use std::io::Write;

/// A text that is a script where a page inserts it as HTML.
const SCRIPT: &str = "<img src=x onerror=document.title='ran'>";

/// Fails where a script of a peer has run.
#[track_caller]
fn no_script_has_run(tab: &mut Tab) {
    assert!(!tab.does("title()").contains("ran"));
}

#[test]
fn browser_terminal_and_course_client_share_one_talk() {
    let test = "browser_terminal_and_course_client_share_one_talk";
    if !python(test) {
        return;
    }
    let (mut server, mut keys) = Server::operated(&[]);
    let Some(mut operator) = Tab::open(test, &server, "/#talk") else {
        return;
    };
    operator.sees("#operator caption", "0 clients");
    // A browser client.
    let mut tab = Tab::open(test, &server, "/#talk").expect("the browser runs");
    tab.press("#client", "Connect");
    tab.sees("#client", "you are client 1");
    server.shown_until("Client 1 connected");
    operator.sees("#operator tbody tr", "127.0.0.1:");
    let text = format!("halo {SCRIPT}");
    tab.does(format_args!("locator('#client input').fill({text:?})"));
    tab.press("#client", "Kirim");
    assert_eq!(server.shown(), format!("Client 1: {text}"));
    operator.sees("#operator .log", &format!("Client 1: {text}"));
    // The terminal answers, then the browser.
    keys.write_all("dari terminal\n".as_bytes()).expect("taken");
    tab.sees("#client .log", "dari terminal");
    operator.sees("#operator .log", "dari terminal");
    operator.does("locator('#operator select').selectOption('1')");
    operator.does("locator('#operator input').fill('dari peramban')");
    operator.press("#operator", "Kirim");
    tab.sees("#client .log", "dari peramban");
    server.shown_until("> /to 1 dari peramban");
    // A client of the course is in the same roster.
    let client = PythonClient::start(&server, "textbook", "talk", &["pagi", "siang"]);
    operator.sees("#operator caption", "2 clients");
    operator.is_fit_to_be_seen("talk");
    operator.does("locator('#operator select').selectOption('2')");
    for _ in 0..2 {
        server.shown_until("Client 2: pagi");
        operator.does("locator('#operator input').fill('siang')");
        operator.press("#operator", "Kirim");
    }
    client.passes();
    operator.sees("#operator caption", "1 client");
    // The history is there for a window that opens later.
    let mut late = Tab::open(test, &server, "/#talk").expect("the browser runs");
    late.sees("#operator .log", &format!("Client 1: {text}"));
    operator.press("#operator", "Kick client 1");
    operator.press("dialog", "Kick");
    tab.sees("#client .log", "Disconnected");
    server.shown_until("Client 1 disconnected");
    for mut tab in [operator, tab, late] {
        no_script_has_run(&mut tab);
        tab.had_no_fault(&[]);
    }
}

#[test]
fn the_operators_window_answers_a_client_of_another_server() {
    let test = "the_operators_window_answers_a_client_of_another_server";
    let Some(nats) = Nats::start(test) else {
        return;
    };
    let start = |node| Server::start(&["--link", &nats.url(), "--node", node]);
    let (near, far) = (start("web1"), start("web2"));
    let Some(mut operator) = Tab::open(test, &near, "/#talk") else {
        return;
    };
    let mut clients = [far.connect("talk"), near.connect("talk")];
    for (client, id) in clients.iter_mut().zip(["web2.1", "web1.1"]) {
        operator.sees("#operator table", id);
        client.send("halo\n");
        operator.sees("#operator .log", &format!("Client {id}: halo"));
        operator.does(format_args!(
            "locator('#operator select').selectOption({id:?})"
        ));
        operator.does("locator('#operator input').fill('satu')");
        operator.press("#operator", "Kirim");
        client.expect("satu\n");
    }
    operator.does("locator('#operator select').selectOption('To all')");
    operator.does("locator('#operator input').fill('semua')");
    operator.press("#operator", "Kirim");
    for client in &mut clients {
        client.expect("semua\n");
    }
    operator.press("#operator", "Kick client web2.1");
    operator.press("dialog", "Kick");
    assert_eq!(clients[0].rest(), b"");
    operator.sees("#operator caption", "1 client");
    operator.had_no_fault(&[]);
}

/// Presses Join in the Room view, with this name and password.
#[track_caller]
fn join(tab: &mut Tab, name: &str, password: &str) {
    tab.does(format_args!(
        "getByLabel('Name', {{ exact: true }}).fill({name:?})"
    ));
    tab.does(format_args!(
        "locator('#room').getByLabel('Password').fill({password:?})"
    ));
    tab.press("#room", "Join");
}

#[test]
fn a_browser_and_a_udp_client_are_members_of_one_room() {
    let server = Server::start(&[]);
    let ani = Guest::member(&server, "ani");
    let test = "a_browser_and_a_udp_client_are_members_of_one_room";
    let Some(mut tab) = Tab::open(test, &server, "/#room") else {
        return;
    };
    join(&mut tab, "budi", "wrong");
    tab.sees("#room .problem", "password");
    join(&mut tab, "ani", ROOM_PASSWORD);
    // The room tests whether the member is still there.
    ani.expect(" ");
    tab.sees("#room .problem", "name");
    tab.is_fit_to_be_seen("room-join");
    join(&mut tab, "budi", ROOM_PASSWORD);
    ani.expect("budi bergabung ke chatroom.");
    tab.sees("#room .members", "ani");
    ani.send(format!("ani: halo {SCRIPT}"));
    ani.expect(&format!("ani: halo {SCRIPT}"));
    tab.sees("#room .log", &format!("halo {SCRIPT}"));
    tab.does("fill('#room .chat input', 'halo, ani')");
    tab.does("keyboard.press('Enter')");
    ani.expect("budi: halo, ani");
    tab.sees("#room .log", "halo, ani");
    tab.is_fit_to_be_seen("room");
    tab.press("#room", "Leave");
    assert!(ani.message().starts_with("budi"));
    tab.sees("#room .join", "Join the room");
    no_script_has_run(&mut tab);
    tab.had_no_fault(&["403", "409"]);
}

#[test]
fn a_page_that_does_everything_has_one_connection_for_its_events() {
    let server = Server::start(&[]);
    let test = "a_page_that_does_everything_has_one_connection_for_its_events";
    let Some(mut tab) = Tab::open(test, &server, "/#talk") else {
        return;
    };
    let tabs = |tab: &mut Tab| {
        let number = "match(/^loket_http_tabs (.*)$/m)[1]";
        let text = "(await (await fetch('/-/metrics')).text())";
        tab.does(format_args!("evaluate(async () => {text}.{number})"))
    };
    tab.sees("#operator caption", "0 clients");
    tab.press("#client", "Connect");
    tab.sees("#client", "you are client 1");
    tab.does("click('a[href=\"#room\"]')");
    join(&mut tab, "ani", ROOM_PASSWORD);
    tab.sees("#room .members", "ani");
    tab.does("click('a[href=\"#loop\"]')");
    tab.sees("#loop-where", "live");
    assert_eq!(tabs(&mut tab), "1");
    // The loop is watched no more; the client and the member stay.
    tab.does("click('a[href=\"#files\"]')");
    tab.sees("#files", "0 items");
    tab.does("click('a[href=\"#talk\"]')");
    tab.does("locator('#client input').fill('halo')");
    tab.press("#client", "Kirim");
    tab.sees("#operator .log", "Client 1: halo");
    tab.does("click('a[href=\"#room\"]')");
    tab.does("fill('#room .chat input', 'halo semua')");
    tab.does("keyboard.press('Enter')");
    tab.sees("#room .log", "halo semua");
    assert_eq!(tabs(&mut tab), "1");
    tab.had_no_fault(&[]);
}

#[test]
fn a_page_goes_on_after_a_restart_of_the_server() {
    let mut server = Server::start(&[]);
    let test = "a_page_goes_on_after_a_restart_of_the_server";
    let Some(mut tab) = Tab::open(test, &server, "/#talk") else {
        return;
    };
    tab.press("#client", "Connect");
    tab.sees("#operator .log", "Client 1 connected");
    tab.does("click('a[href=\"#room\"]')");
    join(&mut tab, "ani", ROOM_PASSWORD);
    tab.sees("#room .members", "ani");
    server.kill();
    tab.sees("#room .state", "no connection");
    let http: &str = server.address("http").port().to_string().leak();
    server.start_again_on(|name| if name == "http" { http } else { "0" }, &[]);
    let budi = Guest::member(&server, "budi");
    tab.sees("#room .members", "budi");
    budi.send("budi: halo");
    tab.sees("#room .log", "halo");
    tab.does("fill('#room .chat input', 'halo, budi')");
    tab.does("keyboard.press('Enter')");
    tab.sees("#room .log", "halo, budi");
    tab.does("click('a[href=\"#talk\"]')");
    tab.sees("#operator caption", "1 client");
    tab.does("locator('#client input').fill('lagi')");
    tab.press("#client", "Kirim");
    tab.sees("#operator .log", "Client 1: lagi");
    tab.had_no_fault(&["ERR_", "does not answer", "network error"]);
}

#[test]
fn the_link_that_the_start_printed_makes_an_operator() {
    let server = Server::start(&["--host", "0.0.0.0"]);
    let token = server.made_token.clone().expect("it is printed");
    let test = "the_link_that_the_start_printed_makes_an_operator";
    let Some(mut tab) = Tab::open(test, &server, "/#talk") else {
        return;
    };
    tab.press("#operator", "Enter the token");
    tab.sees("dialog", "token");
    tab.is_fit_to_be_seen("token");
    tab.press("dialog", "Cancel");
    tab.does("click('a[href=\"#loop\"]')");
    tab.sees("dialog", "token");
    tab.press("dialog", "Cancel");
    tab.had_no_fault(&["401", "needs the token"]);
    tab.go(&format!("/-/app/#token={token}"));
    assert!(!tab.does("url()").contains(&token));
    tab.does("getByRole('link', { name: 'Talk' }).click()");
    tab.sees("#operator caption", "0 clients");
    tab.does("locator('#operator input').fill('/help')");
    tab.press("#operator", "Kirim");
    tab.sees("#operator .log", "/kick");
    tab.had_no_fault(&[]);
}

//! What holds for all views: the keyboard is enough, files cannot act as the page, valid HTML.

use crate::support::{Server, skip};
use crate::tab::{Tab, modules, pictures};
use std::process::Command;

/// Presses Tab until the focus is on an element that the selector matches.
#[track_caller]
fn tab_to(tab: &mut Tab, selector: &str) {
    tab.run(format_args!(
        "for (let tries = 0; tries < 60; tries += 1) {{
            await page.keyboard.press('Tab');
            const at = await page.evaluateHandle(() => document.activeElement);
            if (await at.evaluate((it, wanted) => it.matches(wanted), {selector:?})) return;
        }}
        throw new Error('Tab never leads there');"
    ));
}

#[test]
fn the_keyboard_alone_is_enough() {
    let server = Server::start(&[]);
    std::fs::create_dir(server.root().join("dir")).expect("a folder");
    server.put("dir/old", "");
    let test = "the_keyboard_alone_is_enough";
    let Some(mut tab) = Tab::open(test, &server, "/") else {
        return;
    };
    let press = |tab: &mut Tab, key: &str| {
        tab.does(format_args!("keyboard.press({key:?})"));
    };
    tab.sees("#list", "dir");
    tab_to(&mut tab, "#list .folder");
    press(&mut tab, "Enter");
    tab.sees("#list", "old");
    tab_to(&mut tab, "#list .delete");
    press(&mut tab, "Enter");
    tab.sees("dialog", "Delete old?");
    press(&mut tab, "Escape");
    tab.misses("dialog", "Delete old?");
    tab_to(&mut tab, "a[href='#talk']");
    press(&mut tab, "Enter");
    tab_to(&mut tab, "#client .connect");
    press(&mut tab, "Enter");
    tab.sees("#client", "you are client 1");
    tab.does("keyboard.type('halo')");
    press(&mut tab, "Enter");
    tab.sees("#operator .log", "Client 1: halo");
    tab_to(&mut tab, "a[href='#loop']");
    press(&mut tab, "Enter");
    tab.sees("#loop-where", "live");
    tab_to(&mut tab, "#loop-pause");
    press(&mut tab, "Enter");
    tab.sees("#loop-where", "behind");
    tab_to(&mut tab, "#loop-step");
    press(&mut tab, "Enter");
    tab_to(&mut tab, "#loop-pause");
    press(&mut tab, "Enter");
    tab.sees("#loop-where", "live");
    tab_to(&mut tab, "#loop-slab");
    press(&mut tab, "Home");
    press(&mut tab, "ArrowRight");
    tab.sees("#loop-words", "Slot 1:");
    press(&mut tab, "Enter");
    tab.sees("#loop-trace", "Trace of slot 1");
    tab.had_no_fault(&[]);
}

#[test]
fn an_uploaded_page_cannot_touch_the_console() {
    let (server, _keys) = Server::operated(&[]);
    let mut client = server.connect("talk");
    client.send("halo\n");
    let attack = "<title>page</title><script>document.title = 'ran';
        fetch('/-/operator', { method: 'POST', body: '{}' })</script>
        <form action='/-/operator' method='post' enctype='text/plain'><button>go</button></form>
        <iframe src='/#talk'></iframe>";
    server.put("evil.html", attack);
    let test = "an_uploaded_page_cannot_touch_the_console";
    let Some(mut tab) = Tab::open(test, &server, "/evil.html") else {
        return;
    };
    assert_eq!(tab.does("title()"), "page");
    tab.does("getByRole('button').click()");
    assert!(tab.does("url()").ends_with("/evil.html"));
    // The page of the console is not shown in a frame.
    let framed = tab.run("return String(await page.frames()[1]?.locator('#talk').count() ?? 0)");
    assert_eq!(framed, "0");
    tab.had_no_fault(&["sandbox", "frame-ancestors", "ERR_"]);
}

/// The body of an answer to a browser without scripts.
fn body(server: &Server, target: &str) -> String {
    let asked = format!(
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\nConnection: close\r\n\r\n"
    );
    let answer = server.ask("http", asked);
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
    body.to_owned()
}

#[test]
fn the_checker_finds_no_error_in_the_page_and_the_plain_list() {
    let test = "the_checker_finds_no_error_in_the_page_and_the_plain_list";
    let checker = modules().join("node_modules/vnu-jar/build/dist/vnu.jar");
    if !checker.exists() {
        return skip(test, "no vnu-jar");
    }
    let server = Server::start(&[]);
    server.put("a <b> & \"c\"", "");
    let mut command = Command::new("java");
    command.arg("-jar").arg(checker).arg("--errors-only");
    for (name, target) in [("page.html", "/"), ("list.html", "/?list")] {
        let path = pictures().join(name);
        std::fs::write(&path, body(&server, target)).expect("room");
        command.arg(path);
    }
    let Ok(output) = command.output() else {
        return skip(test, "no java");
    };
    let found = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{found}");
}

//! The Loop view.

use crate::support::stalled::Stalled;
use crate::support::{Client, Server, eventually};
use crate::tab::Tab;
use std::process::{Child, Command, Stdio};

/// Waits until the table shows this number of connections in a state, or more, and names one of
/// this service.
#[track_caller]
fn shows(tab: &mut Tab, state: &str, least: usize, service: &str) {
    tab.run(format_args!(
        "const row = page.locator('#loop tr[data-of={state}] > *');
        const deadline = Date.now() + 20_000;
        for (;;) {{
            const [, count, names] = await row.allInnerTexts();
            if (parseInt(count) >= {least} && names.includes('{service}')) return;
            if (Date.now() > deadline) throw new Error(`${{count}} ${{names}}`);
            await page.waitForTimeout(30);
        }}"
    ));
}

/// A load generator that ends with the test.
struct Load(Child);

impl Load {
    fn echo(server: &Server) -> Load {
        let command = "load echo --connections 20 --rate 2000 --duration 300 --at";
        let child = Command::new(env!("CARGO_BIN_EXE_loket"))
            .args(command.split(' '))
            .arg(server.address("echo").to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Load(child.expect("loket starts"))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A client that requests a file and reads nothing.
fn download(server: &Server, name: &str) -> Client {
    let mut client = server.connect("files");
    client.send(format!("download {name}\n"));
    client
}

#[test]
fn each_state_of_the_loop_is_seen() {
    let test = "each_state_of_the_loop_is_seen";
    let Some(stalled) = Stalled::beside(test, &["--max-connections", "40"]) else {
        return;
    };
    let Some(mut tab) = Tab::open(test, &stalled, "/#loop") else {
        return;
    };
    tab.sees("#loop-summary", "The accept gate is open");
    let load = Load::echo(&stalled);
    shows(&mut tab, "turn", 15, "echo");
    stalled.sparse("large", 64 << 30);
    let _unread = download(&stalled, "large");
    shows(&mut tab, "owing", 1, "files");
    let readers = [(); 2].map(|()| {
        let mut reader = download(&stalled, "large").0;
        std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()))
    });
    shows(&mut tab, "bulk", 1, "files");
    std::fs::write(stalled.behind("cold"), "text").expect("a file");
    stalled.stop();
    let _cold = download(&stalled, "far/cold");
    shows(&mut tab, "disk", 1, "files");
    // The server has finished, and the client goes on.
    let mut lingering = stalled.connect("transfer");
    lingering.send("RUBBISH\n");
    shows(&mut tab, "linger", 1, "transfer");
    tab.is_fit_to_be_seen("loop");
    let address = stalled.address("echo");
    let more: Vec<_> = (0..40).map(|_| Client::connect(address)).collect();
    tab.sees("#loop tr[data-of=gate]", "shut");
    drop((more, load));
    tab.sees("#loop tr[data-of=gate]", "open");
    stalled.resume();
    tab.sees("#loop tr[data-of=disk] td", "0");
    tab.had_no_fault(&[]);
    drop(stalled);
    for reader in readers {
        // The end of the server ends it.
        let _ = reader.join();
    }
}

#[test]
fn the_loop_is_paused_stepped_slowed_and_traced_in_the_page_alone() {
    let server = Server::start(&[]);
    let mut echo = server.connect("echo");
    echo.send("1").expect("1");
    let test = "the_loop_is_paused_stepped_slowed_and_traced_in_the_page_alone";
    let Some(mut tab) = Tab::open(test, &server, "/#loop") else {
        return;
    };
    let moves = |echo: &mut Client| {
        echo.send("secret").expect("secret");
    };
    tab.sees("#loop-where", "live");
    tab.does("locator('#loop-slab').focus()");
    let words = |tab: &mut Tab| tab.does("locator('#loop-slab').getAttribute('aria-valuetext')");
    eventually("the cell of the echo is found", || {
        tab.does("keyboard.press('ArrowRight')");
        words(&mut tab).contains("echo")
    });
    tab.does("keyboard.press('Enter')");
    tab.sees("#loop-trace", ", echo");
    moves(&mut echo);
    tab.sees("#loop-lines", "6 B");
    assert!(!tab.text("#loop-lines").contains("secret"));
    tab.press("#loop", "Pause");
    tab.sees("#loop-where", "behind");
    let shown = tab.text("#loop dl");
    eventually("frames arrive meanwhile", || {
        moves(&mut echo);
        !tab.text("#loop-where").contains(" 0.0 s behind")
    });
    assert_eq!(tab.text("#loop dl"), shown);
    tab.press("#loop", "Step");
    tab.does("getByLabel('Speed').selectOption('10')");
    tab.sees("#loop-where", "behind");
    tab.does("getByLabel('Speed').selectOption('1')");
    tab.sees("#loop-where", "live");
    tab.does("locator('#loop-slab').press('Enter')");
    tab.misses("#loop-trace", "Trace");
    // A trace ends with its stream.
    tab.does("locator('#loop-slab').press('Enter')");
    tab.sees("#loop-trace", "Trace");
    tab.does("locator('nav a[href=\"#talk\"]').click()");
    tab.does("locator('nav a[href=\"#loop\"]').click()");
    tab.sees("#loop-where", "live");
    tab.misses("#loop-trace", "Trace");
    tab.had_no_fault(&[]);
}

//! The Loop view.

use crate::support::stalled::Stalled;
use crate::support::{Client, Server, eventually};
use crate::tab::Tab;
use std::process::{Command, Stdio};

/// Reads the number in a row of the table of states.
#[track_caller]
fn row(tab: &mut Tab, name: &str, holds: &str) {
    tab.run(format_args!(
        "const row = page.getByRole('row', {{ name: {name:?} }}).first();
        const deadline = Date.now() + 20_000;
        for (;;) {{
            const [, count, names] = await row.locator('> *').allInnerTexts();
            const number = parseInt(count.replaceAll(',', ''));
            if ({holds}) return;
            if (Date.now() > deadline) throw new Error(`${{count}} ${{names}}`);
            await page.waitForTimeout(30);
        }}"
    ));
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
    // Short turns.
    let echo = stalled.address("echo").to_string();
    let mut load = Command::new(env!("CARGO_BIN_EXE_loket"))
        .args([
            "load", "echo", "-c", "20", "-d", "300", "-r", "2000", "--at", &echo,
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("loket starts");
    row(
        &mut tab,
        "Had a turn",
        "number >= 15 && names.includes('echo')",
    );
    // One client that does not read, and two that read all the time.
    stalled.sparse("large", 64 << 30);
    let mut parked = stalled.connect("files");
    parked.send("download large\n");
    row(
        &mut tab,
        "Parked, owing",
        "number === 1 && names.includes('files')",
    );
    let readers = [(); 2].map(|()| {
        let mut reader = stalled.connect("files");
        reader.send("download large\n");
        std::thread::spawn(move || std::io::copy(&mut reader.0, &mut std::io::sink()))
    });
    row(
        &mut tab,
        "Bulk queue",
        "number >= 1 && names.includes('files')",
    );
    // A file behind a stopped mount.
    std::fs::write(stalled.behind("cold"), "text").expect("a file");
    let far = stalled.root().join("far");
    assert!(far.is_dir());
    stalled.stop();
    let mut cold = stalled.connect("files");
    cold.send("download far/cold\n");
    row(&mut tab, "Awaits the disk", "number === 1");
    // A connection that the server has finished, and whose client goes on.
    let mut lingering = stalled.connect("transfer");
    lingering.send("RUBBISH\n");
    row(
        &mut tab,
        "Lingering",
        "number === 1 && names.includes('transfer')",
    );
    tab.is_fit_to_be_seen("loop");
    // Clients up to the limit, and one more.
    let address = stalled.address("echo");
    let more: Vec<_> = (0..40).map(|_| Client::connect(address)).collect();
    row(&mut tab, "Accept gate", "count === 'shut'");
    drop(more);
    row(&mut tab, "Accept gate", "count === 'open'");
    load.kill().expect("our child");
    load.wait().expect("our child");
    stalled.resume();
    row(&mut tab, "Awaits the disk", "number === 0");
    drop(stalled);
    for reader in readers {
        let _ = reader.join();
    }
    tab.had_no_fault(&["ERR_"]);
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
    tab.press("#loop", "Step back");
    tab.press("#loop", "Step");
    tab.does("getByLabel('Speed').selectOption('10')");
    tab.sees("#loop-where", "behind");
    tab.does("getByLabel('Speed').selectOption('1')");
    tab.sees("#loop-where", "live");
    tab.does("locator('#loop-slab').press('Enter')");
    tab.misses("#loop-trace", "Trace");
    tab.had_no_fault(&[]);
}

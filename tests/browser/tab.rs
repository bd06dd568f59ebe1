//! Tabs of one Chromium, which all tests share: see `bridge.mjs`.

use crate::support::{Client, PATIENCE, Server, skip};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::fmt::Display;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// The bridge ends when its standard input does, that is with this process.
static BRIDGE: OnceLock<Result<(SocketAddr, Child), String>> = OnceLock::new();

/// A tab with its own profile.
pub struct Tab {
    client: Client,
    url: String,
}

impl Tab {
    /// Opens a path of the server's HTTP service. `None`: the test is skipped.
    pub fn open(test: &str, server: &Server, path: &str) -> Option<Tab> {
        let bridge = match BRIDGE.get_or_init(start) {
            Ok((address, _)) => *address,
            Err(reason) => {
                skip(test, reason);
                return None;
            }
        };
        let mut tab = Tab {
            client: Client::connect(bridge),
            url: format!("http://{}", server.address("http")),
        };
        // An upload of 1 GiB takes longer than other things on a slow machine.
        let patience = Some(5 * PATIENCE);
        tab.client.0.set_read_timeout(patience).expect("a timeout");
        tab.go(path);
        Some(tab)
    }

    /// Goes to a path of the server.
    #[track_caller]
    pub fn go(&mut self, path: &str) {
        let url = format!("{}{path}", self.url);
        self.run(format_args!("await page.goto({url:?})"));
    }

    /// Runs the body of an asynchronous JavaScript function that has Playwright's `page`, its
    /// `context`, `axe` and `faults`. Returns what it returns.
    #[track_caller]
    pub fn run(&mut self, body: impl Display) -> String {
        let body = body.to_string();
        let line = utf8_percent_encode(&body, NON_ALPHANUMERIC);
        self.client.send(format!("{line}\n"));
        let answer = self.client.line();
        let (kind, text) = answer
            .trim_end_matches('\n')
            .split_once(' ')
            .expect("two words");
        let text = percent_decode_str(text).decode_utf8_lossy();
        assert_eq!(kind, "ok", "{body}: {text}");
        text.into_owned()
    }

    /// Calls one method of the page and awaits it, as in `fill('#name', 'ani')`.
    #[track_caller]
    pub fn does(&mut self, call: impl Display) -> String {
        self.run(format_args!("return await page.{call}"))
    }

    /// Presses a button that has this name, in the part of the page that a selector names.
    #[track_caller]
    pub fn press(&mut self, part: &str, name: &str) {
        let button = format!("getByRole('button', {{ name: {name:?}, exact: true }})");
        self.does(format_args!("locator({part:?}).{button}.click()"));
    }

    /// Waits until an element that the selector finds is visible and contains the text.
    #[track_caller]
    pub fn sees(&mut self, selector: &str, text: &str) {
        self.does(format_args!(
            "locator({selector:?}).filter({{ hasText: {text:?}, visible: true }}).first().waitFor()"
        ));
    }

    /// Waits until no element that the selector finds is visible and contains the text.
    #[track_caller]
    pub fn misses(&mut self, selector: &str, text: &str) {
        self.run(format_args!(
            "const wanted = {{ hasText: {text:?}, visible: true }};
            const found = page.locator({selector:?}).filter(wanted);
            const deadline = Date.now() + 20_000;
            while (await found.count()) {{
                if (Date.now() > deadline) throw new Error('it is still there');
                await page.waitForTimeout(20);
            }}"
        ));
    }

    /// The text of an element.
    #[track_caller]
    pub fn text(&mut self, selector: &str) -> String {
        self.does(format_args!("locator({selector:?}).innerText()"))
    }

    /// The value of an expression in the page, as a whole number.
    #[track_caller]
    pub fn number(&mut self, expression: &str) -> u64 {
        let value = self.does(format_args!("evaluate(() => Math.round({expression}))"));
        value.parse().expect("a number")
    }

    /// Checks the view as it is, wide and narrow, in light and dark: nothing is wider than the
    /// window, and axe-core finds no fault. Leaves pictures in `target/tmp/browser`.
    #[track_caller]
    pub fn is_fit_to_be_seen(&mut self, name: &str) {
        let folder = pictures();
        for width in [1600, 360] {
            for scheme in ["light", "dark"] {
                let picture = folder.join(format!("{name}-{scheme}-{width}.png"));
                self.run(format_args!(
                    "await page.emulateMedia({{ colorScheme: '{scheme}' }});
                    await page.setViewportSize({{ width: {width}, height: 900 }});
                    const wide = await page.locator('main').evaluate(main => main.scrollWidth);
                    if (wide > {width}) throw new Error(`the page is ${{wide}} pixels wide`);
                    await page.screenshot({{ path: {picture:?} }});"
                ));
                // It takes long: each scheme and each width once.
                if (scheme == "dark") == (width == 360) {
                    let found = self.run("return await axe(page)");
                    assert_eq!(found, "", "{name}, {scheme}, {width} pixels wide");
                }
            }
        }
    }

    /// Checks that the console has shown no error, warning or violation of a policy; forgets those
    /// that contain one of these texts.
    #[track_caller]
    pub fn had_no_fault(&mut self, but: &[&str]) {
        let faults = self.run("return faults.splice(0).join('\\0')");
        let expected = |line: &&str| !but.iter().any(|text| line.contains(text));
        let faults: Vec<_> = faults.split_terminator('\0').filter(expected).collect();
        assert!(faults.is_empty(), "{faults:#?}");
    }
}

/// Where the pictures are.
pub fn pictures() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("browser");
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// The packages that `scripts/test` has installed.
pub fn modules() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("browser")
}

fn start() -> Result<(SocketAddr, Child), String> {
    if !modules().join("node_modules/playwright-core").exists() {
        return Err("no playwright-core".to_owned());
    }
    let mut paths = std::env::var_os("PATH").into_iter().flat_map(|paths| {
        let paths = std::env::split_paths(&paths);
        paths.map(|path| path.join("chromium")).collect::<Vec<_>>()
    });
    let chromium = paths.find(|path| path.exists()).ok_or("no chromium")?;
    let mut child = Command::new("node")
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/browser/bridge.mjs"
        ))
        .args([modules(), chromium, pictures()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|_| "no node".to_owned())?;
    let mut port = String::new();
    let stdout = child.stdout.take().expect("piped");
    BufReader::new(stdout).read_line(&mut port).expect("text");
    let port = port.trim_end().parse().expect("the bridge prints a port");
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    Ok((address, child))
}

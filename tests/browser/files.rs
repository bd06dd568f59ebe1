//! The Files view.

use crate::support::{Server, eventually, roomy_folder};
use crate::tab::Tab;

const GIB: u64 = 1 << 30;

/// The names in the table of files, in order.
fn names(tab: &mut Tab) -> String {
    tab.does(
        "locator('#list tbody tr').evaluateAll(rows => \
        rows.map(row => row.querySelector('a').textContent).join(' '))",
    )
}

#[test]
fn a_folder_is_sorted_and_its_path_leads_back() {
    let server = Server::start(&[]);
    std::fs::create_dir_all(server.root().join("dir/sub")).expect("folders");
    server.put("b10", "12");
    server.put("b9", "1");
    server.put("dir/sub/<deep> #1%.txt", "text of the file");
    // A mark turns what follows around.
    server.put("dir/x\u{202e}txt.exe", "");
    let test = "a_folder_is_sorted_and_its_path_leads_back";
    let Some(mut tab) = Tab::open(test, &server, "/") else {
        return;
    };
    tab.sees("#list", "b10");
    assert_eq!(names(&mut tab), "dir b9 b10");
    tab.does("dblclick('[data-by=size]')");
    assert_eq!(names(&mut tab), "dir b10 b9");
    tab.is_fit_to_be_seen("files");
    tab.does("click('#list a:has-text(\"dir\")')");
    tab.does("click('#list a:has-text(\"sub\")')");
    tab.sees("#list", "<deep> #1%.txt");
    assert!(tab.does("url()").ends_with("/dir/sub/"));
    tab.does("click('#crumbs a:has-text(\"dir\")')");
    tab.sees("#list", "sub");
    assert_eq!(names(&mut tab), "sub x\u{fffd}txt.exe");
    tab.does("goBack()");
    tab.sees("#list", "<deep> #1%.txt");
    // A file opens beside the page.
    let text = tab.run(
        "const [file] = await Promise.all([
            context.waitForEvent('page'),
            page.click('#list a:has-text(\"deep\")'),
        ]);
        return await file.locator('body').innerText()",
    );
    assert_eq!(text, "text of the file");
    tab.had_no_fault(&[]);
}

#[test]
fn without_scripts_a_folder_is_a_plain_list() {
    let server = Server::start(&[]);
    server.put("a <b>", "");
    let test = "without_scripts_a_folder_is_a_plain_list";
    let Some(mut tab) = Tab::open(test, &server, "/") else {
        return;
    };
    tab.run(
        "const plain = await context.browser().newContext({ javaScriptEnabled: false });
        const list = await plain.newPage();
        await list.goto(page.url());
        await list.getByRole('link', { name: 'a <b>' }).waitFor();
        await plain.close();",
    );
    tab.had_no_fault(&[]);
}

/// A server, a sparse file of 1 GiB to upload, and a tab that shows the Files view.
struct Gib {
    server: Server,
    local: tempfile::TempDir,
    tab: Tab,
}

impl Gib {
    fn new(test: &str) -> Option<Gib> {
        let folder = roomy_folder(2 * GIB);
        std::fs::create_dir(folder.path().join("root")).expect("a root");
        let local = tempfile::tempdir().expect("a folder");
        let file = std::fs::File::create(local.path().join("gib.bin")).expect("a file");
        file.set_len(GIB).expect("a sparse file");
        let server = Server::start_in(folder, &["--no-sync"]);
        let tab = Tab::open(test, &server, "/")?;
        Some(Gib { server, local, tab })
    }

    fn upload(&mut self) {
        let path = self.local.path().join("gib.bin");
        let call = format!("locator('#pick').setInputFiles({path:?})");
        self.tab.does(call);
    }

    /// The bytes of the file on the server.
    fn stored(&self) -> Option<u64> {
        let found = self.server.root().join("gib.bin").metadata();
        found.ok().map(|about| about.len())
    }
}

#[test]
fn an_upload_of_a_gib_shows_its_progress_and_the_file_is_deleted() {
    let test = "an_upload_of_a_gib_shows_its_progress_and_the_file_is_deleted";
    let Some(mut gib) = Gib::new(test) else {
        return;
    };
    gib.tab.run(
        "await page.evaluate(() => {
            window.values = new Set();
            window.longest = 0;
            let before = performance.now();
            const look = now => {
                values.add(document.querySelector('#uploads progress')?.value);
                longest = Math.max(longest, now - before);
                before = now;
                requestAnimationFrame(look);
            };
            requestAnimationFrame(look);
        })",
    );
    gib.upload();
    gib.tab.run(
        "const stored = page.getByText('stored, 1.0 GiB');
        await stored.waitFor({ timeout: 80_000 });",
    );
    let moving = "[...values].filter(value => value > 0 && value < 1).length";
    assert!(gib.tab.number(moving) >= 3, "the progress does not move");
    let longest = gib.tab.number("longest");
    assert!(longest < 1_000, "the page was frozen for {longest} ms");
    assert_eq!(gib.stored(), Some(GIB));
    gib.tab.press("#list", "Delete gib.bin");
    gib.tab.sees("dialog", "Delete gib.bin?");
    gib.tab.press("dialog", "Cancel");
    assert_eq!(gib.stored(), Some(GIB));
    gib.tab.press("#list", "Delete gib.bin");
    gib.tab.press("dialog", "Delete");
    gib.tab.misses("#list tbody", "gib.bin");
    assert_eq!(gib.stored(), None);
    gib.tab.had_no_fault(&[]);
}

#[test]
fn a_cancelled_upload_stores_nothing() {
    let Some(mut gib) = Gib::new("a_cancelled_upload_stores_nothing") else {
        return;
    };
    gib.tab.run(
        "const network = await context.newCDPSession(page);
        await network.send('Network.emulateNetworkConditions', {
            offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: 50_000_000,
        });",
    );
    gib.upload();
    gib.tab.sees("#uploads li", "% of 1.0 GiB");
    gib.tab.is_fit_to_be_seen("uploads");
    gib.tab.press("#uploads", "Cancel gib.bin");
    gib.tab.sees("#uploads li", "Cancelled");
    assert_eq!(gib.stored(), None);
    gib.tab.had_no_fault(&[]);
}

#[test]
fn dropped_files_are_uploaded_and_a_refusal_is_said_in_words() {
    let server = Server::start(&["--max-file-size", "3"]);
    let test = "dropped_files_are_uploaded_and_a_refusal_is_said_in_words";
    let Some(mut tab) = Tab::open(test, &server, "/") else {
        return;
    };
    tab.sees("#count", "0 ");
    tab.run(
        "const data = await page.evaluateHandle(() => {
            const data = new DataTransfer();
            for (const [name, text] of [['one', '1'], ['two', '22'], ['four', '4444']]) {
                data.items.add(new File([text], name));
            }
            return data;
        });
        for (const name of ['dragover', 'drop']) {
            await page.dispatchEvent('#list', name, { dataTransfer: data });
        }",
    );
    tab.sees("#uploads", "2 files stored, 1 not");
    assert_eq!(server.files().len(), 2);
    assert_eq!(server.got("two"), b"22");
    tab.sees("#uploads li", "at most 3");
    tab.sees("#list", "two");
    tab.had_no_fault(&["413"]);
}

#[test]
fn ten_thousand_entries_do_not_freeze_the_page() {
    let server = Server::start(&[]);
    for number in 0..10_000 {
        server.put(format!("file-{number}"), "");
    }
    let test = "ten_thousand_entries_do_not_freeze_the_page";
    let Some(mut tab) = Tab::open(test, &server, "/#talk") else {
        return;
    };
    tab.run(
        "await page.addInitScript(() => {
            window.longest = 0;
            new PerformanceObserver(list => {
                for (const task of list.getEntries()) longest = Math.max(longest, task.duration);
            }).observe({ type: 'longtask', buffered: true });
        })",
    );
    tab.go("/");
    tab.sees("#count", "10,000");
    let rows = "document.querySelectorAll('#list tbody tr').length";
    eventually("all rows are there", || tab.number(rows) == 10_000);
    tab.does("click('[data-by=name]')");
    tab.sees("#list tbody tr", "file-9999");
    let longest = tab.number("longest");
    assert!(longest < 1_000, "the page was frozen for {longest} ms");
    tab.had_no_fault(&[]);
}

//! Files over HTTP: small ones, long downloads from the page cache, and uploads without sync.

use super::samples::{Goal, Unit};
use super::{BARE_LOOP, Suite};
use crate::measure::contender::{BIG_FILE, Contender};
use crate::rivals;
use loket::load::test_data::TestData;
use std::fs::File;
use std::hint::black_box;
use std::io::{BufWriter, Write};
use std::path::Path;

const WEB: &[&str] = &["nginx", "lighttpd"];

/// Writes and syncs a file of test data, so that no writeback disturbs a run.
pub fn write_file(path: &Path, size: u64) -> Result<(), String> {
    let write = || {
        let data = TestData::new(loket::config::load::LOAD.period)?;
        let mut out = BufWriter::new(File::create(path)?);
        data.fill(&mut out, size)?;
        out.flush()?;
        out.get_ref().sync_all()
    };
    write().map_err(|e| format!("cannot write {}: {e}", path.display()))
}

pub fn small(suite: &mut Suite) -> Result<(), String> {
    let root = suite.folder("small")?;
    write_file(&root.join("4k"), 4_096)?;
    write_file(&root.join("100"), 100)?;
    #[rustfmt::skip] // a table
    let rows = [
        ("HTTP 4 KiB, 64 kept connections", "http -c 64 --path /4k", false,
            vec![Goal::cpu(WEB, 0.8), Goal::rate(WEB, 1.2)]),
        ("HTTP 100 B, 64 kept connections, pipeline 16", "http -c 64 --path /100 -p 16", false,
            vec![Goal::cpu(WEB, 0.7)]),
        ("HTTP 4 KiB, Connection: close", "http -c 64 --path /4k --close", true,
            vec![Goal::cpu(WEB, 1.0)]),
    ];
    for (work, load, deferred, goals) in rows {
        let (scratch, descriptors) = (suite.scratch.clone(), suite.plan.descriptors);
        suite.compare(
            work,
            Unit::Answer("request"),
            load,
            vec![
                Ok(Contender::loket(&["http"], &root, &[])),
                rivals::nginx(&scratch, &root, descriptors, deferred),
                rivals::lighttpd(&scratch, &root, descriptors),
                rivals::dufs(&root),
            ],
            &goals,
        )?;
    }
    Ok(())
}

pub fn downloads(suite: &mut Suite) -> Result<(), String> {
    #[rustfmt::skip] // a table
    let rows = [
        (64, 64, vec![Goal::rate(WEB, 1.0), Goal::rate(BARE_LOOP, 0.98), Goal::cpu(WEB, 1.0)]),
        (1_000, 4, vec![Goal::rate(WEB, 1.1), Goal::rate(BARE_LOOP, 0.98)]),
        (1, 1_024, vec![Goal::rate(WEB, 1.0), Goal::rate(BARE_LOOP, 0.98)]),
    ];
    for (connections, mib, goals) in rows {
        let connections = suite.scaled(connections);
        let mib = if mib > 64 { suite.scaled(mib) } else { mib };
        let work = format!("download {connections} x {mib} MiB");
        if !suite.wants(&work) {
            continue;
        }
        let root = suite.folder(&format!("download-{connections}"))?;
        let path = root.join(BIG_FILE);
        write_file(&path, mib << 20)?;
        let (scratch, descriptors) = (suite.scratch.clone(), suite.plan.descriptors);
        // The kernel discards the bodies, otherwise the client would be the bottleneck. Before each
        // run one file is compared.
        suite.compare(
            &work,
            Unit::Gib,
            &format!("http -c {connections} --path /{BIG_FILE} --discard"),
            vec![
                Ok(Contender::loket(&["http"], &root, &[])),
                rivals::nginx(&scratch, &root, descriptors, false),
                rivals::lighttpd(&scratch, &root, descriptors),
                Contender::bare_loop("download", &root),
            ],
            &goals,
        )?;
        std::fs::remove_file(&path)
            .map_err(|e| format!("cannot remove {}: {e}", path.display()))?;
    }
    Ok(())
}

pub fn uploads(suite: &mut Suite) -> Result<(), String> {
    let goal = Goal::cpu(BARE_LOOP, 1.03);
    for (connections, mib, goals) in [
        (16, 64, vec![goal, Goal::cpu(&["nginx"], 0.85)]),
        (1, 1_024, vec![goal]),
    ] {
        let (scratch, descriptors) = (suite.scratch.clone(), suite.plan.descriptors);
        let mib = suite.scaled(mib);
        let [ours, theirs, bare] = ["loket", "nginx", "bare-loop"].map(|name| suite.folder(name));
        suite.compare_after(
            &|_| prepare_memory((connections * mib) << 20),
            &format!("PUT {connections} x {mib} MiB, --no-sync"),
            Unit::Gib,
            &format!("http --put -c {connections} -s {mib}M"),
            vec![
                Ok(Contender::loket(&["http"], &ours?, &["--no-sync"])),
                rivals::nginx(&scratch, &theirs?, descriptors, false),
                Contender::bare_loop("upload", &bare?),
            ],
            &goals,
        )?;
    }
    Ok(())
}

/// Touches more memory than a run needs, and frees it.
fn prepare_memory(bytes: u64) -> Result<(), String> {
    // A run that begins with many dirty pages is slowed down until they are written.
    rustix::fs::sync();
    // In a virtual machine with free page reporting, memory of deleted files returns to the host
    // after some seconds, and the next server that writes pays 0.5 s per GiB to get it back.
    // Four times the need, because the next run may get other pages.
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    let mut memory = vec![0u8; (bytes as usize * 4).min(kib.unwrap_or(0) * 1024 / 2)];
    memory.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
    black_box(&memory);
    Ok(())
}

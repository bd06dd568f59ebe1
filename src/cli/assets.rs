//! The files that a package needs beside the program: man pages and shell completions.

use clap::Command;
use clap_complete::{Generator, Shell};
use clap_mangen::Man;
use std::io;

/// The day of this version, as in `src/lib.rs`, so that a build can be repeated.
const DATE: &str = "2026-11-26";

/// The names and contents: a man page for each subcommand, and completions for three shells.
///
/// # Errors
///
/// None that is expected: the files are written to memory.
pub fn files(command: &Command) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut command = command.clone().disable_help_subcommand(true);
    command.build();
    let mut files = Vec::new();
    add_pages(&command, &mut files)?;
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut command, "loket", &mut text);
        files.push((shell.file_name("loket"), text));
    }
    Ok(files)
}

/// Adds the page of a command, and those of its visible subcommands.
fn add_pages(command: &Command, files: &mut Vec<(String, Vec<u8>)>) -> io::Result<()> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let mut page = Vec::new();
    let man = Man::new(command.clone()).title(name.to_uppercase());
    man.date(DATE).manual("loket").render(&mut page)?;
    let page = String::from_utf8_lossy(&page);
    files.push((format!("{name}.1"), clean(&page).into_bytes()));
    let mut visible = command.get_subcommands().filter(|one| !one.is_hide_set());
    visible.try_for_each(|one| add_pages(one, files))
}

/// The page without what `mandoc -T lint` warns about: blanks at the end of lines, empty lines,
/// repeated breaks, and lines of text that are too long.
fn clean(page: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in page.lines().map(str::trim_end) {
        let is_break = |line: &str| line == ".br";
        let repeats = is_break(line) && lines.last().is_some_and(|last| is_break(last));
        if line.is_empty() || repeats {
            continue;
        }
        let mut rest = line;
        while !rest.starts_with('.') && rest.len() > 78 {
            let cut = rest[..78].rfind(' ').or(rest.find(' '));
            // A line that begins so would be a request.
            let Some(cut) = cut.filter(|&cut| !rest[cut + 1..].starts_with(['.', '\''])) else {
                break;
            };
            lines.push(rest[..cut].trim_end().to_owned());
            rest = &rest[cut + 1..];
        }
        lines.push(rest.to_owned());
    }
    lines.join("\n") + "\n"
}

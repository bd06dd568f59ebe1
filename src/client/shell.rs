//! The shell of the files client: reads commands from a terminal or a script and runs them.

use super::ClientLimits;
use super::error::{ClientError, ExchangeError};
use super::files::FilesClient;
use super::input::Input;
use super::output;
use super::split_args;
use std::ops::ControlFlow;
use std::path::Path;

/// The commands, one line each.
const HELP: &str = "\
ls [DIR]              list a folder
size NAME             show the size of a file
sum NAME              show the SHA-256 of a file
rm NAME               remove a file
mv OLD NEW            rename a file or a folder
mkdir DIR             make a folder
download NAME [PATH]  download a file
upload FILE [NAME]    upload a file
connme                close the connection and open a new one
byebye                close the connection and leave
help                  show this list
A name with blanks needs quotes: rm \"a b\"
";

/// Runs commands until `byebye` or end of input. A command that fails prints one line and does not
/// end the shell; in a script it makes the exit status 1.
pub fn run(at: &str, limits: &ClientLimits) -> Result<(), ClientError> {
    let mut files = FilesClient::new(at, limits)?;
    files.connect()?;
    let mut input = Input::open()?;
    if input.is_terminal() {
        output::diagnostic(format!("connected to {at}; help lists the commands"));
    }
    let mut failed = false;
    while let Some(line) = next_line(&mut input, limits)? {
        match line.and_then(|line| run_line(&mut files, &line)) {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => break,
            // The output was closed: the rest of the script would print nothing.
            Err(error) if error.is_quiet() => return Err(ClientError::quiet(1)),
            Err(error) => {
                output::error(&error);
                failed = true;
            }
        }
    }
    ClientError::after_printed(failed, input.is_terminal())
}

/// The inner error is a line that is not a command: the shell reports it and continues.
fn next_line(
    input: &mut Input,
    limits: &ClientLimits,
) -> Result<Option<Result<String, ClientError>>, ClientError> {
    let Some(line) = input.next("loket> ", limits.command_line)? else {
        return Ok(None);
    };
    if line.len() >= limits.command_line && !line.ends_with(b"\n") {
        // The rest of the line must not run as a command.
        while let Some(rest) = input.next("", limits.command_line)? {
            if rest.ends_with(b"\n") {
                break;
            }
        }
        return Ok(Some(Err(ClientError::failure(format!(
            "cannot run a line of more than {} bytes; shorten it",
            limits.command_line
        )))));
    }
    let text = String::from_utf8(line).map_err(|_| {
        ClientError::failure("cannot run a line that is not UTF-8 text; write the name again")
    });
    Ok(Some(text))
}

/// Runs one line. `Break` means that the shell ends.
fn run_line(files: &mut FilesClient, line: &str) -> Result<ControlFlow<()>, ClientError> {
    let words = split_args::split(line)
        .map_err(|fault| ClientError::failure(format!("cannot read the line: {fault}")))?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [] => {}
        ["ls"] => files.list(None)?,
        ["ls", folder] => files.list(Some(folder))?,
        ["size", name] => files.size(name)?,
        ["sum", name] => files.sum(name)?,
        ["rm", name] => files.remove(name)?,
        ["mv", old, new] => files.rename(old, new)?,
        ["mkdir", folder] => files.make_folder(folder)?,
        ["download", name] => files.download(name, None, true)?,
        ["download", name, path] => files.download(name, Some(Path::new(path)), true)?,
        ["upload", file] => files.upload(Path::new(file), None, false)?,
        ["upload", file, name] => files.upload(Path::new(file), Some(name), false)?,
        ["connme"] => reconnect(files)?,
        ["help"] => printed(output::text(HELP))?,
        ["byebye"] => {
            files.goodbye()?;
            return Ok(ControlFlow::Break(()));
        }
        [word, ..] => return Err(ClientError::failure(usage_message(word))),
    }
    Ok(ControlFlow::Continue(()))
}

fn reconnect(files: &mut FilesClient) -> Result<(), ClientError> {
    files.hang_up();
    printed(output::text("Koneksi Ditutup\n"))?;
    files.connect()?;
    printed(output::text("Koneksi Baru Tersambung\n"))
}

fn printed(result: Result<(), ExchangeError>) -> Result<(), ClientError> {
    result.map_err(|error| error.in_context("cannot continue the shell"))
}

fn usage_message(word: &str) -> String {
    let known = HELP
        .lines()
        .filter_map(|line| line.split_once("  "))
        .find(|(usage, _)| usage.split(' ').next() == Some(word));
    match known {
        Some((usage, _)) => {
            format!("cannot run {word} like this; write: {usage} (quotes keep blanks together)")
        }
        None => format!(
            "cannot run {word}: the commands are ls, rm, mv, mkdir, upload, download, size, sum, \
             byebye, connme and help"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_arguments_and_an_unknown_command_have_different_messages() {
        assert_eq!(
            usage_message("rm"),
            "cannot run rm like this; write: rm NAME (quotes keep blanks together)"
        );
        assert!(usage_message("dir").contains("the commands are ls"));
        assert!(usage_message("A").contains("the commands are ls"));
    }
}

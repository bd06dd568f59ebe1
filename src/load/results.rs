//! Writes the results of a run into the files of `--json`, `--plot` and `--hlog`.
//! They are opened before the run, so that a wrong path does not waste a measurement.

use super::errors::{LoadError, reason};
use super::interval_log::IntervalLog;
use super::report::Outcome;
use super::settings::Settings;
use super::{json, plot};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Makes the text of a file from the outcome.
type Format = fn(&Outcome) -> Result<String, String>;

/// The result files of a run.
#[derive(Debug)]
pub struct Results(Vec<(PathBuf, File, Format)>);

impl Results {
    /// Creates or truncates the files.
    pub fn open(settings: &Settings) -> Result<Results, LoadError> {
        let mut files: Vec<(PathBuf, File, Format)> = Vec::new();
        let wanted: [(&Option<PathBuf>, Format); 3] = [
            (&settings.json, |outcome| Ok(json::write(outcome))),
            (&settings.plot, draw),
            (&settings.hlog, interval_log),
        ];
        for (path, format) in wanted {
            let Some(path) = path else { continue };
            let shown = path.display();
            let file = File::create(path).map_err(|error| {
                let why = reason(&error);
                LoadError::usage(format!("cannot write {shown}: {why}; choose another path"))
            })?;
            if files.iter().any(|(_, other, _)| are_one(&file, other)) {
                return Err(LoadError::usage(format!(
                    "cannot write two kinds of results into the same file, {shown}; choose another \
                     path for one"
                )));
            }
            files.push((path.clone(), file, format));
        }
        Ok(Results(files))
    }

    /// Writes all files; an error of one does not prevent the others.
    pub fn write(self, outcome: &Outcome) -> Result<(), LoadError> {
        let mut failed = Vec::new();
        for (path, mut file, format) in self.0 {
            let text = format(outcome);
            let text = text.map_err(|error| format!("cannot make {}: {error}", path.display()));
            failed.extend(text.and_then(|text| fill(&path, &mut file, &text)).err());
        }
        match failed.is_empty() {
            true => Ok(()),
            false => Err(LoadError::failure(failed.join("\n"))),
        }
    }
}

fn draw(outcome: &Outcome) -> Result<String, String> {
    plot::draw(outcome).map_err(|error| error.to_string())
}

/// A run without a single counted moment has an empty log.
fn interval_log(outcome: &Outcome) -> Result<String, String> {
    let log = outcome.recorder.interval_log.as_ref();
    log.map_or(Ok(String::new()), IntervalLog::text)
}

/// Whether both are the same regular file.
fn are_one(one: &File, other: &File) -> bool {
    let identity = |file: &File| {
        let about = file.metadata().ok().filter(|about| about.is_file())?;
        Some((about.dev(), about.ino()))
    };
    identity(one).is_some_and(|identity_of_one| identity(other) == Some(identity_of_one))
}

fn fill(path: &Path, file: &mut File, text: &str) -> Result<(), String> {
    let cannot = |why: &str| format!("cannot write {}: {why}", path.display());
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.metadata());
    match written {
        Err(error) => Err(cannot(&format!("{}; is the disk full?", reason(&error)))),
        // Trap: writing to a removed file succeeds.
        Ok(about) if about.nlink() == 0 => Err(cannot("it was removed during the run")),
        Ok(_) => Ok(()),
    }
}

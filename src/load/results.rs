//! Writes the results of a run into the files of `--json` and `--plot`.
//! They are opened before the run, so that a wrong path does not waste a measurement.

use super::errors::{LoadError, reason};
use super::report::Outcome;
use super::settings::Settings;
use super::{json, plot};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The result files of a run.
#[derive(Debug)]
pub struct Results {
    json: Option<(PathBuf, File)>,
    plot: Option<(PathBuf, File)>,
}

impl Results {
    /// Creates or truncates the files.
    pub fn open(settings: &Settings) -> Result<Results, LoadError> {
        let open = |path: &Option<PathBuf>| {
            let path = path.clone()?;
            let file = File::create(&path).map_err(|error| {
                let shown = path.display();
                let why = reason(&error);
                LoadError::usage(format!("cannot write {shown}: {why}; choose another path"))
            });
            Some(file.map(|file| (path, file)))
        };
        let results = Results {
            json: open(&settings.json).transpose()?,
            plot: open(&settings.plot).transpose()?,
        };
        if let (Some((path, json)), Some((_, plot))) = (&results.json, &results.plot)
            && are_one(json, plot)
        {
            return Err(LoadError::usage(format!(
                "cannot write JSON and plot into the same file, {}; choose another path for one",
                path.display()
            )));
        }
        Ok(results)
    }

    /// Writes both files; an error of one does not prevent the other.
    pub fn write(self, outcome: &Outcome) -> Result<(), LoadError> {
        let json = self
            .json
            .map(|(path, mut file)| fill(&path, &mut file, &json::write(outcome)));
        let plot = self.plot.map(|(path, mut file)| {
            let drawing = plot::draw(outcome)
                .map_err(|error| format!("cannot draw {}: {error}", path.display()))?;
            fill(&path, &mut file, &drawing)
        });
        let failed = [json, plot].into_iter().flatten().filter_map(Result::err);
        match failed.collect::<Vec<String>>() {
            none if none.is_empty() => Ok(()),
            failed => Err(LoadError::failure(failed.join("\n"))),
        }
    }
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

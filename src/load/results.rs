//! Writes the figures of a run into the files that were asked for.
//! Opens them before the run: ten seconds of measuring are not lost to a wrong path.

use super::fault::{LoadError, reason};
use super::report::Outcome;
use super::settings::Settings;
use super::{json, plot};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The files of a run.
#[derive(Debug)]
pub struct Results {
    json: Option<(PathBuf, File)>,
    plot: Option<(PathBuf, File)>,
}

impl Results {
    /// Makes the files, or empties those that are there.
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
        Ok(Results {
            json: open(&settings.json).transpose()?,
            plot: open(&settings.plot).transpose()?,
        })
    }

    /// Fills them.
    pub fn write(self, outcome: &Outcome) -> Result<(), LoadError> {
        if let Some((path, file)) = self.json {
            write(&path, file, &json::write(outcome))?;
        }
        if let Some((path, file)) = self.plot {
            let drawing = plot::draw(outcome).map_err(|error| {
                LoadError::failure(format!("cannot draw {}: {error}", path.display()))
            })?;
            write(&path, file, &drawing)?;
        }
        Ok(())
    }
}

fn write(path: &Path, mut file: File, text: &str) -> Result<(), LoadError> {
    file.write_all(text.as_bytes()).map_err(|error| {
        let why = reason(&error);
        LoadError::failure(format!(
            "cannot write {}: {why}; is there room?",
            path.display()
        ))
    })
}

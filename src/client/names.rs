//! Validates names before they are sent, and chooses the local name for each.

use super::error::ClientError;
use crate::wire::names;
use crate::wire::names::WireLimits;
use std::collections::HashMap;
use std::path::Path;

/// Returns the name if it can be sent in a line of the protocol. The server has its own limits.
pub fn check(name: &str) -> Result<&str, ClientError> {
    let unlimited = WireLimits {
        unit: usize::MAX,
        name: usize::MAX,
        component: usize::MAX,
    };
    names::check(name.as_bytes(), &unlimited)
        .map_err(|bad| ClientError::usage(format!("cannot ask for {name:?}: {}", bad.fault)))
}

/// The local name of the server's file `name`: its last component.
pub fn local_name(name: &str) -> Result<&str, ClientError> {
    match names::last_component(check(name)?) {
        "" | "." | ".." => Err(ClientError::usage(format!(
            "cannot save {name}: its last part is not a file name; name a file, not a folder"
        ))),
        last => Ok(last),
    }
}

/// The name of a local file on the server: `chosen`, or its own.
pub fn remote_name<'a>(path: &'a Path, chosen: Option<&'a str>) -> Result<&'a str, ClientError> {
    match (chosen, path.file_name()) {
        (Some(name), _) => check(name),
        (None, None) => Err(ClientError::usage(format!(
            "cannot send {}: it ends in no file name; name a file",
            path.display()
        ))),
        (None, Some(name)) => {
            let name = name.to_str().ok_or_else(|| {
                ClientError::usage(format!(
                    "cannot send {}: its name is not UTF-8 text; choose another with --as NAME",
                    path.display()
                ))
            })?;
            check(name)
        }
    }
}

/// Returns an error if two files of a list would be stored under one name.
pub fn refuse_duplicates<'a>(
    pairs: impl IntoIterator<Item = (String, &'a str)>,
) -> Result<(), ClientError> {
    let mut taken: HashMap<&str, String> = HashMap::new();
    for (source, stored) in pairs {
        if let Some(other) = taken.insert(stored, source.clone())
            && other != source
        {
            return Err(ClientError::usage(format!(
                "{other} and {source} would both be stored as {stored}; take them one at a time"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_download_never_leaves_its_folder() {
        assert_eq!(local_name("../../etc/passwd").unwrap(), "passwd");
        for escape in ["..", "a/..", "folder/", ".", ""] {
            assert_eq!(local_name(escape).unwrap_err().status(), 2, "{escape}");
        }
    }

    #[test]
    fn a_name_with_a_line_end_is_refused() {
        assert_eq!(check("a\nrm b").unwrap_err().status(), 2);
    }

    #[test]
    fn two_files_with_one_name_are_refused_and_one_file_twice_is_not() {
        let pairs = [("a/x".to_owned(), "x"), ("b/x".to_owned(), "x")];
        assert_eq!(refuse_duplicates(pairs).unwrap_err().status(), 2);
        assert!(refuse_duplicates([("x".to_owned(), "x"), ("x".to_owned(), "x")]).is_ok());
    }

    #[test]
    fn a_file_is_stored_under_its_last_component_or_the_chosen_name() {
        assert_eq!(remote_name(Path::new("a/b c"), None).unwrap(), "b c");
        assert_eq!(remote_name(Path::new("a/b"), Some("d")).unwrap(), "d");
        assert!(remote_name(Path::new(".."), None).is_err());
    }
}
